from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytorch_designer.errors import InvalidSpecError, NullOrEmptyError
from pytorch_designer.harness.job.rendering import render_command
from pytorch_designer.harness.schema.specification import CommandSpec, InputSpec, InputValue, OutputSpec

INPUTS = {
    "rate": InputSpec("rate", "number"),
    "flag": InputSpec("flag", "boolean"),
    "data": InputSpec("data", "uri_folder"),
    "note": InputSpec("note", "string", is_optional=True),
    "more": InputSpec("more", "uri_folder", is_optional=True),
}
VALUES: dict[str, InputValue] = {"rate": 1e-7, "flag": True, "data": Path("/d")}


def _render(command: str, values: dict[str, InputValue] | None = None) -> str:
    spec = CommandSpec("sample", command, Path("c.yaml"), inputs=INPUTS, outputs={"model": OutputSpec("model")})
    return render_command(spec, VALUES if values is None else values, {"model": Path("/out/m")})


@pytest.mark.parametrize(
    ("command", "rendered"),
    [
        ("run ${{inputs.rate}}", "run 1e-07"),
        ("run ${{ inputs.rate }} ${{inputs.flag }}", "run 1e-07 True"),
        ("run --data ${{inputs.data}} -o ${{outputs.model}}", "run --data /d -o /out/m"),
        ("run ${{inputs.data}}/sub", "run /d/sub"),
        ("run $[[--note ${{inputs.note}}]] -x", "run  -x"),
        ("run $[[--data ${{inputs.data}}]]", "run --data /d"),
        ("run $[[--note ${{inputs.note}} --data ${{inputs.data}}]]", "run "),
        ("run $[[-v]]", "run -v"),
        ("run\n  $[[\n--note ${{inputs.note}}\n]]\n  -x", "run\n  \n  -x"),
        ("echo $HOME ${PATH} $((1+1)) $[1]", "echo $HOME ${PATH} $((1+1)) $[1]"),
        ("[[ -n x ]] && echo {{a}}", "[[ -n x ]] && echo {{a}}"),
    ],
)
def test_bindings_become_values(command: str, rendered: str) -> None:
    assert _render(command) == rendered


def test_an_optional_input_with_a_value_stays() -> None:
    command = "run $[[--note ${{inputs.note}}]] $[[--more ${{inputs.more}}]]"

    assert _render(command, VALUES | {"note": "hi"}) == "run --note hi "


def test_a_value_that_looks_like_a_binding_is_not_rendered_again() -> None:
    values = VALUES | {"note": "${{inputs.rate}} $[[x]]"}

    assert _render("run $[[${{inputs.note}}]]", values) == "run ${{inputs.rate}} $[[x]]"


def test_a_shell_sees_what_the_quotes_of_the_command_say() -> None:
    command = _render('printf "%s|" "${{inputs.note}}" ${{inputs.note}}', VALUES | {"note": "a  b"})

    shown = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=300).stdout

    assert shown == "a  b|a|b|"


@pytest.mark.parametrize(
    "command", ["${{inputs.missing}}", "${{outputs.rate}}", "${{inputs}}", "${{parent.inputs.rate}}", "${{}}"]
)
def test_a_binding_to_nothing_is_refused_by_name(command: str) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        _render(f"run {command}")

    assert command in caught.value.what


def test_an_optional_input_without_a_value_outside_of_its_block_is_refused() -> None:
    with pytest.raises(NullOrEmptyError, match="note"):
        _render("run ${{inputs.note}}")
