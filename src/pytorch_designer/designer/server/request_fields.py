"""Fields of requests: JSON bodies and queries, each value of the type that a route needs, or a named error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import ParameterParsingError, describe_value
from pytorch_designer.storage.bounded_documents import parse_json

if TYPE_CHECKING:
    from starlette.requests import Request

_LARGEST = 1 << 53


class JsonFields:
    """Fields of a JSON body.

    Args:
        content: The body, an object.
    """

    def __init__(self, content: dict[str, Any]) -> None:
        self._content = content

    @classmethod
    async def of(cls, request: Request) -> JsonFields:
        """The fields of a request; an empty body has none.

        Raises:
            ParameterParsingError: The body is not a JSON object.
        """
        data = await request.body()
        try:
            content = parse_json(data) if data.strip() else {}
        except ValueError as error:
            raise _unusable("The body of the request", f"is not usable JSON: {error}") from error
        if not isinstance(content, dict):
            raise _unusable("The body of the request", "is not a JSON object")
        return cls(content)

    def text(self, name: str, default: str | None = None) -> str:
        """A text; required where there is no default."""
        value = self._content.get(name, default)
        if not isinstance(value, str) or _has_half_character(value):
            raise _unusable(name, f"is not a text: {describe_value(value)}")
        return value

    def optional_text(self, name: str) -> str | None:
        """A text, or None where it is left out or null."""
        return None if self._content.get(name) is None else self.text(name)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; left out, it is empty."""
        value = self._content.get(name) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise _unusable(name, "is not a list of texts")
        return tuple(value)

    def flag(self, name: str) -> bool:
        """True or false; left out, it is false."""
        value = self._content.get(name, False)
        if not isinstance(value, bool):
            raise _unusable(name, f"is neither true nor false: {describe_value(value)}")
        return value

    def objects(self, name: str) -> list[dict[str, Any]]:
        """A list of objects."""
        value = self._content.get(name)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise _unusable(name, "is not a list of objects")
        return value

    def lists_by_name(self, name: str) -> dict[str, tuple[str, ...]]:
        """Lists of texts by name; left out, there are none."""
        value = self._content.get(name) or {}
        if not isinstance(value, dict):
            raise _unusable(name, "is not an object")
        fields = JsonFields(value)
        return {key: fields.texts(key) for key in value}

    def scalar(self, name: str) -> str | int | float | bool | None:
        """A text, number, true, false or null."""
        value = self._content.get(name)
        if value is not None and not isinstance(value, (str, int, float, bool)):
            raise _unusable(name, f"is not one value: {describe_value(value)}")
        return value


def query_integer(request: Request, name: str, default: int | None) -> int | None:
    """A whole number of the query.

    Raises:
        ParameterParsingError: It is none.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 16 and int(digits) <= _LARGEST):
        raise _unusable(name, f"is not a whole number: {describe_value(text)}")
    return int(text)


def _has_half_character(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def _unusable(name: str, why: str) -> ParameterParsingError:
    return ParameterParsingError(f"{name} {why}.", where=name, reason="request")
