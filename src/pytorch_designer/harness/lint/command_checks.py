"""Checks of a command line: its bindings, its optional blocks and its line ends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.harness.schema.bindings import (
    Binding,
    OptionalBlock,
    bindings_in,
    half_bindings_in,
    optional_blocks_in,
)
from pytorch_designer.harness.schema.spec_faults import did_you_mean
from pytorch_designer.harness.schema.vocabulary import COLLECTED_OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytorch_designer.harness.lint.findings import Report
    from pytorch_designer.harness.schema.specification import InputSpec, Interface
    from pytorch_designer.harness.schema.yaml_tree import Value

# The platform also passes ports in environment variables, which a command or its program may read.
_VARIABLE = re.compile(r"AZURE_?ML_(?:INPUT|OUTPUT|PARAMETER)_(\w+)", re.IGNORECASE)

_NAMES_A_PORT = re.compile(r"\b(inputs|outputs)\.\w")
_NOT_SETTINGS = frozenset({"command", "inputs", "outputs", "description", "tags"})


@dataclass(frozen=True)
class _Command:
    """Command of a component or node, and the ports that it may refer to."""

    owner: Value
    value: Value
    interface: Interface
    roots: frozenset[str]

    def input(self, binding: Binding) -> InputSpec | None:
        """The input that a binding refers to, if it does."""
        return self.interface.inputs.get(".".join(binding.parts[1:])) if binding.parts[:1] == ("inputs",) else None


def check_command(
    report: Report, owner: Value, interface: Interface, *, roots: Iterable[str] = (), unused_matters: bool = True
) -> None:
    """Check the command of a component or node.

    Args:
        report: Where to report.
        owner: The mapping of the component or node.
        interface: Its ports.
        roots: The first words that a binding may have, apart from `inputs` and `outputs`.
        unused_matters: Whether to report declared ports that are not used.
    """
    value = owner.get("command")
    if value is None or value.text is None:
        return
    command = _Command(owner, value, interface, frozenset({"inputs", "outputs", *roots}))
    bindings = bindings_in(value.text)
    for written, advice in half_bindings_in(value.text):
        report.add("bad-binding", value.locate(written), f"{_short(written)} is not a binding.", advice)
    for binding in bindings:
        _check_binding(report, command, binding)
    _check_optional_inputs(report, command, bindings)
    _check_line_ends(report, value)
    if unused_matters and bindings:  # without bindings, the program finds its ports by other means
        _check_unused(report, command, bindings)


def is_declared(parts: Sequence[str], declared: Iterable[str]) -> bool:
    """True if `inputs.<parts>` is declared; the inputs of a group are declared as `group.name`."""
    name = ".".join(parts)
    return any(port in {name, parts[0]} or port.startswith(f"{parts[0]}.") for port in declared)


def _check_binding(report: Report, command: _Command, binding: Binding) -> None:
    at = command.value.locate(binding.written)
    root, *rest = binding.parts or ("",)
    if root not in command.roots or not rest:
        wanted = " or ".join(f"${{{{{root}.<name>}}}}" for root in sorted(command.roots))
        report.add("bad-binding", at, f"{_short(binding.written)} means nothing in a command.", f"Use {wanted}.")
    elif root == "inputs" and not is_declared(rest, command.interface.inputs):
        message = f"The command uses the input {'.'.join(rest)}, which is not declared."
        report.add("undeclared-input", at, message, did_you_mean(rest[0], command.interface.inputs))
    elif root == "outputs" and not is_declared(rest, command.interface.outputs):
        message = f"The command uses the output {'.'.join(rest)}, which is not declared."
        report.add("undeclared-output", at, message, did_you_mean(rest[0], command.interface.outputs))


def _check_optional_inputs(report: Report, command: _Command, bindings: Sequence[Binding]) -> None:
    blocks = optional_blocks_in(command.value.text or "")
    for block in blocks:
        _check_block(report, command, block, [b for b in bindings if block.start <= b.start < block.end])
    for binding in bindings:
        port = command.input(binding)
        if port is None or not port.is_optional or port.default is not None:
            continue
        if not any(block.start <= binding.start < block.end for block in blocks):
            report.add(
                "optional-outside-brackets",
                command.value.locate(binding.written),
                f"The optional input {port.name} is outside $[[ ]].",
                f"Write $[[--{port.name.replace('_', '-')} {binding.written}]] so that it is left out without a value.",
            )


def _check_block(report: Report, command: _Command, block: OptionalBlock, inside: Sequence[Binding]) -> None:
    at = command.value.locate(block.written)
    if not inside and _NAMES_A_PORT.search(block.content):  # without one, the block is never left out
        report.add(
            "bad-binding", at, f"{_short(block.written)} contains no binding.", "Write $[[--name ${{inputs.name}}]]."
        )
    ports = [port for port in (command.input(binding) for binding in inside) if port is not None]
    if ports and not any(port.is_optional for port in ports):
        report.add(
            "required-inside-brackets",
            at,
            f"$[[ ]] contains the required input {ports[0].name}.",
            "Declare the input with optional: true, or remove the brackets.",
        )


def _check_line_ends(report: Report, value: Value) -> None:
    for place in value.lines_ending_with_backslash():
        if value.joins_lines:
            report.add(
                "line-continuation",
                place,
                "YAML joins the lines of this command, so the backslash reaches the shell before a space.",
                "Remove the backslash.",
            )
        elif value.is_literal_block:
            report.add(
                "literal-continuation",
                place,
                "A backslash at the end of a line of a command.",
                "Write the command with `>-` and without backslashes.",
            )


def _check_unused(report: Report, command: _Command, bindings: Sequence[Binding]) -> None:
    settings = [value.text or "" for value in command.owner.texts(skipping=_NOT_SETTINGS)]
    used = {binding.parts[:2] for binding in (*bindings, *(found for text in settings for found in bindings_in(text)))}
    texts = [command.value.text or "", *settings]
    variables = {match.lower() for text in texts for match in _VARIABLE.findall(text)}
    for section, names, rule_id in (
        ("inputs", command.interface.inputs, "unused-input"),
        ("outputs", command.interface.outputs.keys() - COLLECTED_OUTPUTS, "unused-output"),
    ):
        for name in names:
            declared = command.owner.get(section, name)
            if (section, name.split(".")[0]) in used or name.lower() in variables or declared is None:
                continue
            if section == "inputs" and _may_be_for_order(command.interface.inputs[name], declared):
                continue
            message = f"The command does not use the {section[:-1]} {name}."
            report.add(rule_id, declared.key_place, message, f"Pass ${{{{{section}.{name}}}}} on, or remove it.")


def _may_be_for_order(port: InputSpec, declared: Value) -> bool:
    """True if an input may be there for nothing but to wait for the node that writes it."""
    return port.is_data or "jobs" in {part for text in declared.texts() for part in _parts(text)}


def _parts(value: Value) -> Iterator[str]:
    for binding in bindings_in(value.text or ""):
        yield from binding.parts[1:2]


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
