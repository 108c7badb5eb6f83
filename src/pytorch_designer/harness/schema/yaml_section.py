"""One mapping inside a YAML file, read key by key; every fault it finds names the file and the line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import InvalidSpecError, UnsupportedLocallyError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytorch_designer.harness.schema.yaml_document import Key, YamlDocument

_NOT_LOCAL = ("azureml:", "azureml://", "git+", "https://", "http://")


class Section:
    """A mapping at `keys` of `document`, with the content `data`."""

    def __init__(self, document: YamlDocument, keys: tuple[Key, ...], data: Mapping[Any, Any]) -> None:
        self.document = document
        self.keys = keys
        self.data = data

    @classmethod
    def whole(cls, document: YamlDocument) -> Section:
        """The whole file."""
        return cls(document, (), document.data)

    def where(self, *keys: Key) -> str:
        """`file:line` of an entry."""
        return self.document.where(*self.keys, *keys)

    def fault(self, what: str, *keys: Key) -> InvalidSpecError:
        """The error to raise for a fault at an entry."""
        return InvalidSpecError(what, where=self.where(*keys))

    def text(self, key: str) -> str | None:
        """A text, or a number as a text; None where there is none."""
        value = self.data.get(key)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):  # version: 1, version: 1.0
            return str(value)
        raise self.fault(f"{key} must be a text, not {value!r}.", key)

    def required_text(self, key: str) -> str:
        """A text that must be there."""
        value = self.text(key)
        if value is None or not value.strip():
            raise self.fault(f"{key} is missing.", key)
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """A truth value."""
        value = self.data.get(key, default)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        raise self.fault(f"{key} must be true or false, not {value!r}.", key)

    def count(self, key: str) -> int:
        """A whole number of at least 1, which it is where there is none."""
        value = self.data.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.fault(f"{key} must be a whole number of at least 1, not {value!r}.", key)
        return value

    def mapping(self, key: str) -> Section:
        """The mapping at `key`; empty where there is none."""
        value = self.data.get(key)
        if value is not None and not isinstance(value, dict):
            raise self.fault(f"{key} must be a mapping.", key)
        return Section(self.document, (*self.keys, key), value or {})

    def local_path(self, key: str, value: object, *keys: Key) -> Path | None:
        """The path that `value`, which stands at `key`, names beside the file; None for None.

        Raises:
            UnsupportedLocallyError: It is an address and not a path.
        """
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.fault(f"{key} must be a path, not {value!r}.", key, *keys)
        if value.startswith(_NOT_LOCAL):
            raise UnsupportedLocallyError(
                f"{key} names {value}, which is not on this machine.",
                where=self.where(key, *keys),
                advice="Check the code out and name its folder.",
            )
        return (self.document.path.parent / value).resolve()
