"""The command line of a job: bindings replaced by values, as Azure ML does before a shell sees the command.

    ${{inputs.NAME}}   ${{ outputs.NAME }}   the value; spaces inside the braces are allowed
    $[[ ... ]]                               its content, or nothing where an optional input in it has no value

The values are put in as they are: quoting is the command's business, on Azure ML as here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.errors import InvalidSpecError, NullOrEmptyError, shorten
from pytorch_designer.harness.schema.bindings import bindings_in, replace_bindings, replace_blocks
from pytorch_designer.harness.schema.values import render_value

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytorch_designer.harness.schema.bindings import Binding, OptionalBlock
    from pytorch_designer.harness.schema.specification import CommandSpec, InputValue


def render_command(spec: CommandSpec, inputs: Mapping[str, InputValue], outputs: Mapping[str, Path]) -> str:
    """The command of `spec` as the shell gets it.

    Args:
        spec: The component.
        inputs: Checked values, defaults filled in; optional inputs without a value are absent.
        outputs: The path of every output.

    Raises:
        InvalidSpecError: A binding is malformed or names something that the component does not have.
        NullOrEmptyError: An optional input without a value stands outside `$[[ ]]`.
    """

    def block(found: OptionalBlock) -> str:
        names = [_port(spec, binding) for binding in bindings_in(found.content)]
        has_values = all(side == "outputs" or name in inputs for side, name in names)
        return found.content if has_values else ""

    def value(binding: Binding) -> str:
        side, name = _port(spec, binding)
        if side == "outputs":
            return str(outputs[name])
        if name not in inputs:
            raise NullOrEmptyError(
                f"The optional input {name} of {spec.name} has no value, but its command needs one.",
                where=name,
                advice=f"Give it a value, or put its option into $[[ ]] in {spec.source}.",
            )
        return render_value(inputs[name])

    return replace_bindings(replace_blocks(spec.command, block), value)


def check_texts(
    spec: CommandSpec, command: str, inputs: Mapping[str, InputValue], environment_variables: Mapping[str, str]
) -> None:
    """Refuse what no process can be given: NUL characters, and names of variables that are none.

    Args:
        spec: The component.
        command: The rendered command.
        inputs: The checked values, which are variables of the job too.
        environment_variables: Those of the job.

    Raises:
        InvalidSpecError: The command or a variable has one.
    """
    if "\0" in command or any("\0" in render_value(value) for value in inputs.values()):
        raise InvalidSpecError("The command, or the value of an input, has a NUL character.", where=spec.source)
    for name, value in environment_variables.items():
        if not name or "=" in name or "\0" in name + value:
            raise InvalidSpecError(
                f"The environment variable {shorten(name, 80)!r} cannot be set.",
                where=spec.source,
                advice="A name has no equals sign, and neither name nor value has a NUL character.",
            )


def _port(spec: CommandSpec, binding: Binding) -> tuple[str, str]:
    side, name = ".".join(binding.parts[:1]), ".".join(binding.parts[1:])
    if side not in {"inputs", "outputs"} or not name:
        raise InvalidSpecError(
            f"The command has the binding {binding.written}, which names no input or output.",
            where=spec.source,
            advice="Write ${{inputs.name}} or ${{outputs.name}}.",
        )
    known = spec.inputs if side == "inputs" else spec.outputs
    if name not in known:
        raise InvalidSpecError(
            f"The command uses {binding.written}, but there is no {side.removesuffix('s')} {name!r}.",
            where=spec.source,
            advice=f"The {side} are: {', '.join(known) or 'none'}.",
        )
    return side, name
