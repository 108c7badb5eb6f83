from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pytorch_designer.cli.commands.lint_command import run_lint
from pytorch_designer.harness.lint.formats import rules_page
from pytorch_designer.harness.lint.linter import findings_for_run, lint
from pytorch_designer.harness.lint.rules import RULES
from pytorch_designer.harness.schema.yaml_tree import read_yaml
from tests.harness.lint.lint_files import COMPONENT, PIPELINE_COMPONENT
from tests.harness.lint.test_component_rules import MISTAKES as COMPONENT_MISTAKES
from tests.harness.lint.test_node_kind_rules import MISTAKES as KIND_MISTAKES
from tests.harness.lint.test_pipeline_rules import MISTAKES as PIPELINE_MISTAKES

REPOSITORY = Path(__file__).parents[3]
OTHERWISE_TESTED = {
    "yaml-syntax",
    "not-a-spec",
    "nothing-checked",
    "missing-input-value",
    "literal-continuation",
    "optional-to-required",
    "port-tag-mismatch",
    "output-bound-twice",
    "nested-pipelines",
}


def test_every_rule_has_a_test_and_a_line_in_the_reference() -> None:
    tested = {mistake.rule_id for mistake in COMPONENT_MISTAKES} | {
        mistake[0] for mistake in [*PIPELINE_MISTAKES, *KIND_MISTAKES]
    }
    assert tested | OTHERWISE_TESTED == set(RULES)
    assert all(f"| `{rule_id}` |" in rules_page() for rule_id in RULES)


def test_our_own_files_are_clean() -> None:
    paths = [REPOSITORY / "component.yaml", REPOSITORY / "components", REPOSITORY / "examples"]
    result = lint(paths)
    assert result.findings == ()
    assert result.num_files >= 6


@pytest.mark.parametrize(
    ("text", "position"),
    [("a: [1\n", (2, 1)), ("a: 1\n---\nb: 2\n", (2, 1)), ("a: \x07\n", (1, 1)), ("default: 2026-13-45\n", (1, 10))],
)
def test_text_that_is_not_one_yaml_document(tmp_path: Path, text: str, position: tuple[int, int]) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    assert [(f.kind, (f.place.line, f.place.column)) for f in lint([path]).findings] == [("yaml-syntax", position)]


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(b"name: caf\xe9\n")
    assert [f.kind for f in lint([path]).findings] == ["yaml-syntax"]


COMMAND_SCHEMA = "$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n",
        "a: 1\n",
        "type: amlcompute\nname: x\n",
        "on: push\njobs:\n  a: {}\n",
        COMMAND_SCHEMA + "type: parallel\nname: x\n",
    ],
)
def test_other_yaml_is_reported_only_when_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.yaml").write_text(text, encoding="utf-8")
    assert [f.kind for f in lint([tmp_path / "other.yaml"]).findings] == ["not-a-spec"]
    assert lint([tmp_path]).num_files == 0


def test_folder_is_searched_without_environments_and_caches(folder: Path) -> None:
    (folder / ".venv" / "lib").mkdir(parents=True)
    (folder / ".venv" / "lib" / "component.yaml").write_text(COMPONENT, encoding="utf-8")
    (folder / "more").mkdir()
    (folder / "more" / "broken.yml").write_text(COMPONENT.replace("code: src", "code: ../src: x"), encoding="utf-8")
    result = lint([folder])
    assert result.num_files == 4
    assert [(Path(f.place.file).name, f.kind) for f in result.findings] == [("broken.yml", "yaml-syntax")]


def test_windows_line_ends_and_byte_order_mark_do_not_move_findings(folder: Path) -> None:
    text = COMPONENT.replace("default: 5\n", "default: 0\n")
    (folder / "component.yaml").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert [(f.kind, f.place.line, f.place.column) for f in lint([folder / "component.yaml"]).findings] == [
        ("default-out-of-range", 14, 14)
    ]


def test_anchors_and_merges_are_followed_once(folder: Path) -> None:
    text = COMPONENT.replace("  rate:\n    type: number\n", "  rate: &rate\n    type: number\n").replace(
        "  shuffle:\n    type: boolean\n    default: true\n", "  shuffle:\n    <<: *rate\n    default: 0.25\n"
    )
    (folder / "component.yaml").write_text(text + "x: {y: &y {}, again: [*y, *y]}\n", encoding="utf-8")
    assert [f.kind for f in lint([folder / "component.yaml"]).findings] == ["unknown-key"]


def test_an_alias_in_a_circle_is_an_error(folder: Path) -> None:
    (folder / "component.yaml").write_text(COMPONENT + "x: &x {again: *x}\n", encoding="utf-8")
    assert [f.kind for f in lint([folder / "component.yaml"]).findings] == ["yaml-syntax"]


def test_exit_code_is_1_for_errors_and_0_for_warnings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "component.yaml"
    path.write_text(COMPONENT.replace(" --rate ${{inputs.rate}}", ""), encoding="utf-8")
    assert run_lint([str(path)], "pytorch-designer") == 0
    assert "17:3: warning [unused-input] The command does not use the input rate." in capsys.readouterr().out
    path.write_text(COMPONENT.replace("default: 5", "default: 0"), encoding="utf-8")
    assert run_lint([str(path)], "pytorch-designer") == 1
    assert run_lint([str(path), "--ignore", "default-out-of-range"], "pytorch-designer") == 0


@pytest.mark.parametrize("arguments", [[], ["gone.yaml"], ["--ignore", "no-such-rule", "."], ["--format", "xml", "."]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        run_lint(arguments, "pytorch-designer")
    assert raised.value.code == 2


def test_json_holds_every_field(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "component.yaml"
    path.write_text(COMPONENT.replace("default: 5", "default: 0"), encoding="utf-8")
    run_lint(["--format", "json", str(path)], "pytorch-designer")
    assert json.loads(capsys.readouterr().out) == {
        "findings": [
            {
                "path": str(path),
                "line": 14,
                "column": 14,
                "rule": "default-out-of-range",
                "severity": "error",
                "message": "Input epochs is 0, but must be at least 1.",
                "hint": "Give a whole number from 1 to 10.",
            }
        ],
        "num_files": 1,
        "num_errors": 1,
        "num_warnings": 0,
    }


def test_github_annotations_escape_what_ends_a_property(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a,b.yaml"
    path.write_text("a: 1\n", encoding="utf-8")
    run_lint(["--format", "github", str(path)], "pytorch-designer")
    line = capsys.readouterr().out
    assert line.startswith("::error file=")
    assert "a%2Cb.yaml,line=1,col=1,title=not-a-spec::This is not a command component" in line


@pytest.mark.slow
def test_linting_our_specs_imports_nothing_heavy() -> None:
    program = (
        "import sys; from pytorch_designer.cli.main import main\n"
        "code = main(['lint', 'component.yaml', 'components'])\n"
        "heavy = {'torch', 'azure', 'mlflow', 'pyarrow', 'numpy', 'pandas'} & sys.modules.keys()\n"
        "sys.exit(f'imported {heavy}' if heavy else code)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True, timeout=300)


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        (
            "job",
            "$schema: x/commandJob.schema.json\ncommand: ls ${{inputs.a}}\nenvironment: azureml:e:1\ninputs: {a: 1}\n",
            [],
        ),
        (
            "misspelled",
            "type: command\ncommand: ls\nenviroment: azureml:e:1\nname: c\n",
            ["missing-key", "misspelled-key"],
        ),
        ("untyped", "command: ls\nenviroment: azureml:e:1\nname: c\n", ["missing-key", "misspelled-key"]),
        ("comand", "comand: ls\nenvironment: azureml:e:1\nname: c\n", ["missing-key", "misspelled-key"]),
        ("type", "type: pipline\njobs:\n  a: {command: ls, environment: 'azureml:e:1'}\n", ["unknown-type"]),
        ("jobs", "type: pipeline\njob: {}\n", ["missing-key", "refused-key"]),
        (
            "no value",
            "type: pipeline\nsettings: {}\ninputs:\n  d: {type: uri_folder}\njobs: {}\n",
            ["missing-input-value", "unused-pipeline-input"],
        ),
    ],
)
def test_what_looks_like_a_component_or_job_is_checked_as_one(
    tmp_path: Path, name: str, text: str, found: list[str]
) -> None:
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    for path in (tmp_path, tmp_path / "x.yaml"):
        result = lint([path])
        assert sorted(finding.kind for finding in result.findings) == found, name
        assert result.num_files == 1


@pytest.mark.parametrize(
    "text",
    [
        "$schema: https://azuremlschemas.azureedge.net/latest/pipelineComponentBatchDeployment.schema.json\n"
        "type: pipeline\ncomponent: x.yaml\n",
        "inputs: {a: {type: list}}\noutputs: {}\nnodes: []\nenvironment: {}\n",
        "on: push\njobs:\n  test: {runs-on: x, steps: [{run: ls}]}\n",
        "name: action\ninputs: {a: {default: 1}}\noutputs: {}\nruns: {using: node20}\n",
        "services: {web: {command: ls}}\n",
    ],
)
def test_nothing_checked_is_said_and_fails(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other.yaml").write_text(text, encoding="utf-8")

    assert run_lint([str(tmp_path)], "designer") == 1

    shown = capsys.readouterr().out
    assert f"{tmp_path}: error [nothing-checked] No YAML file in this folder is a component or job" in shown
    assert "0 files checked: 1 error" in shown
    assert [finding.kind for finding in lint([tmp_path / "other.yaml"]).findings] == ["not-a-spec"]


def test_components_that_a_pipeline_names_are_checked_too(folder: Path) -> None:
    component = COMPONENT.replace("type: boolean", "type: bool")
    (folder / "component.yaml").write_text(component, encoding="utf-8")

    result = lint([folder / "pipeline.yaml"])

    assert [(finding.kind, finding.place.file) for finding in result.findings] == [
        ("unknown-type", str(folder / "component.yaml"))
    ]
    assert result.num_files == 3


def test_a_component_may_be_named_by_its_absolute_path(folder: Path, tmp_path: Path) -> None:
    (folder / "component.yaml").write_text(COMPONENT.replace("type: boolean", "type: bool"), encoding="utf-8")
    elsewhere = tmp_path / "elsewhere" / "pipeline.yaml"
    elsewhere.parent.mkdir()
    elsewhere.write_text(
        f"type: pipeline\njobs:\n  a: {{type: command, component: {folder / 'component.yaml'}}}\n", encoding="utf-8"
    )

    result = lint([elsewhere])

    assert str(folder / "component.yaml") in {finding.place.file for finding in result.findings}
    assert findings_for_run(read_yaml(elsewhere)).place.file == str(elsewhere)


@pytest.mark.parametrize(
    "text",
    [
        "inputs:\n  data: {type: uri_folder, path: <path to the data>}\n",
        "inputs:\n  data: {type: uri_folder, path: data}\nenvironment: <name>\ncode: ./<CODE>\n",
        "inputs:\n  data: {type: uri_folder, path: '{{ data }}'}\n",
    ],
)
def test_placeholders_are_no_faults(tmp_path: Path, text: str) -> None:
    environment = "" if "environment" in text else "environment: azureml:e:1\n"
    (tmp_path / "data").mkdir()
    (tmp_path / "x.yaml").write_text(
        f"type: command\ncommand: ls ${{{{inputs.data}}}}\n{environment}{text}", encoding="utf-8"
    )
    assert lint([tmp_path / "x.yaml"]).findings == ()


def test_a_placeholder_for_a_component_is_no_fault(tmp_path: Path) -> None:
    text = "type: pipeline\njobs:\n  a:\n    type: command\n    component: <filled by the tests>\n"
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    assert lint([tmp_path / "x.yaml"]).findings == ()


def test_inputs_for_order_and_blocks_without_input_are_no_faults(folder: Path) -> None:
    text = (
        "type: pipeline\nexperiment_name: x\njobs:\n  a:\n    component: prepare.yaml\n    inputs: {raw: data}\n"
        "  b:\n    command: echo $[[--flag 'true']]\n    environment: azureml:e:1\n"
        "    inputs: {after: '${{parent.jobs.a.outputs.images}}'}\n"
    )
    (folder / "pipeline.yaml").write_text(text, encoding="utf-8")
    assert lint([folder / "pipeline.yaml"]).findings == ()


def test_settings_of_a_pipeline_component_are_no_fault(folder: Path) -> None:
    (folder / "both.yaml").write_text(f"{PIPELINE_COMPONENT}settings:\n  force_rerun: true\n", encoding="utf-8")
    assert lint([folder / "both.yaml"]).findings == ()
