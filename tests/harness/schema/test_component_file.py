from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from pytorch_designer.errors import InvalidSpecError, UnsupportedLocallyError
from pytorch_designer.harness.schema.component_file import Kind, kind_of, read_component
from pytorch_designer.harness.schema.specification import Distribution, InputSpec, OutputSpec, Resources
from pytorch_designer.harness.schema.yaml_tree import parse_yaml

if TYPE_CHECKING:
    from pathlib import Path

COMPONENT = """\
type: command
name: make_model
version: 3
display_name: Make model
description: Makes one.
is_deterministic: false
inputs:
  data: {type: uri_folder, mode: ro_mount}
  rate: {type: number, default: 0.001, min: 0, max: 1.5, description: How fast.}
  kind: {type: string, enum: [a, b], optional: true}
outputs:
  model: {type: uri_folder, mode: upload}
code: ../src
additional_includes: [../shared]
environment: {image: ubuntu}
environment_variables: {LEVEL: 3}
distribution: {type: pytorch, process_count_per_instance: 2}
resources: {instance_count: 3, shm_size: 8g}
command: python -m make --rate ${{inputs.rate}}
"""


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_every_field_of_a_component_is_read(tmp_path: Path) -> None:
    spec = read_component(_write(tmp_path / "spec" / "c.yaml", COMPONENT))

    assert (spec.name, spec.version, spec.display_name, spec.description) == (
        "make_model",
        "3",
        "Make model",
        "Makes one.",
    )
    assert spec.command == "python -m make --rate ${{inputs.rate}}"
    assert spec.code == tmp_path / "src"
    assert spec.additional_includes == (tmp_path / "shared",)
    assert spec.environment == {"image": "ubuntu"}
    assert spec.environment_variables == {"LEVEL": "3"}
    assert spec.distribution == Distribution("pytorch", 2)
    assert spec.resources == Resources(3, "8g")
    assert spec.num_processes == 6
    assert spec.is_deterministic is False
    assert spec.source == tmp_path / "spec" / "c.yaml"
    assert list(spec.inputs.values()) == [
        InputSpec("data", "uri_folder", mode="ro_mount"),
        InputSpec("rate", "number", default=0.001, minimum=0, maximum=1.5, description="How fast."),
        InputSpec("kind", "string", is_optional=True, choices=("a", "b")),
    ]
    assert spec.outputs == {"model": OutputSpec("model", "uri_folder", mode="upload")}


def test_a_component_needs_no_more_than_a_command(tmp_path: Path) -> None:
    spec = read_component(_write(tmp_path / "c.yaml", "command: 'true'\n"))

    assert (spec.name, spec.label, spec.code, spec.num_processes) == ("c", "c", None, 1)
    assert spec.is_deterministic


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("type: number", "type: float", 9, "rate has the unknown type 'float'"),
        ("type: uri_folder, mode: ro_mount", "type: folder", 8, "data has the unknown type 'folder'"),
        ("{type: uri_folder, mode: upload}", "{type: folder}", 12, "model has the unknown type 'folder'"),
        ("min: 0", "min: low", 9, "min must be a number, not 'low'"),
        ("enum: [a, b]", "enum: a", 10, "enum must be a list"),
        ("optional: true", "optional: maybe", 10, "optional must be true or false"),
        ("default: 0.001", "default: [1]", 9, "default must be a single value"),
        ("is_deterministic: false", "is_deterministic: 1", 6, "is_deterministic must be true or false"),
        ("process_count_per_instance: 2", "process_count_per_instance: 0", 17, "must be a whole number of at least 1"),
        ("instance_count: 3", "instance_count: many", 18, "must be a whole number of at least 1"),
        ("[../shared]", "../shared", 14, "additional_includes must be a list"),
        ("code: ../src", "code: [a]", 13, "code must be a path"),
        ("command: python -m make --rate ${{inputs.rate}}", "command: ''", 19, "command is missing"),
        ("command: python -m make --rate ${{inputs.rate}}", "", 1, "command is missing"),
        ("name: make_model", "name: [a]", 2, "name must be text"),
        ("  model: {type: uri_folder, mode: upload}", "  model: uri_folder", 12, "model must be a mapping"),
    ],
)
def test_a_fault_names_file_and_line(tmp_path: Path, old: str, new: str, line: int, what: str) -> None:
    assert COMPONENT.count(old) == 1
    path = _write(tmp_path / "c.yaml", COMPONENT.replace(old, new))

    with pytest.raises(InvalidSpecError) as caught:
        read_component(path)

    assert what in caught.value.what
    assert caught.value.where == f"{path}:{line}"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: [1\nb: 2\n", 2, "not valid YAML"),
        ("command: 'true'\ninputs:\n  a: {type: string}\n  a: {type: integer}\n", 4, "'a' occurs twice"),
        ("command: 'true'\ncommand: 'false'\n", 2, "'command' occurs twice"),
        ("a: b: c\n", 1, "not valid YAML"),
        ("a: *missing\n", 1, "not valid YAML"),
    ],
)
def test_malformed_yaml_names_the_line(tmp_path: Path, text: str, line: int, what: str) -> None:
    path = _write(tmp_path / "c.yaml", text)

    with pytest.raises(InvalidSpecError) as caught:
        read_component(path)

    assert what in caught.value.what
    assert caught.value.where == f"{path}:{line}"


@pytest.mark.parametrize("text", ["", "- a\n", "just text\n", "\x00"])
def test_what_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidSpecError):
        read_component(_write(tmp_path / "c.yaml", text))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes(b"name: \xff\xfe")

    with pytest.raises(InvalidSpecError, match="UTF-8"):
        read_component(tmp_path / "c.yaml")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecError, match="no such file"):
        read_component(tmp_path / "missing.yaml")
    with pytest.raises(InvalidSpecError, match="folder"):
        read_component(tmp_path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("type: pipeline\njobs: {}\n", "pipeline"),
        ("jobs: {}\n", "pipeline"),
        ("type: spark\ncommand: a\n", "spark"),
        ("type: parallel\n", "parallel"),
        ("command: a\ncode: azureml:mycode:1\n", "azureml:mycode:1"),
        ("command: a\ncode: https://github.com/a/b\n", "https://github.com/a/b"),
        ("command: a\nadditional_includes: [{type: artifact, name: x}]\n", "Azure DevOps"),
    ],
)
def test_what_cannot_run_here_is_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(UnsupportedLocallyError, match=named):
        read_component(_write(tmp_path / "c.yaml", text))


def test_a_bound_without_a_dot_is_a_number(tmp_path: Path) -> None:
    text = "command: a\ninputs: {rate: {type: number, min: 1e-3}}\n"  # YAML 1.1 takes 1e-3 for a text

    assert read_component(_write(tmp_path / "c.yaml", text)).inputs["rate"].minimum == 0.001


@pytest.mark.parametrize("name", ["../../x", "/x", "..", ".", "a/b", "a b", "", "a\\b", "a\x1b[31m", "a\nb", "1a"])
@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_a_port_is_called_what_a_folder_may_be_called(tmp_path: Path, name: str, side: str) -> None:
    document = {"type": "command", "command": "true", side: {name: {"type": "uri_folder"}}}
    path = _write(tmp_path / "c.yaml", yaml.safe_dump(document, allow_unicode=True))

    with pytest.raises(InvalidSpecError, match="is not a name for an input or output"):
        read_component(path)


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ("{type: integer}", Kind.PIPELINE_COMPONENT),
        ("{type: string, default: a, optional: true}", Kind.PIPELINE_COMPONENT),
        ("{type: uri_folder, path: data}", Kind.PIPELINE_JOB),
        ("{type: integer, value: 3}", Kind.PIPELINE_JOB),
        ("3", Kind.PIPELINE_JOB),
    ],
)
def test_a_pipeline_without_schema_that_declares_parameters_is_a_component(
    entry: str, kind: Kind, tmp_path: Path
) -> None:
    text = f"type: pipeline\ninputs:\n  n: {entry}\njobs: {{}}\n"
    assert kind_of(parse_yaml(text, tmp_path / "inner.yml").root) is kind
