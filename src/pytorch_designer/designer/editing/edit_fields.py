"""Fields of an edit as the page sends it, checked: an edit is data from outside."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import DesignerError, InvalidSpecError, describe_value

if TYPE_CHECKING:
    from collections.abc import Mapping

Scalar = bool | int | float | str
_NODE_NAME = re.compile(r"[a-z_][a-z\d_]*", re.ASCII)
_PORT_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_MAX_TEXT = 100_000
_MAX_PIXELS = 1_000_000


def refused(message: str, where: str, reason: str, advice: str = "") -> DesignerError:
    """The error of an edit that is not made, to be raised."""
    return InvalidSpecError(message, where=where, advice=advice or "Nothing was changed.", reason=reason)


class EditFields:
    """Typed access to the fields of one edit. Each method raises `InvalidSpecError` where a field is malformed.

    Args:
        edit: The edit, as JSON has it.
    """

    def __init__(self, edit: object) -> None:
        if not isinstance(edit, dict) or not isinstance(edit.get("op"), str):
            raise _malformed("edits", "an edit with an `op`", edit)
        self.plain: Mapping[str, Any] = edit

    @property
    def op(self) -> str:
        """Name of the operation."""
        return str(self.plain["op"])

    def text(self, key: str) -> str:
        """Text."""
        value = self.plain.get(key)
        if not isinstance(value, str) or len(value) > _MAX_TEXT:
            raise self.malformed(key, "text")
        return value

    def optional_text(self, key: str) -> str | None:
        """Text, or None where it is absent or null."""
        return None if self.plain.get(key) is None else self.text(key)

    def texts(self, key: str) -> list[str]:
        """A list of texts without repetition."""
        value = self.plain.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
            raise self.malformed(key, "a list of names")
        return list(dict.fromkeys(value))

    def scalar(self, key: str) -> Scalar | None:
        """Text, a finite number, a boolean, or None where it is absent or null."""
        value = self.plain.get(key)
        is_scalar = value is None or isinstance(value, (bool, int, str)) or _is_finite(value)
        if not is_scalar or len(str(value)) > _MAX_TEXT:
            raise self.malformed(key, "text, a number or a boolean")
        return value

    def fields(self, key: str) -> EditFields:
        """A nested object."""
        value = self.plain.get(key)
        if not isinstance(value, dict):
            raise self.malformed(key, "an object")
        return EditFields({"op": self.op, **value})

    def position(self, key: str) -> tuple[int, int] | None:
        """A place on the canvas in whole pixels, or None where it is absent or null."""
        value = self.plain.get(key)
        if value is None:
            return None
        numbers: list[Any] = [value.get("x"), value.get("y")] if isinstance(value, dict) else [None]
        if not all(_is_finite(number) and abs(number) <= _MAX_PIXELS for number in numbers):
            raise self.malformed(key, "a place {x, y} in pixels")
        return round(numbers[0]), round(numbers[1])

    def positions(self, key: str) -> dict[str, tuple[int, int] | None]:
        """Places by name."""
        value = self.plain.get(key)
        if not isinstance(value, dict):
            raise self.malformed(key, "places by name")
        inner = EditFields({"op": self.op, **value})
        return {str(name): inner.position(name) for name in value}

    def node_name(self, key: str) -> str:
        """A name for a node."""
        name = self.text(key)
        if not _NODE_NAME.fullmatch(name):
            advice = "Use a-z, 0-9 and _, and start with a letter or _."
            raise refused(f"{describe_value(name)} is not a name for a node.", key, "name", advice)
        return name

    def port_name(self, key: str) -> str:
        """A name for an input or output of the pipeline."""
        name = self.text(key)
        if not _PORT_NAME.fullmatch(name):
            advice = "Use letters, digits and _, and start with a letter or _."
            raise refused(f"{describe_value(name)} is not a name for an input or output.", key, "name", advice)
        return name

    def malformed(self, key: str, wanted: str) -> DesignerError:
        """The error of a field that is not what it must be, to be raised."""
        return _malformed(f"{self.op}.{key}", wanted, self.plain.get(key))


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _malformed(where: str, wanted: str, value: object) -> DesignerError:
    return refused(f"{where} must be {wanted}, not {describe_value(value)}.", where, "bad_edit")
