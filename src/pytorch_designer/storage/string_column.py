"""A million strings in the memory of their bytes.

    data     b"cat/1.jpgdog/2.jpg"
    offsets  [0, 9, 18]              string i is data[offsets[i]:offsets[i + 1]]

A list of Python strings takes 60 to 80 bytes on top of each string, and every fork or garbage collection walks it.
Strings are kept as UTF-8 with `surrogateescape`, Python's own form of file names that are not UTF-8.
"""

from __future__ import annotations

from array import array
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

_ROWS_AT_ONCE = 1 << 16
_FIRST_BYTES = np.array([(1 << 8 * num_bytes) - 1 for num_bytes in range(9)], dtype=np.uint64)  # masks


class StringColumn:
    """An immutable column of strings.

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
        """A column of `strings`, which are taken one at a time.

        Raises:
            UnicodeEncodeError: A string holds a surrogate that no file name's bytes give.
        """
        data = bytearray()
        offsets = array("q", [0])
        for string in strings:
            data += string.encode("utf-8", "surrogateescape")
            offsets.append(len(data))
        return cls(bytes(data), np.array(offsets, dtype=np.int64))

    @classmethod
    def from_names(cls, names: Sequence[str], prefix: str = "") -> StringColumn:
        """A column of `prefix + name` for each of `names`: five times as fast as `from_strings`.

        Raises:
            ValueError: A name has a NUL in it, which no file's name has.
            UnicodeEncodeError: As `from_strings`.
        """
        if not names:
            return cls(b"", np.zeros(1, dtype=np.int64))
        joined = (prefix + f"\0{prefix}".join(names)).encode("utf-8", "surrogateescape")
        ends = np.flatnonzero(np.frombuffer(joined, dtype=np.uint8) == 0)
        if len(ends) != len(names) - 1:
            raise ValueError("a name has a NUL in it")
        offsets = np.zeros(len(names) + 1, dtype=np.int64)
        offsets[1:-1] = ends - np.arange(len(ends))
        offsets[-1] = len(joined) - len(ends)
        return cls(joined.replace(b"\0", b""), offsets)

    @classmethod
    def concatenate(cls, columns: Sequence[StringColumn]) -> StringColumn:
        """All strings of `columns`, in their order."""
        offsets = [np.zeros(1, dtype=np.int64)]
        num_bytes = 0
        for column in columns:
            offsets.append(column.offsets[1:] + num_bytes)
            num_bytes += len(column.data)
        return cls(b"".join(column.data for column in columns), np.concatenate(offsets))

    @property
    def nbytes(self) -> int:
        """Memory that the column takes, in bytes."""
        return len(self.data) + self.offsets.nbytes

    def take(self, indices: NDArray[np.integer] | Sequence[int]) -> StringColumn:
        """The strings at `indices` (0 <= index < n; in any order, repeated or not).

        Raises:
            IndexError: An index is out of range.
        """
        rows = np.asarray(indices, dtype=np.int64)
        if len(rows) and (rows.min() < 0 or rows.max() >= len(self)):
            raise IndexError("string index out of range")
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(lengths, out=offsets[1:])
        source = np.frombuffer(self.data, dtype=np.uint8)
        gathered = [
            _gather(source, starts[first : first + _ROWS_AT_ONCE], lengths[first : first + _ROWS_AT_ONCE])
            for first in range(0, len(rows), _ROWS_AT_ONCE)
        ]
        return StringColumn(b"".join(gathered), offsets)

    def last_positions(self, character: str) -> NDArray[np.int64]:
        """In which byte of each string the ASCII `character` is last, from 0; -1 where it is not in it. int64 [n]."""
        positions = np.empty(len(self), dtype=np.int64)
        for first, block, bounds in self._blocks():
            found = np.concatenate([[-1], np.flatnonzero(block[: bounds[-1]] == ord(character))])
            last = found[np.searchsorted(found, bounds[1:]) - 1]  # before the end of each string, maybe in another one
            positions[first : first + len(last)] = np.maximum(last - bounds[:-1], -1)
        return positions

    def hashes(self, lengths: NDArray[np.int64] | None = None) -> NDArray[np.uint64]:
        """A hash of 64 bits of each string: the same wherever and whenever it is taken.

        Args:
            lengths: int64 [n]: of the first so many bytes of each string only; at most its length.

        Returns:
            uint64 [n]. Different strings are as unlikely to have the same as random numbers; not against an attacker.
        """
        hashes = np.empty(len(self), dtype=np.uint64)
        for first, block, bounds in self._blocks():
            rows = slice(first, first + len(bounds) - 1)
            hashes[rows] = _hash(block, bounds[:-1], np.diff(bounds) if lengths is None else lengths[rows])
        return hashes

    def _blocks(self) -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.int64]]]:
        """Some rows at a time, so that what is computed of them stays small and near.

        Yields:
            The first row; the bytes of all rows, uint8, and eight zeros; where in them each row starts and the last
            one ends, int64.
        """
        for first in range(0, len(self), _ROWS_AT_ONCE):
            bounds = self.offsets[first : first + _ROWS_AT_ONCE + 1]
            block = np.frombuffer(self.data[bounds[0] : bounds[-1]] + bytes(8), dtype=np.uint8)
            yield first, block, bounds - bounds[0]

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
        for first in range(0, len(self), _ROWS_AT_ONCE):
            bounds = self.offsets[first : first + _ROWS_AT_ONCE + 1].tolist()
            for start, end in pairwise(bounds):
                yield data[start:end].decode("utf-8", "surrogateescape")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StringColumn):
            return NotImplemented
        return self.data == other.data and np.array_equal(self.offsets, other.offsets)

    __hash__ = None  # type: ignore[assignment]  # equal by value and large: not meant as a key

    def __repr__(self) -> str:
        return f"StringColumn({len(self)} strings, {self.nbytes} bytes)"


def are_in(present: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which of `wanted` are among `present`, sorted hashes, one at least; takes a third of the memory of `np.isin`."""
    nearest = np.searchsorted(present, wanted)
    nearest[nearest == len(present)] = 0
    are_there: NDArray[np.bool_] = present[nearest] == wanted
    return are_there


def _gather(source: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> bytes:
    before = np.cumsum(lengths) - lengths
    positions = np.arange(int(lengths.sum()), dtype=np.int64) + np.repeat(starts - before, lengths)
    gathered: bytes = source[positions].tobytes()
    return gathered


def _hash(block: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint64]:
    words = np.ndarray((len(block) - 7,), dtype="<u8", buffer=block, strides=(1,))  # eight bytes from each byte on
    hashes = _scramble(lengths.astype(np.uint64))
    for start in range(0, int(lengths.max(initial=0)), 8):
        num_left = lengths - start
        rows = slice(None) if num_left.min() > 0 else np.flatnonzero(num_left > 0)
        word = words[starts[rows] + start] & _FIRST_BYTES[np.minimum(num_left[rows], 8)]
        hashes[rows] = _scramble(hashes[rows] ^ word)
    return hashes


def _scramble(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A permutation of all numbers of 64 bits in which each bit hangs on all others: SplitMix64's, in place."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        values ^= values >> np.uint64(shift)
        values *= np.uint64(factor)
    values ^= values >> np.uint64(31)
    return values
