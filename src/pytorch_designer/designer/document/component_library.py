"""Library of component files that outlives an edit: each is read again when its file has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.errors import InvalidSpecError
from pytorch_designer.harness.lint.documents import Library
from pytorch_designer.harness.schema.yaml_tree import YamlDocument, read_yaml

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Hashable

    from pytorch_designer.harness.schema.specification import Interface

Stamp = tuple[int, int, int]
_MAX_PARSED = 4


class ComponentLibrary(Library):
    """Library that knows files by their time of change, size and inode.

    Attributes:
        known_code: Code of components that has been found in order; see `plan_pipeline`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._read: dict[pathlib.Path, tuple[Stamp, YamlDocument]] = {}
        self._parsed: dict[tuple[pathlib.Path, str], YamlDocument] = {}
        self.known_code: set[Hashable] = set()
        self._interfaces: dict[pathlib.Path, tuple[YamlDocument, Interface | None]] = {}

    def open(self, path: pathlib.Path) -> YamlDocument:
        """The document in a file; raises as `Library.open` does."""
        if path in self._documents:  # in place of its file
            return self._documents[path]
        stamp = file_stamp(path)
        if stamp is None or path not in self._read or self._read[path][0] != stamp:
            self._read.pop(path, None)
            self._read[path] = (stamp or (0, 0, 0), read_yaml(path))
        return self._read[path][1]

    def parse(self, text: str, path: pathlib.Path) -> YamlDocument:
        """The document in a text, whose file is at a path: the last ones are remembered, since edits follow reads."""
        key = (path, text)
        if key not in self._parsed:
            while len(self._parsed) >= _MAX_PARSED:
                del self._parsed[next(iter(self._parsed))]
            self._parsed[key] = super().parse(text, path)
        return self._parsed[key]

    def interface(self, path: pathlib.Path) -> Interface | None:
        """The interface of the component in a file, or None if it cannot be read or is not a known component."""
        try:
            document = self.open(path)
        except InvalidSpecError:
            return None
        if path not in self._interfaces or self._interfaces[path][0] is not document:
            self._interfaces[path] = (document, super().interface(path))
        return self._interfaces[path][1]


def file_stamp(path: pathlib.Path) -> Stamp | None:
    """Time of change, size and inode of a file; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
