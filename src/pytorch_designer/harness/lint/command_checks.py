"""Checks of a command line: its bindings, its optional blocks and its line ends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.harness.lint.bindings import (
    Binding,
    OptionalBlock,
    bindings_in,
    half_bindings_in,
    optional_blocks_in,
)
from pytorch_designer.harness.lint.findings import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytorch_designer.harness.lint.findings import Report
    from pytorch_designer.harness.lint.interfaces import Port
    from pytorch_designer.harness.lint.yaml_tree import Value

# The platform also passes ports in variables of the environment, which a command or its program may read.
_VARIABLE = re.compile(r"AZURE_?ML_(?:INPUT|OUTPUT|PARAMETER)_(\w+)", re.IGNORECASE)

# An output of this name is where ./outputs and ./logs of the job go; no command names it.
_COLLECTED_OUTPUTS = frozenset({"artifacts", "default"})


@dataclass(frozen=True)
class Command:
    """A command and what it may refer to.

    Attributes:
        value: The command's text.
        inputs: Declared inputs.
        outputs: Declared outputs.
        also_used_in: Other texts in which ports may be used, such as resources.
        roots: The first words that a binding may have.
    """

    value: Value
    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]
    also_used_in: Sequence[Value] = ()
    roots: frozenset[str] = frozenset({"inputs", "outputs"})


def check_command(report: Report, command: Command, *, unused_matters: bool = True) -> None:
    """Check a command.

    Args:
        report: Where to report.
        command: The command.
        unused_matters: Whether to report declared ports that are not used.
    """
    text = command.value.text or ""
    bindings = bindings_in(text)
    for written, hint in half_bindings_in(text):
        report.add("bad-binding", command.value.locate(written), f"{_short(written)} is no binding.", hint)
    for binding in bindings:
        _check_binding(report, command, binding)
    _check_optional_inputs(report, command, bindings)
    _check_line_ends(report, command.value)
    if unused_matters:
        _check_unused(report, command)


def is_declared(parts: Sequence[str], declared: Mapping[str, Port]) -> bool:
    """Whether `inputs.<parts>` is declared; the inputs of a group are declared as `group.name`."""
    name = ".".join(parts)
    return name in declared or parts[0] in declared or any(port.startswith(f"{parts[0]}.") for port in declared)


def _check_binding(report: Report, command: Command, binding: Binding) -> None:
    at = command.value.locate(binding.written)
    root, *rest = binding.parts or ("",)
    if root not in command.roots or not rest:
        wanted = " or ".join(f"${{{{{root}.<name>}}}}" for root in sorted(command.roots))
        report.add("bad-binding", at, f"{_short(binding.written)} means nothing in a command.", f"Use {wanted}.")
    elif root == "inputs" and not is_declared(rest, command.inputs):
        message = f"The command uses the input {'.'.join(rest)}, which is not declared."
        report.add("undeclared-input", at, message, did_you_mean(rest[0], command.inputs))
    elif root == "outputs" and not is_declared(rest, command.outputs):
        message = f"The command uses the output {'.'.join(rest)}, which is not declared."
        report.add("undeclared-output", at, message, did_you_mean(rest[0], command.outputs))


def _check_optional_inputs(report: Report, command: Command, bindings: Sequence[Binding]) -> None:
    blocks = optional_blocks_in(command.value.text or "")
    for block in blocks:
        _check_block(report, command, block, [b for b in bindings if block.start <= b.start < block.end])
    for binding in bindings:
        port = _input(command, binding)
        if port is None or not port.is_optional or port.default is not None:
            continue
        if not any(block.start <= binding.start < block.end for block in blocks):
            report.add(
                "optional-outside-brackets",
                command.value.locate(binding.written),
                f"The optional input {port.name} stands outside $[[ ]].",
                f"Write $[[--{port.name.replace('_', '-')} {binding.written}]] so that it vanishes without a value.",
            )


def _check_block(report: Report, command: Command, block: OptionalBlock, inside: Sequence[Binding]) -> None:
    at = command.value.locate(block.written)
    if not inside:
        report.add(
            "bad-binding", at, f"{_short(block.written)} holds no binding.", "Write $[[--name ${{inputs.name}}]]."
        )
        return
    ports = [port for port in (_input(command, binding) for binding in inside) if port is not None]
    if ports and not any(port.is_optional for port in ports):
        report.add(
            "required-inside-brackets",
            at,
            f"$[[ ]] holds the required input {ports[0].name}.",
            "Declare the input with optional: true, or take the brackets away.",
        )


def _input(command: Command, binding: Binding) -> Port | None:
    if len(binding.parts) < 2 or binding.parts[0] != "inputs":
        return None
    return command.inputs.get(".".join(binding.parts[1:]))


def _check_line_ends(report: Report, value: Value) -> None:
    for position in value.lines_ending_with_backslash():
        if value.joins_lines:
            report.add(
                "line-continuation",
                position,
                "YAML joins the lines of this command, so the backslash reaches the shell in front of a blank.",
                "Take the backslash away.",
            )
        elif value.is_literal_block:
            report.add(
                "literal-continuation",
                position,
                "A backslash at the end of a line of a command.",
                "Write the command with `>-` and without backslashes.",
            )


def _check_unused(report: Report, command: Command) -> None:
    texts = [command.value.text or "", *(value.text or "" for value in command.also_used_in)]
    if not bindings_in(command.value.text or ""):
        return  # a command that passes nothing on has a program that finds its ports by other means
    used = {binding.parts[:2] for text in texts for binding in bindings_in(text)}
    variables = {match.lower() for text in texts for match in _VARIABLE.findall(text)}
    for section, ports, rule_id in (
        ("inputs", command.inputs, "unused-input"),
        ("outputs", command.outputs, "unused-output"),
    ):
        for name, port in ports.items():
            if section == "outputs" and name in _COLLECTED_OUTPUTS:
                continue
            if (section, name.split(".")[0]) not in used and name.lower() not in variables:
                message = f"The command does not use the {section[:-1]} {name}."
                report.add(rule_id, port.position, message, f"Pass ${{{{{section}.{name}}}}} on, or remove it.")


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
