"""Reference page of a component in docs/reference/."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from pytorch_designer.spec.component import Component, Port, dashed
from pytorch_designer.wording import bounds_in_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytorch_designer.spec.parameters import ParameterSpec


def reference_page(component: Component[Any]) -> str:
    """Markdown with a component's description, ports, parameters and command line."""
    sections = [
        f"<!-- Generated from src/pytorch_designer/components/{component.name}.py by `make generate`. -->",
        f"# {component.display_name}",
        component.description,
        f"Component `{component.name}`, category *{component.category}*, "
        + ("deterministic." if component.is_deterministic else "not deterministic."),
    ]
    if component.inputs:
        sections.append("## Inputs\n\n" + _ports(component.inputs))
    if component.parameter_specs:
        sections.append("## Parameters\n\n" + _parameters(component.parameter_specs))
        sections += _shell_note(component.parameter_specs)
    sections.append("## Outputs\n\n" + _ports(component.outputs))
    sections.append(f"## Command line\n\n```console\n{usage(component)}\n```")
    return "\n\n".join(sections) + "\n"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    cells = [list(header), *[[cell.replace("|", "\\|") for cell in row] for row in rows]]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(cells[0]), *lines[1:]])


def usage(component: Component[Any]) -> str:
    """An example that runs as it is printed: all parameters at their defaults, ports in folders of their names."""
    arguments = [f"--{dashed(port.name)} {port.name}" for port in component.inputs]
    arguments += [f"--{dashed(spec.name)} {_quoted(str(spec.default))}" for spec in component.parameter_specs]
    arguments += [f"--{dashed(port.name)} {port.name}" for port in component.outputs]
    return " \\\n  ".join([f"pytorch-designer {component.command}", *arguments])


def _quoted(value: str) -> str:
    """`value` for a command line, between double quotes where needed, which Windows knows too."""
    return value if shlex.quote(value) == value else f'"{value}"'


def _ports(ports: tuple[Port, ...]) -> str:
    rows = (
        (f"`{port.name}`", port.directory_type.value, port.description + (" Optional." if port.is_optional else ""))
        for port in ports
    )
    return table(("port", "type", "description"), rows)


def _parameters(specs: tuple[ParameterSpec, ...]) -> str:
    rows = ((f"`{spec.name}`", spec.type_name, _values(spec), _default(spec), spec.description) for spec in specs)
    return table(("parameter", "type", "values", "default", "description"), rows)


def _shell_note(specs: tuple[ParameterSpec, ...]) -> list[str]:
    """Fate of texts in a job, where a shell sees the command after the values are put into it."""
    free = [f"`{spec.name}`" for spec in specs if spec.is_free_text]
    listed = [f"`{spec.name}`" for spec in specs if spec.choices]
    note = "Azure ML and `pytorch-designer run` put the values of parameters into the command that a shell then reads."
    if free:
        note += (
            f" {', '.join(free)} is passed as a here-document: quotes, `;`, `$(...)` and line ends in it stay text. "
            "A value that is not a known name is refused."
        )
    if listed:
        note += f" {', '.join(listed)} can only be one of the values above; others are refused before the job starts."
    return [note] if free or listed else []


def _values(spec: ParameterSpec) -> str:
    if spec.choices:
        return ", ".join(f"`{choice}`" for choice in spec.choices)
    return bounds_in_words(spec.minimum, spec.maximum) or "any"


def _default(spec: ParameterSpec) -> str:
    return "required" if spec.default is None else f"`{spec.default}`"
