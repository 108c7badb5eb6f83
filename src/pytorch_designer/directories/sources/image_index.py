r"""Images by the names under which lists and tables know them.

    1.jpg, images/1.jpg, .\images\1.jpg         a path below the list, or below any folder above the image
    1                                         without its extension
    /kaggle/input/pets/images/1.jpg           a path of another machine or an address, whose tail is a file here
    azureml://.../paths/pets/images/1.jpg

The parts of a name and of a path are compared from the end, as NFC. Where the path contradicts a folder in the name, it
is another image: `dog/1.jpg` is not `cat/1.jpg`, even if that is the only `1.jpg`.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pytorch_designer.directories.sources.folder_names import is_container, split_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytorch_designer.storage.string_column import StringColumn

MISSING, AMBIGUOUS = -1, -2


class ImageIndex:
    """The images of a folder by name.

    Attributes:
        files: Paths below the folder that is being opened, with `/`.
        list_name: The path of the list below the same folder: images beside it, or in the split of its name, are meant
            first where a name fits several.
    """

    def __init__(self, files: StringColumn, list_name: str) -> None:
        self.files = files
        self.list_name = list_name
        self._beside = list_name.rpartition("/")[0]
        self._split = split_name(list_name.rpartition("/")[2].rpartition(".")[0])

    def find(self, name: str) -> int:
        """The row of the image that `name` means, `MISSING` or `AMBIGUOUS`."""
        row = self._exact.get(f"{self._beside}/{name}" if self._beside else name)
        if row is not None:
            return row
        for parts in _readings(name):
            row = self._find_parts(parts)
            if row != MISSING:
                return row
        return MISSING

    @cached_property
    def _exact(self) -> dict[str, int]:
        return {file: row for row, file in enumerate(self.files)}

    @cached_property
    def _by_name(self) -> dict[str, list[int]]:
        """Rows by the last part of their path, and by that without its extension."""
        rows: dict[str, list[int]] = defaultdict(list)
        for row, file in enumerate(self.files):
            last = _key(file.rpartition("/")[2])
            rows[last].append(row)
            stem = last.rpartition(".")[0]
            if stem:
                rows[stem].append(row)
        return dict(rows)

    def _find_parts(self, parts: list[str]) -> int:
        candidates = self._by_name.get(_key(parts[-1]), ())
        if not candidates:
            return MISSING
        if len(parts) == 1 == len(candidates):
            return candidates[0]
        fitting = [(self._fit(parts, self.files[row]), row) for row in candidates]
        best = max(fit for fit, _ in fitting)
        if best[0] == 0:
            return MISSING
        rows = [row for fit, row in fitting if fit == best]
        return rows[0] if len(rows) == 1 else AMBIGUOUS

    def _fit(self, name: list[str], file: str) -> tuple[int, bool, bool, bool, bool]:
        """How well a name fits a path: parts that agree, 0 where others contradict; then what decides a tie."""
        path = _normal(file).split("/")
        agreeing = 1
        while agreeing < min(len(name), len(path)) and name[-1 - agreeing] == path[-1 - agreeing]:
            agreeing += 1
        above = path[: len(path) - agreeing]
        if agreeing < min(len(name), len(path)) and not all(is_container(part) or split_name(part) for part in above):
            agreeing = 0
        is_in_split = self._split is not None and any(
            part is not None and part.role == self._split.role for part in map(split_name, above)
        )
        is_beside = file.rpartition("/")[0] == self._beside
        return agreeing, path[-1] == name[-1], path[-1].startswith(name[-1]), is_in_split, is_beside


def climbs(name: str, list_name: str) -> bool:
    """Whether `name`, as a path relative to the list, leads out of the folder that is being opened."""
    depth = list_name.count("/")
    for part in name.replace("\\", "/").split("/"):
        depth += -1 if part == ".." else part not in {"", "."}
        if depth < 0:
            return True
    return False


def _readings(name: str) -> Iterator[list[str]]:
    """The parts of a path or address; also with its percent escapes resolved."""
    texts = [name]
    if "%" in name:
        texts.append(unquote(name))
    if "?" in name:
        texts.append(name.partition("?")[0])
    for text in texts:
        parts = [part for part in _normal(text).replace("\\", "/").split("/") if part not in {"", ".", ".."}]
        if parts:
            yield parts


def _normal(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _key(name: str) -> str:
    return _normal(name).lower()
