"""Typed fields of a YAML mapping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.errors import shorten
from pytorch_designer.harness.schema.assets import is_reference
from pytorch_designer.harness.schema.vocabulary import PORT_NAME
from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.harness.schema.specification import Scalar
    from pytorch_designer.harness.schema.yaml_tree import Value


class Fields:
    """Typed access to the fields of a mapping. Null counts as absent.

    Args:
        mapping: The mapping.
        is_strict: Whether malformed fields raise `InvalidSpecError`; else they count as absent.
    """

    def __init__(self, mapping: Value, *, is_strict: bool = True) -> None:
        self.mapping = mapping
        self._is_strict = is_strict

    def text(self, key: str) -> str | None:
        """Text, or a number as text."""
        value = self.get(key)
        if value is None or isinstance(value.plain, str):
            return None if value is None else value.plain
        if isinstance(value.plain, (int, float)) and not isinstance(value.plain, bool):  # version: 1, version: 1.0
            return str(value.plain)
        self._malformed(value, f"{key} must be text, not {value.shown}.")
        return None

    def required_text(self, key: str) -> str:
        """Text that must be there; empty if it is not and the fields are not strict."""
        text = self.text(key)
        if text is None or not text.strip():
            self._malformed(self.mapping.get(key) or self.mapping, f"{key} is missing.")
        return text or ""

    def flag(self, key: str, *, default: bool) -> bool:
        """Boolean, or its text, which azure-ai-ml accepts too."""
        value = self.get(key)
        if value is None:
            return default
        if str(value.plain).lower() in {"true", "false"}:
            return str(value.plain).lower() == "true"
        self._malformed(value, f"{key} must be true or false, not {value.shown}.")
        return default

    def count(self, key: str) -> int:
        """Whole number of at least 1, the default."""
        value = self.mapping.get(key)
        if value is None:
            return 1
        if isinstance(value.plain, bool) or not isinstance(value.plain, int) or value.plain < 1:
            self._malformed(value, f"{key} must be a whole number of at least 1, not {value.shown}.")
            return 1
        return value.plain

    def number(self, key: str) -> int | float | None:
        """Number, or its text: YAML 1.1 reads 1e-3 as text because it has no dot."""
        value = self.get(key)
        if value is None:
            return None
        try:
            number = _number(value.plain) if isinstance(value.plain, str) else value.plain
        except ValueError:
            number = None
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            return number
        self._malformed(value, f"{key} must be a number, not {value.shown}.")
        return None

    def scalar(self, key: str) -> Scalar | None:
        """Text, number or boolean."""
        value = self.get(key)
        if value is None or isinstance(value.plain, (bool, int, float, str)):
            return None if value is None else value.plain
        self._malformed(value, f"{key} must be a single value, not {value.shown}.")
        return None

    def scalars(self, key: str) -> tuple[Scalar, ...]:
        """List of texts, numbers and booleans."""
        entries = [entry.plain for entry in self.items(key)]
        if all(isinstance(entry, (bool, int, float, str)) for entry in entries):
            return tuple(entries)
        self._malformed(self.mapping.children[key], f"{key} must be a list of texts, numbers or booleans.")
        return ()

    def items(self, key: str) -> list[Value]:
        """List; empty if there is none."""
        value = self.get(key)
        if value is not None and not isinstance(value.plain, list):
            self._malformed(value, f"{key} must be a list.")
        return [] if value is None else value.entries

    def fields(self, key: str) -> Fields | None:
        """Mapping."""
        value = self.get(key)
        if value is not None and not value.is_mapping:
            self._malformed(value, f"{key} must be a mapping.")
            return None
        return None if value is None else Fields(value, is_strict=self._is_strict)

    def entries(self, key: str) -> dict[str, Value]:
        """Mapping of names to values; empty if there is none."""
        found = self.fields(key)
        entries = {} if found is None else found.mapping.children
        for name, value in entries.items():
            if not value.has_text_key:
                self._malformed(value, f"The name {name} is not text.")
        return entries

    def ports(self, key: str) -> dict[str, Value]:
        """Mapping of the names of inputs or outputs to values; empty if there is none."""
        entries = self.entries(key)
        for name, value in entries.items():
            if not PORT_NAME.fullmatch(name):  # names of outputs become names of folders
                message = f"'{shorten(name, 80)}' is not a name for an input or output; use letters, digits and _."
                self._malformed(value, message)
        return entries

    def texts(self, key: str) -> dict[str, str]:
        """Mapping of names to scalars, as texts; null becomes empty."""
        found = self.fields(key)
        entries = {} if found is None else found.mapping.plain
        return {str(name): "" if value is None else str(value) for name, value in entries.items()}

    def path(self, key: str) -> Path | None:
        """Local path, absolute; relative ones start from the folder of the file."""
        value = self.get(key)
        return None if value is None else local_path(value, key)

    def get(self, key: str) -> Value | None:
        """The value at a key, or None if it is absent or null."""
        value = self.mapping.get(key)
        return None if value is None or value.plain is None else value

    def _malformed(self, value: Value, message: str) -> None:
        if self._is_strict:
            raise value.key_place.error(message)


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def local_path(value: Value, key: str) -> Path:
    """The absolute path that a value names; relative ones start from the folder of the file.

    Raises:
        InvalidSpecError: It is not text.
        UnsupportedLocallyError: It is not on this machine.
    """
    if value.text is None:
        raise value.key_place.error(f"{key} must be a path, not {value.shown}.")
    if is_reference(value.text):
        raise value.key_place.unsupported(
            f"{key} names {value.text}, which is not on this machine.", "Check the code out and name its folder."
        )
    return resolved(value.folder / value.text)
