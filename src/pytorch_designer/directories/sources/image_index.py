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
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pytorch_designer.directories.sources.folder_names import is_container, split_name
from pytorch_designer.errors import InvalidDatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytorch_designer.storage.string_column import StringColumn

MISSING, AMBIGUOUS = -1, -2
_FAULTS = {MISSING: ("not there", "missing_files"), AMBIGUOUS: ("there more than once", "ambiguous_files")}
_MAX_CHOICE = 64
_HERE = ("", ".", "..")
_SPECIAL = frozenset("/\\%?")
_Rows = dict[str, "int | list[int]"]
"""The row of each key, or the rows of one that is there several times."""


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
        for parts in _readings(name):
            last = parts[-1].lower()
            rows = self._by_name.get(last)
            if rows is None:
                rows = self._by_stem.get(last)
            if isinstance(rows, int):
                if len(parts) == 1 or self._fit(parts, self.files[rows])[0]:
                    return rows
            elif rows is not None:
                row = self._choose(name, parts, rows)
                if row != MISSING:
                    return row
        return MISSING

    def find_all(
        self, names: Sequence[str], images: str, *, where: Path, entry: Callable[[int], str], advice: Mapping[int, str]
    ) -> list[int]:
        """The rows of the images that `names` mean.

        Args:
            names: The names in a list or table.
            images: What these are, for the message: "images that the table names".
            where: The list or table.
            entry: Turns the number of a name into what a reader finds in it, such as "line 3".
            advice: What to do about images that are `MISSING`, and about those that are `AMBIGUOUS`.

        Raises:
            InvalidDatasetError: Images are not there ("missing_files") or several times ("ambiguous_files").
        """
        rows = [self.find(name) for name in names]
        for fault, (what, reason) in _FAULTS.items():
            faulty = [number for number, row in enumerate(rows) if row == fault]
            if faulty:
                raise InvalidDatasetError(
                    f"{len(faulty)} of {len(rows)} {images} are {what}.",
                    where=where,
                    examples=(f"{entry(number)}: {names[number]}" for number in faulty),
                    advice=advice[fault],
                    reason=reason,
                )
        return rows

    @cached_property
    def _by_name(self) -> _Rows:
        return _rows_by_key(_tail(file, 1) for file in self.files)

    @cached_property
    def _by_stem(self) -> _Rows:
        return _rows_by_key(_tail(file, 1).rpartition(".")[0] for file in self.files)

    @cached_property
    def _by_folder_and_name(self) -> _Rows:
        return _rows_by_key(_tail(file, 2) for file in self.files)

    @cached_property
    def _by_path(self) -> dict[str, int]:
        return {file: row for row, file in enumerate(self.files)}

    def _choose(self, name: str, parts: list[str], rows: list[int]) -> int:
        """The one of several rows that a name fits best."""
        exact = self._by_path.get(f"{self._beside}/{name}" if self._beside else name)
        if exact is not None:
            return exact
        narrowed = self._by_folder_and_name.get("/".join(parts[-2:]).lower(), rows)
        if isinstance(narrowed, int):
            return narrowed if self._fit(parts, self.files[narrowed])[0] else MISSING
        if len(narrowed) > _MAX_CHOICE:
            return AMBIGUOUS
        fitting = [(self._fit(parts, self.files[row]), row) for row in narrowed]
        best = max(fit for fit, _ in fitting)
        found = [row for fit, row in fitting if fit == best and fit[0]]
        return found[0] if len(found) == 1 else AMBIGUOUS if found else MISSING

    def _fit(self, name: list[str], file: str) -> tuple[int, bool, bool, bool, bool]:
        """Fit of a name to a path: parts that agree, 0 where others contradict; then what decides a tie."""
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
    """True if `name`, as a path relative to the list, leads out of the folder that is being opened."""
    depth = list_name.count("/")
    for part in name.replace("\\", "/").split("/"):
        depth += -1 if part == ".." else part not in {"", "."}
        if depth < 0:
            return True
    return False


def _tail(file: str, num_parts: int) -> str:
    """The last parts of a path, as a key."""
    return _normal("/".join(file.rsplit("/", num_parts)[-num_parts:])).lower()


def _rows_by_key(keys: Iterable[str]) -> _Rows:
    rows: _Rows = {}
    for row, key in enumerate(keys):
        before = rows.setdefault(key, row)
        if isinstance(before, list):
            before.append(row)
        elif before != row:
            rows[key] = [before, row]
    rows.pop("", None)
    return rows


def _readings(name: str) -> Iterator[list[str]]:
    """The parts of a path or address; also with its percent escapes resolved."""
    if name.isascii() and name not in _HERE and not _SPECIAL.intersection(name):
        yield [name]  # as nearly all
        return
    path = name.partition("?")[0]
    texts = dict.fromkeys((name, path, unquote(name), unquote(path)))
    for text in texts:
        parts = [part for part in _normal(text).replace("\\", "/").split("/") if part not in {"", ".", ".."}]
        if parts:
            yield parts


def _normal(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)
