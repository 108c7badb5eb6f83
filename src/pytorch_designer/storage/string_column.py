"""Column of a million strings in the memory of their bytes.

    data     b"cat/1.jpgdog/2.jpg"
    offsets  [0, 9, 18]              string i is data[offsets[i]:offsets[i + 1]]

A list of Python strings takes 60 to 80 bytes on top of each string, and every fork or garbage collection walks it.
Strings are kept as UTF-8 with `surrogateescape`, Python's own form of file names that are not UTF-8.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray


class StringColumn:
    """Immutable column of strings.

    Attributes:
        data: All strings, one after the other, as UTF-8 with `surrogateescape`.
        offsets: int64, shape (n + 1,): where each string starts, and where the last one ends. Read-only.
    """

    __slots__ = ("data", "offsets")

    def __init__(self, data: bytes, offsets: NDArray[np.int64]) -> None:
        if len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != len(data):
            raise ValueError("the offsets do not start at 0 and end at the length of the data")
        self.data = data
        self.offsets = offsets
        self.offsets.setflags(write=False)

    @classmethod
    def from_strings(cls, strings: Iterable[str]) -> StringColumn:
        """A column of `strings`.

        Raises:
            UnicodeEncodeError: A string holds a surrogate that no file name's bytes give.
        """
        return cls._from_parts([string.encode("utf-8", "surrogateescape") for string in strings])

    @classmethod
    def concatenate(cls, columns: Sequence[StringColumn]) -> StringColumn:
        """All strings of `columns`, in their order."""
        offsets = [np.zeros(1, dtype=np.int64)]
        num_bytes = 0
        for column in columns:
            offsets.append(column.offsets[1:] + num_bytes)
            num_bytes += len(column.data)
        return cls(b"".join(column.data for column in columns), np.concatenate(offsets))

    def take(self, indices: NDArray[np.integer] | Sequence[int]) -> StringColumn:
        """The strings at `indices` (0 <= index < n; in any order, repeated or not).

        Raises:
            IndexError: An index is out of range.
        """
        rows = np.asarray(indices, dtype=np.int64)
        if len(rows) and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError("string index out of range")
        bounds = zip(self.offsets[rows].tolist(), self.offsets[rows + 1].tolist(), strict=True)
        return self._from_parts([self.data[start:end] for start, end in bounds])

    @classmethod
    def _from_parts(cls, parts: list[bytes]) -> StringColumn:
        offsets = np.zeros(len(parts) + 1, dtype=np.int64)
        np.cumsum(np.fromiter(map(len, parts), dtype=np.int64, count=len(parts)), out=offsets[1:])
        return cls(b"".join(parts), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> str:
        row = int(index)
        if row < 0:
            row += len(self)
        if not 0 <= row < len(self):
            raise IndexError("string index out of range")
        return self.data[self.offsets[row] : self.offsets[row + 1]].decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        data = self.data
        for start, end in pairwise(self.offsets.tolist()):
            yield data[start:end].decode("utf-8", "surrogateescape")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StringColumn):
            return NotImplemented
        return self.data == other.data and np.array_equal(self.offsets, other.offsets)

    __hash__ = None  # type: ignore[assignment]  # equal by value and large: not meant as a key

    def __repr__(self) -> str:
        return f"StringColumn({len(self)} strings, {len(self.data)} bytes)"
