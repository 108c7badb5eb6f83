"""Command line of a component, generated from its definition."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import NullOrEmptyError
from pytorch_designer.spec.component import Component, Port, dashed
from pytorch_designer.spec.parameters import FROM_STANDARD_INPUT, parse_parameters
from pytorch_designer.storage.output import check_outputs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytorch_designer.spec.parameters import ParameterSpec

_MAX_TEXT = 1 << 20


def component_parser(component: Component[Any], program: str) -> argparse.ArgumentParser:
    """A parser with an option per port and parameter, in dashed spelling. Values remain text."""
    parser = argparse.ArgumentParser(
        prog=f"{program} {component.command}", description=component.description, allow_abbrev=False
    )
    ports = parser.add_argument_group("ports")
    for port in component.inputs:
        ports.add_argument(f"--{dashed(port.name)}", metavar="DIR", help=_port_help(port, "in"))
    for port in component.outputs:
        ports.add_argument(f"--{dashed(port.name)}", metavar="DIR", help=_port_help(port, "out"))
    add_parameters(parser, component.parameter_specs)
    return parser


def run_component(component: Component[Any], arguments: Sequence[str], program: str) -> None:
    """Parse and validate the command line of a component, and run the component.

    Raises:
        SystemExit: The command line has unknown or incomplete options (code 2), or asks for help (code 0).
        DesignerError: Any named error.
    """
    given = vars(component_parser(component, program).parse_args(joined_options(arguments)))
    parameters = _with_standard_input(component.parameter_specs, given_parameters(component.parameter_specs, given))
    parsed = parse_parameters(component.parameters, parameters)
    inputs = {port.name: Path(given[port.name]) for port in component.inputs if _is_connected(port, given[port.name])}
    outputs = {port.name: Path(given[port.name]) for port in component.outputs if _is_connected(port, given[port.name])}
    check_outputs(outputs, inputs)  # here, because what a component imports first may take seconds
    component.run(inputs, outputs, parsed)


def add_parameters(parser: argparse.ArgumentParser, specs: Sequence[ParameterSpec]) -> None:
    """Add an option per parameter. Values remain text until `parse_parameters`."""
    if specs:
        group = parser.add_argument_group("parameters")
        for spec in specs:
            group.add_argument(f"--{dashed(spec.name)}", metavar=spec.type_name.upper(), help=_help(spec))


def given_parameters(specs: Sequence[ParameterSpec], given: Mapping[str, Any]) -> dict[str, str]:
    """The parameters among the parsed options that were given."""
    return {spec.name: given[spec.name] for spec in specs if given[spec.name] is not None}


def joined_options(arguments: Sequence[str]) -> list[str]:
    """Rewrite `--name value` as `--name=value`, so that a value such as -1e-3 is not taken for an option."""
    joined: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument.startswith("--") and "=" not in argument and argument != "--help":
            value = next(rest, None)
            if value is None or value.startswith("--"):
                joined += [argument] if value is None else [argument, value]
            else:
                joined.append(f"{argument}={value}")
        else:
            joined.append(argument)
    return joined


def _with_standard_input(specs: Sequence[ParameterSpec], given: dict[str, str]) -> dict[str, str]:
    """The parameters with standard input, without its last line end, for a text that is given as `-`."""
    free = {spec.name for spec in specs if spec.is_free_text}
    return {
        name: sys.stdin.read(_MAX_TEXT).removesuffix("\n") if name in free and text == FROM_STANDARD_INPUT else text
        for name, text in given.items()
    }


def _is_connected(port: Port, value: str | None) -> bool:
    if value:
        return True
    if port.is_optional:
        return False
    raise NullOrEmptyError(
        f"Port {port.name} is not connected.", where=port.name, advice=f"Give --{dashed(port.name)} a folder."
    )


def _port_help(port: Port, direction: str) -> str:
    optional = ", optional" if port.is_optional else ""
    return _escaped(f"{direction}, {port.directory_type.value}{optional}: {port.description}")


def _help(spec: ParameterSpec) -> str:
    choices = f" One of {', '.join(spec.choices)}." if spec.choices else ""
    bound = f" At least {spec.minimum}." if spec.minimum is not None else ""
    bound += f" At most {spec.maximum}." if spec.maximum is not None else ""
    default = "" if spec.default is None else f" Default: {spec.default}."
    source = f" {FROM_STANDARD_INPUT}: standard input." if spec.is_free_text else ""
    return _escaped(spec.description + choices + bound + default + source)


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
