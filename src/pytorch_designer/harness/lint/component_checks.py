"""Checks of command components, and of the parts that pipeline components have too."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytorch_designer.errors import GreaterThanOrEqualToError, LessThanOrEqualToError, ParameterError
from pytorch_designer.harness.lint.command_checks import check_command
from pytorch_designer.harness.lint.job_settings_checks import check_job_settings
from pytorch_designer.harness.lint.keys import check_keys, check_required_keys, check_tags, check_texts, mapping_at
from pytorch_designer.harness.schema.interface import read_interface
from pytorch_designer.harness.schema.spec_faults import closest
from pytorch_designer.harness.schema.values import NOT_A_CHOICE, parse_literal
from pytorch_designer.harness.schema.vocabulary import (
    AWKWARD_INPUT_NAMES,
    COMMAND_COMPONENT_KEYS,
    DATA_INPUT_KEYS,
    DATA_TYPES,
    MODES,
    OUTPUT_KEYS,
    PARAMETER_KEYS,
    PARAMETER_TYPES,
    PORT_NAME,
    RESERVED_INPUT_NAMES,
    TYPE_ALIASES,
)

if TYPE_CHECKING:
    from pytorch_designer.harness.lint.findings import Report
    from pytorch_designer.harness.schema.specification import InputSpec
    from pytorch_designer.harness.schema.yaml_tree import Value

_COMPONENT_NAME = re.compile(r"[a-z][a-z\d_]*")


def check_command_component(report: Report, component: Value, *, is_inline: bool = False) -> None:
    """Check a command component.

    Args:
        report: Where to report.
        component: The component's mapping.
        is_inline: Whether it is inside a pipeline node, where it needs no name.
    """
    known = COMMAND_COMPONENT_KEYS | {"environment_variables"}
    check_keys(report, component, known, owner="a component")
    check_required_keys(report, component, ("command", "environment"), owner="a command component")
    check_component(report, component, is_inline=is_inline)
    variables = component.get("environment_variables")
    if variables is not None:
        report.add(
            "component-environment-variables",
            variables.key_place,
            "environment_variables on a component are dropped.",
            "Set them on the node of the pipeline, in the environment's Dockerfile, or in the command.",
        )
    check_job_settings(report, component, owner="a component")
    check_command(report, component, read_interface(component, is_strict=False))


def check_component(report: Report, component: Value, *, is_inline: bool = False) -> None:
    """Check what every component has: its name, texts, tags, inputs and outputs."""
    name = component.get("name")
    if not is_inline:
        check_required_keys(report, component, ("name",), owner="a component")
    if name is not None and not is_inline and not _COMPONENT_NAME.fullmatch(str(name.plain)):
        report.add(
            "component-name",
            name.place,
            f"{name.shown_text} is not a name for a component.",
            "Use a-z, 0-9 and _, and start with a letter; display_name may be any text.",
        )
    check_texts(report, component, ("display_name", "description", "command"))
    check_tags(report, component)
    _check_boolean(report, component, "is_deterministic")
    inputs, outputs = mapping_at(report, component, "inputs"), mapping_at(report, component, "outputs")
    for section in (inputs, outputs):
        if section is not None:
            _check_port_names(report, section)
    ports = read_interface(component, is_strict=False).inputs
    for port_name, value in (inputs.children if inputs else {}).items():
        _check_input(report, ports[port_name], value)
    for value in (outputs.children if outputs else {}).values():
        _check_output(report, value)


def check_reserved_names(report: Report, component: Value) -> None:
    """Report inputs whose names collide with the environment of the job."""
    inputs = component.get("inputs")
    for name, value in (inputs.children if inputs else {}).items():
        if name.lower() in RESERVED_INPUT_NAMES:
            report.add(
                "reserved-name",
                value.key_place,
                f"An input cannot be called {name}: the job's shell has a variable of that name.",
                f"Call it {name.lower()}_value or something more specific.",
            )
        elif name.lower() in AWKWARD_INPUT_NAMES:
            report.add("awkward-name", value.key_place, f"An input called {name} misbehaves.", "Use another name.")


def check_type(report: Report, owner: Value, known: frozenset[str]) -> str | None:
    """The known type of a mapping, or None after reporting that it has none."""
    value = owner.get("type")
    if value is None:
        report.add("missing-key", owner.key_place, "An input or output needs a type.", "For example uri_folder.")
        return None
    if value.text in known:
        return value.text
    wanted = TYPE_ALIASES.get(str(value.plain).lower().replace("_", "")) or closest(str(value.plain), known)
    advice = f"Did you mean {wanted}?" if wanted else f"There are: {', '.join(sorted(known - {'path'}))}."
    report.add("unknown-type", value.place, f"{value.shown_text} is not a type of Azure ML.", advice)
    return None


def check_literal(report: Report, port: InputSpec, value: Value, *, is_default: bool = False) -> None:
    """Report what is wrong with a default, or with a value that a node gives to a parameter."""
    fault = None
    try:
        parse_literal(port, value.plain)
    except ParameterError as error:
        is_out_of_range = isinstance(error, (GreaterThanOrEqualToError, LessThanOrEqualToError))
        fault = "out-of-range" if is_out_of_range else "not-in-enum" if error.reason == NOT_A_CHOICE else "wrong-type"
        report.add(f"{'default' if is_default else 'value'}-{fault}", value.place, error.what, error.advice)
    if port.type == "string" and fault != "wrong-type" and value.text is None and str(value.plain) != value.written:
        kind = type(value.plain).__name__
        message = f"{value.written} is read by YAML as {kind} and becomes the text {value.plain!s}."
        report.add("changed-text", value.place, message, "Put the text in quotes.")


def _check_port_names(report: Report, section: Value) -> None:
    earlier: dict[str, str] = {}
    for name, value in section.children.items():
        if not PORT_NAME.fullmatch(name):
            report.add("port-name", value.key_place, f"{name} is not an identifier.", "Use letters, digits and _.")
        elif name.lower() in earlier:
            report.add("port-name", value.key_place, f"{name} differs from {earlier[name.lower()]} in case only.")
        earlier.setdefault(name.lower(), name)


def _check_input(report: Report, port: InputSpec, value: Value) -> None:
    if not value.is_mapping:
        report.add("wrong-value", value.place, f"The input {port.name} must be a mapping with a type.")
        return
    type_name = check_type(report, value, PARAMETER_TYPES | DATA_TYPES)
    _check_boolean(report, value, "optional")
    check_texts(report, value, ("description",))
    if type_name in PARAMETER_TYPES:
        check_keys(report, value, PARAMETER_KEYS, owner=f"an input of type {type_name}", are_refused=True)
        _check_parameter(report, port, value)
        _check_enum(report, value)
    elif type_name is not None:
        check_keys(report, value, DATA_INPUT_KEYS, owner=f"an input of type {type_name}", are_refused=True)
        _check_mode(report, value)
        default = value.get("default")
        if default is not None:
            report.add(
                "default-on-port",
                default.key_place,
                f"The input {port.name} is data and cannot have a default.",
                "Make it optional, or let the pipeline give it.",
            )


def _check_output(report: Report, value: Value) -> None:
    if not value.is_mapping:
        report.add("wrong-value", value.place, "An output must be a mapping with a type.", "For example uri_folder.")
        return
    type_name = check_type(report, value, PARAMETER_TYPES | DATA_TYPES)
    if type_name in DATA_TYPES:
        check_keys(report, value, OUTPUT_KEYS, owner="an output", are_refused=True)
        _check_mode(report, value)
    check_texts(report, value, ("description",))


def _check_parameter(report: Report, port: InputSpec, value: Value) -> None:
    bounds = [bound for bound in (value.get("min"), value.get("max")) if bound is not None]
    if port.type in {"integer", "number"}:
        numbers = {"min": port.minimum, "max": port.maximum}
        for bound in bounds:
            if numbers[bound.keys[-1]] is None:
                report.add("wrong-value", bound.place, f"{bound.written} is not a number.")
        if port.minimum is not None and port.maximum is not None and port.minimum > port.maximum:
            message = f"min {port.minimum} of {port.name} is above max {port.maximum}."
            report.add("min-above-max", bounds[0].key_place, message)
    else:
        for bound in bounds:
            message = f"An input of type {port.type} cannot have min or max."
            report.add("bounds-not-allowed", bound.key_place, message, "Check it in the program.")
    default = value.get("default")
    if default is not None:
        check_literal(report, port, default, is_default=True)


def _check_enum(report: Report, value: Value) -> None:
    choices = value.get("enum")
    if choices is None:
        return
    if not choices.entries:
        report.add("wrong-value", choices.place, "enum must be a list of texts.")
    for entry in choices.entries:
        if entry.text is None:
            report.add("enum-not-text", entry.place, f"{entry.written} must be text.", "Put it in quotes.")


def _check_mode(report: Report, value: Value) -> None:
    mode = value.get("mode")
    if mode is not None and mode.text not in MODES:
        wanted = closest(str(mode.plain), MODES)
        advice = f"Did you mean {wanted}?" if wanted else "For folders: ro_mount, download, rw_mount or upload."
        report.add("wrong-value", mode.place, f"{mode.shown_text} is not a mode of an input or output.", advice)


def _check_boolean(report: Report, owner: Value, name: str) -> None:
    value = owner.get(name)
    if value is not None and not isinstance(value.plain, bool) and str(value.plain).lower() not in {"true", "false"}:
        report.add("wrong-value", value.place, f"{name} must be true or false.")
