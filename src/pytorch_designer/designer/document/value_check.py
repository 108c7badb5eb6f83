"""Check of one value while it is typed, by the rules in the component's YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.errors import ParameterError
from pytorch_designer.harness.schema.bindings import bindings_in
from pytorch_designer.harness.schema.values import parse_literal

if TYPE_CHECKING:
    from pytorch_designer.harness.schema.specification import InputSpec


def value_message(port: InputSpec, value: object) -> str | None:
    """Message about a wrong value for an input; None if it is right.

    Args:
        port: The input.
        value: Text as it is typed, or a JSON value; None and empty text stand for the default.
    """
    if value is None or value == "":
        has_value = port.default is not None or port.is_optional
        return None if has_value or (value == "" and port.type == "string") else f"{port.name} needs a value."
    if port.is_data or (isinstance(value, str) and bindings_in(value)):
        return None
    try:
        parse_literal(port, value)
    except ParameterError as error:
        return f"{error.what} {error.advice}".strip()
    return None
