from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytorch_designer.cli.commands.lint_command import run_lint
from pytorch_designer.harness.lint.formats import rules_page
from pytorch_designer.harness.lint.linter import lint
from pytorch_designer.harness.lint.rules import RULES
from tests.harness.lint.lint_files import COMPONENT
from tests.harness.lint.test_component_rules import MISTAKES as COMPONENT_MISTAKES
from tests.harness.lint.test_node_kind_rules import MISTAKES as KIND_MISTAKES
from tests.harness.lint.test_pipeline_rules import MISTAKES as PIPELINE_MISTAKES

REPOSITORY = Path(__file__).parents[3]
OTHERWISE_TESTED = {
    "yaml-syntax",
    "not-a-spec",
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
    [("a: [1\n", (2, 1)), ("a: 1\n---\nb: 2\n", (2, 1)), ("a: \x07\n", (1, 1)), ("default: 2026-13-45\n", (1, 1))],
)
def test_text_that_is_not_one_yaml_document(tmp_path: Path, text: str, position: tuple[int, int]) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    assert [(f.kind, (f.place.line, f.place.column)) for f in lint([path]).findings] == [("yaml-syntax", position)]


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(b"name: caf\xe9\n")
    assert [f.kind for f in lint([path]).findings] == ["yaml-syntax"]


@pytest.mark.parametrize("text", ["", "- a\n", "a: 1\n", "type: amlcompute\nname: x\n", "on: push\njobs:\n  a: {}\n"])
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


def test_linting_our_specs_is_quick_and_imports_neither_torch_nor_azure() -> None:
    program = (
        "import sys; from pytorch_designer.cli.main import main\n"
        "code = main(['lint', 'component.yaml', 'components'])\n"
        "heavy = {'torch', 'azure', 'mlflow', 'pyarrow', 'numpy', 'pandas'} & sys.modules.keys()\n"
        "sys.exit(f'imported {heavy}' if heavy else code)\n"
    )
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True, timeout=60)
    assert time.perf_counter() - started < 5  # 0.3 s alone on a quiet machine; room for a busy one
