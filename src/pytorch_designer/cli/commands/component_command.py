"""Command line of a component, generated from its definition."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytorch_designer.addresses import local_path
from pytorch_designer.cli.command_parser import CommandParser, joined_options
from pytorch_designer.distributed.launching import run_in_processes
from pytorch_designer.errors import DesignerError, NullOrEmptyError
from pytorch_designer.settings import runs_as_job
from pytorch_designer.spec.component import Component, Port, dashed
from pytorch_designer.spec.parameters import FROM_STANDARD_INPUT, parse_parameters
from pytorch_designer.storage.output import check_outputs
from pytorch_designer.wording import bounds_in_words

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pytorch_designer.spec.parameters import ParameterSpec

_MAX_TEXT = 1 << 20


def component_parser(component: Component[Any], program: str) -> CommandParser:
    """A parser with an option per port and parameter, in dashed spelling. Values remain text."""
    parser = CommandParser(prog=f"{program} {component.command}", description=component.description)
    ports = parser.add_argument_group("ports")
    for port in component.inputs:
        ports.add_argument(f"--{dashed(port.name)}", metavar="DIR", help=_port_help(port, "in"))
    for port in component.outputs:
        ports.add_argument(f"--{dashed(port.name)}", metavar="DIR", help=_port_help(port, "out"))
    add_parameters(parser, component.parameter_specs)
    return parser


def run_component(component: Component[Any], arguments: Sequence[str], program: str) -> int:
    """Parse and validate the command line of a component, and run the component.

    Returns:
        The exit code, which is that of several processes where the component has been run in such.

    Raises:
        SystemExit: The command line has unknown or incomplete options (code 2), or asks for help (code 0).
        DesignerError: Any named error.
    """
    parser = component_parser(component, program)
    specs = component.parameter_specs
    given = vars(parser.parse_args(joined_options(arguments, parser.flags)))
    with options_in_advice(specs):
        parsed = parse_parameters(component.parameters, given_parameters(specs, given))
        inputs, outputs = (_folders(ports, given) for ports in (component.inputs, component.outputs))
        if component.is_distributed:
            exit_code = run_in_processes([component.command, *arguments])
            if exit_code is not None:
                return exit_code
        else:  # here, because what a component imports first may take seconds
            check_outputs(outputs, inputs, keeps_results=component.keeps_own_result)
        component.run(inputs, outputs, parsed)
    return 0


def add_parameters(parser: argparse.ArgumentParser, specs: Sequence[ParameterSpec]) -> None:
    """Add an option per parameter. Values remain text until `parse_parameters`."""
    if specs:
        group = parser.add_argument_group("parameters")
        for spec in specs:
            group.add_argument(f"--{dashed(spec.name)}", metavar=spec.type_name.upper(), help=_help(spec))


def given_parameters(specs: Sequence[ParameterSpec], given: Mapping[str, Any]) -> dict[str, str]:
    """The parameters among the parsed options that were given; `-` for a free text is standard input.

    Of standard input, the last line end is left out.
    """
    free = {spec.name for spec in specs if spec.is_free_text}
    texts = {spec.name: given[spec.name] for spec in specs if given[spec.name] is not None}
    return {
        name: sys.stdin.read(_MAX_TEXT).removesuffix("\n") if name in free and text == FROM_STANDARD_INPUT else text
        for name, text in texts.items()
    }


@contextmanager
def options_in_advice(specs: Sequence[ParameterSpec]) -> Iterator[None]:
    """Write the options of these parameters into the advice of a named error, except in a job of Azure ML.

    Advice names a parameter as `name` or `name=value`, between backticks; on the command line it is `--name value`.
    """
    try:
        yield
    except DesignerError as error:
        if not runs_as_job():
            error.advice = _with_options(error.advice, specs)
        raise


def _with_options(advice: str, specs: Sequence[ParameterSpec]) -> str:
    options = {spec.name: f"--{dashed(spec.name)}" for spec in specs}

    def option(named: re.Match[str]) -> str:
        name, value = named["name"], named["value"]
        if name not in options:
            return named[0]
        return f"`{options[name]}`" if value is None else f"`{options[name]} {value}`"

    return re.sub(r"`(?P<name>\w+)(?:=(?P<value>[^`]*))?`", option, advice)


def _folders(ports: Sequence[Port], given: Mapping[str, Any]) -> dict[str, Path]:
    connected = [port.name for port in ports if _is_connected(port, given[port.name])]
    return {name: local_path(given[name], name=name) for name in connected}


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
    bounds = bounds_in_words(spec.minimum, spec.maximum)
    bound = f" {bounds[0].upper()}{bounds[1:]}." if bounds else ""
    default = "" if spec.default is None else f" Default: {spec.default}."
    source = f" {FROM_STANDARD_INPUT}: standard input." if spec.is_free_text else ""
    return _escaped(spec.description + choices + bound + default + source)


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
