"""The entries of a folder, many at a time: a million `os.DirEntry` take longer to make than to read.

Linux gives records, one after the other (getdents64, https://man7.org/linux/man-pages/man2/getdents.2.html):

    bytes 0-15    inode number; place in the folder
    bytes 16-17   length of the record, a multiple of 8
    byte 18       kind of the entry: the `stat.S_IFMT` of its mode, shifted; 0 where the file system does not say
    bytes 19-     name, a NUL, and whatever was there before up to the length, 7 bytes at most

Python's lock is not held while the system reads, so that a thread can list while others work. `os.scandir`, which is
used elsewhere and where a file system does not tell kinds, takes and gives the lock for each entry.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_BUFFER_BYTES = 1 << 18  # more than usual folders need: a mount may answer each call with a message of its own
_ENTRIES_AT_ONCE = 1 << 16
_SCANS_DESCRIPTORS = os.scandir in os.supports_fd
_KIND_SHIFT = 12
_FILE = stat.S_IFREG >> _KIND_SHIFT
_EACH_BYTE = np.uint64(0x0101010101010101)
_TOP_BITS = np.uint64(0x8080808080808080)
_BEFORE_NAME = np.uint64(0xFFFFFF)  # of the third word of a record


@dataclass(frozen=True)
class Entries:
    """What is in a folder; the names of the files are left in records until somebody has the time to take them out.

    Attributes:
        records: Of some or all of the regular files, among records of other entries.
        names: Of the regular files that are not in `records`.
        others: Name and `stat.S_IFMT` of all other entries; of a kind that cannot be told, 0.
    """

    records: list[Records]
    names: list[str]
    others: list[tuple[str, int]]

    def take_file_names(self) -> list[str]:
        """The names of the regular files, in any order; only once, as records are freed on the way."""
        names = self.names
        while self.records:
            names += self.records.pop().file_names()
        return names


@dataclass(frozen=True)
class Records:
    """Some records of a folder.

    Attributes:
        words: uint64 [n]: the records, as the system gave them.
        starts: int [k]: the word in which each record starts.
        kinds: uint8 [k]: the kind of each entry, shifted.
    """

    words: NDArray[np.uint64]
    starts: NDArray[np.intp]
    kinds: NDArray[np.uint8]

    @classmethod
    def find(cls, words: NDArray[np.uint64]) -> Records:
        """Find the records in `words`, which they fill."""
        lengths = (words.view(np.uint16)[8::4] >> 3).astype(np.uint8).tobytes()  # as if one started in each word
        is_start = bytearray(len(words))
        word, num_words = 0, len(words)
        while word < num_words:
            is_start[word] = 1
            word += lengths[word]
        starts = np.flatnonzero(np.frombuffer(is_start, dtype=np.bool_))
        return cls(words, starts, words.view(np.uint8)[8 * starts + 18])

    def file_names(self) -> list[str]:
        """The names of the regular files."""
        ends = self._ends()
        is_name = np.full(len(self.words), _EACH_BYTE)  # a bool for each byte
        is_name[self.starts] = is_name[self.starts + 1] = 0
        is_name[self.starts + 2] = _EACH_BYTE & ~_BEFORE_NAME
        before_name = np.where(ends == self.starts + 3, _BEFORE_NAME, np.uint64(0))  # of names up to four bytes
        is_name[ends - 1] &= _up_to_first_nul(self.words[ends - 1] | before_name)
        for row in np.flatnonzero(self.kinds != _FILE).tolist():
            is_name[self.starts[row] : ends[row]] = 0
        names = self.words.view(np.uint8)[is_name.view(np.bool_)]
        return os.fsdecode(names.tobytes()).split("\0")[:-1]

    def others(self) -> Iterator[tuple[str, int]]:
        """Name and `stat.S_IFMT` of all entries that are no regular files."""
        ends = self._ends()
        for row in np.flatnonzero(self.kinds != _FILE).tolist():
            name = os.fsdecode(self.words[self.starts[row] : ends[row]].tobytes()[19:].split(b"\0", 1)[0])
            if name not in (".", ".."):
                yield name, int(self.kinds[row]) << _KIND_SHIFT

    def _ends(self) -> NDArray[np.intp]:
        return np.append(self.starts[1:], len(self.words))


def read_entries(folder: Path, buffer_bytes: int = _BUFFER_BYTES) -> Entries:
    """Read what is in `folder`; all waiting for the system is done when this returns.

    Args:
        folder: Or a link to it.
        buffer_bytes: How much to read at once; 280 at least, a multiple of 8.

    Raises:
        OSError: The folder cannot be read.
    """
    if gives_records():
        records = [Records.find(words) for words in _read_records(folder, buffer_bytes)]
        if all(part.kinds.all() for part in records):
            return Entries(records, [], [other for part in records for other in part.others()])
    entries = Entries([], [], [])
    with scan(folder) as scanned:
        for names, others in regular_files(scanned):
            entries.names.extend(names)
            entries.others.extend((other.name, _kind(other)) for other in others)
    return entries


def gives_records() -> bool:
    """Whether `getdents` is there on this system."""
    return _system_call() is not None


def getdents(descriptor: int, buffer: NDArray[np.uint64]) -> int:
    """Read the next records of an open folder into `buffer`.

    Returns:
        The number of bytes that these take; 0 at the end.

    Raises:
        OSError: They cannot be read.
    """
    call = _system_call()
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    while (num_bytes := call(descriptor, buffer.ctypes.data, buffer.nbytes)) < 0:
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))
    return num_bytes


@contextmanager
def scan(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    """`os.scandir`, without a path for each entry where the system can: a tenth faster.

    Raises:
        OSError: The folder cannot be read.
    """
    if not _SCANS_DESCRIPTORS:
        with os.scandir(folder) as entries:
            yield entries
        return
    with _open(folder) as descriptor, os.scandir(descriptor) as entries:
        yield entries


def regular_files(entries: Iterator[os.DirEntry[str]]) -> Iterator[tuple[list[str], list[os.DirEntry[str]]]]:
    """Tell the regular files of a folder from all else, many entries at a time: there may be a million of them.

    Yields:
        The names of the next regular files, and the other entries among them, such as links and folders.
    """
    while block := list(islice(entries, _ENTRIES_AT_ONCE)):
        files = [entry.name for entry in block if entry.is_file(follow_symlinks=False)]
        others = [] if len(files) == len(block) else [e for e in block if not e.is_file(follow_symlinks=False)]
        yield files, others


def _read_records(folder: Path, buffer_bytes: int) -> Iterator[NDArray[np.uint64]]:
    buffer = np.empty(buffer_bytes // 8, dtype=np.uint64)
    with _open(folder) as descriptor:
        while num_bytes := getdents(descriptor, buffer):
            yield buffer[: num_bytes // 8].copy()


@contextmanager
def _open(folder: Path) -> Iterator[int]:
    """A descriptor of `folder`; errors while it is open name the folder's path."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    except OSError as error:  # which knows the entry's name at most
        error.filename = str(folder / error.filename) if isinstance(error.filename, str) else str(folder)
        raise
    finally:
        os.close(descriptor)


def _up_to_first_nul(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """All bits of the bytes up to the first that is 0."""
    zeros = (words - _EACH_BYTE) & ~words & _TOP_BITS  # the lowest bit of these is that byte's; those above may err
    bits: NDArray[np.uint64] = zeros ^ (zeros - np.uint64(1))
    return bits


def _kind(entry: os.DirEntry[str]) -> int:
    if entry.is_symlink():
        return stat.S_IFLNK
    return stat.S_IFDIR if entry.is_dir() else 0


@cache
def _system_call() -> Callable[[int, int, int], int] | None:
    """The C library's getdents64, where there is one: glibc has it from 2.30 on."""
    if sys.platform != "linux" or sys.byteorder != "little":
        return None
    call = getattr(ctypes.CDLL(None, use_errno=True), "getdents64", None)
    if call is not None:
        call.argtypes, call.restype = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t), ctypes.c_ssize_t
    return call
