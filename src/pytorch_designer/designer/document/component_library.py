"""Library of component files that outlives an edit: each is read again when its file has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.harness.lint.documents import Library
from pytorch_designer.harness.schema.yaml_tree import YamlDocument, read_yaml

if TYPE_CHECKING:
    import pathlib

    from pytorch_designer.harness.schema.specification import Interface

Stamp = tuple[int, int, int]


class ComponentLibrary(Library):
    """Library that knows files by their time of change, size and inode."""

    def __init__(self) -> None:
        super().__init__()
        self._read: dict[pathlib.Path, tuple[Stamp, YamlDocument]] = {}
        self._interfaces: dict[pathlib.Path, tuple[YamlDocument, Interface | None]] = {}

    def open(self, path: pathlib.Path) -> YamlDocument:
        """The document in a file; raises as `Library.open` does."""
        key = path.resolve()
        if key in self._documents:  # in place of its file
            return self._documents[key]
        stamp = file_stamp(key)
        if stamp is None or key not in self._read or self._read[key][0] != stamp:
            self._read.pop(key, None)
            self._read[key] = (stamp or (0, 0, 0), read_yaml(path))
        return self._read[key][1]

    def interface(self, path: pathlib.Path) -> Interface | None:
        """The interface of the component in a file, or None if it cannot be read or is not a known component."""
        key = path.resolve()
        known = self._interfaces.get(key)
        if known is not None and self._read.get(key, (None, None))[1] is known[0] and key not in self._documents:
            self.open(path)
            if self._read[key][1] is known[0]:
                return known[1]
        found = super().interface(path)
        if key in self._read:
            self._interfaces[key] = (self._read[key][1], found)
        return found


def file_stamp(path: pathlib.Path) -> Stamp | None:
    """Time of change, size and inode of a file; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
