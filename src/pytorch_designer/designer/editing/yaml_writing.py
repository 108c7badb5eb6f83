"""Values as YAML text: scalars in the quotes of what they replace, mappings as blocks or in braces."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import yaml

_NO_LIMIT = 1 << 30
_LITERAL_LINE = re.compile("[^\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\ufeff\\u2028\\u2029\\t]*")


def scalar_text(value: object, *, style: str | None = None, column: int | None = None) -> str:
    """A scalar as YAML.

    Args:
        value: Text, a number, a boolean or None.
        style: The quotes of what it replaces, which text keeps.
        column: The column of a block's lines, for a text of several lines; None inside braces.
    """
    if value is None:
        return "null"
    if isinstance(value, str):
        if "\n" in value and column is not None and style not in {"'", '"'}:
            literal = _literal(value, column)
            if literal is not None:
                return literal
        quotes = style if style in {"'", '"'} and "\n" not in value else _needed_quotes(value)
        return _dumped(value, quotes, is_flow=column is None)
    if isinstance(value, float) and math.isfinite(value) and "e" not in repr(value):
        return repr(value)
    return _dumped(value, None, is_flow=column is None)


def flow_text(value: object) -> str:
    """A value in braces or brackets, on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar_text(key)}: {flow_text(member)}" for key, member in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(flow_text(member) for member in value) + "]"
    return scalar_text(value)


def entry_lines(key: str, value: object, column: int, indent: int) -> list[str]:
    """The lines of one entry of a block mapping; the first is not indented, as the others are."""
    name = scalar_text(key, column=column)
    if isinstance(value, Mapping) and value:
        lines = [f"{name}:"]
        for inner, member in value.items():
            first, *others = entry_lines(str(inner), member, column + indent, indent)
            lines += [" " * (column + indent) + first, *others]
        return lines
    if isinstance(value, (Mapping, list, tuple)):
        return [f"{name}: {flow_text(value)}"]
    first, *others = scalar_text(value, column=column + indent).split("\n")
    return [f"{name}: {first}", *others]


def _literal(value: str, column: int) -> str | None:
    """A text of several lines as a literal block; None where YAML could not keep it so."""
    body = value.rstrip("\n")
    lines = body.split("\n")
    is_plain = all(_LITERAL_LINE.fullmatch(line) for line in lines) and "\r" not in value
    if not body or body[0] in " \n" or not is_plain or len(value) - len(body) > 1:
        return None
    indicator = "|" if value != body else "|-"
    return "\n".join([indicator, *(" " * column + line if line else "" for line in lines)])


def _needed_quotes(value: str) -> str | None:
    """Quotes for text that other versions of YAML read as a number, and around blanks, which to YAML may be none."""
    if value != value.strip():
        return "'"
    with suppress(ValueError):
        float(value.replace("_", ""))
        return "'"
    return "'" if re.fullmatch(r"[+-]?0[ox][0-9a-fA-F]+", value) else None


def _dumped(value: object, style: str | None, *, is_flow: bool) -> str:
    options: dict[str, Any] = {"default_style": style, "width": _NO_LIMIT, "allow_unicode": True}
    if "\n" in str(value):
        options["default_style"] = '"'
    if is_flow:
        return str(yaml.safe_dump([value], default_flow_style=True, **options)).strip()[1:-1]
    return str(yaml.safe_dump({"k": value}, default_flow_style=False, **options)).split(":", 1)[1].strip()
