"""Whether a value that is written in a file is a value of an input."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytorch_designer.harness.lint.findings import Report
    from pytorch_designer.harness.lint.interfaces import Port
    from pytorch_designer.harness.lint.yaml_tree import Value

_RULES_FOR_DEFAULT = {"type": "default-wrong-type", "range": "default-out-of-range", "enum": "default-not-in-enum"}
_RULES_FOR_VALUE = {"type": "value-wrong-type", "range": "value-out-of-range", "enum": "value-not-in-enum"}


def check_literal(report: Report, port: Port, value: Value, *, is_default: bool) -> None:
    """Report what is wrong with a default, or with a value that a node gives to a parameter."""
    rules = _RULES_FOR_DEFAULT if is_default else _RULES_FOR_VALUE
    shown = f"{'The default' if is_default else 'The value'} {value.written if value.is_scalar else 'given'}"
    if not is_of_type(value, port.type_name):
        report.add(
            rules["type"],
            value.position,
            f"{shown} of {port.name} is not of type {port.type_name}.",
            _type_hint(port.type_name),
        )
        return
    for message in _range_faults(port, value):
        report.add(rules["range"], value.position, f"{shown} of {port.name} is {message}.", "Bounds are inclusive.")
    if port.choices and not _is_choice(port, value):
        report.add(
            rules["enum"],
            value.position,
            f"{shown} of {port.name} is not one of its choices.",
            f"Choices: {', '.join(port.choices[:12])}.",
        )
    if port.type_name == "string" and _is_changed_by_yaml(value):
        report.add(
            "changed-text",
            value.position,
            f"{value.written} is read by YAML as {type(value.plain).__name__} and becomes the text {value.plain!s}.",
            "Put the text in quotes.",
        )


def is_of_type(value: Value, type_name: str | None) -> bool:
    """Whether a scalar is a value of a parameter type; text counts as what it reads as."""
    if not value.is_scalar or value.plain is None:
        return False
    if type_name == "boolean":
        return isinstance(value.plain, bool) or str(value.plain).lower() in {"true", "false"}
    if type_name in {"integer", "number"}:
        number = as_number(value)
        return number is not None and (type_name == "number" or (math.isfinite(number) and number == int(number)))
    return type_name != "string" or isinstance(value.plain, (str, bool, int, float))


def as_number(value: Value | None) -> float | int | None:
    """The number that a scalar is or reads as, or None. Booleans are no numbers."""
    if value is None or isinstance(value.plain, bool):
        return None
    if isinstance(value.plain, (int, float)):
        return value.plain
    try:
        return float(value.plain) if isinstance(value.plain, str) else None
    except ValueError:
        return None


def _range_faults(port: Port, value: Value) -> Iterator[str]:
    number, minimum, maximum = as_number(value), as_number(port.minimum), as_number(port.maximum)
    if number is None or not port.is_parameter:
        return
    if minimum is not None and number < minimum:
        yield f"below its min {minimum}"
    if maximum is not None and number > maximum:
        yield f"above its max {maximum}"


def _is_choice(port: Port, value: Value) -> bool:
    if str(value.plain) in port.choices or value.written in port.choices:
        return True
    number = as_number(value)
    return port.type_name in {"integer", "number"} and any(_reads_as(choice, number) for choice in port.choices)


def _reads_as(choice: str, number: float | None) -> bool:
    try:
        return float(choice) == number
    except ValueError:
        return False


def _is_changed_by_yaml(value: Value) -> bool:
    return not isinstance(value.plain, str) and str(value.plain) != value.written


def _type_hint(type_name: str | None) -> str:
    return {
        "integer": "Write a whole number; the SDK cuts fractions off silently.",
        "number": "Write a number such as 0.001.",
        "boolean": "Write true or false.",
    }.get(type_name or "", "")
