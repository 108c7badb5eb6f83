"""Reads that are tried again when a mount stumbles: a cloud mount reports these errors while it reconnects.

Everything that looks at an input goes through this module: `open_retrying` for a stream, which is also opened anew
where a read in its middle fails, `is_file`, `is_folder`, `exists` and `real_path` for what `pathlib` answers with a
plain no (from Python 3.14 on, of any error), and `retrying` for all else.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from _typeshed import WriteableBuffer

T = TypeVar("T")

TRANSIENT_ERRORS = frozenset(
    getattr(errno, name) for name in ("EIO", "ENOTCONN", "ESTALE", "ETIMEDOUT", "EAGAIN") if hasattr(errno, name)
)
_NOTHING_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EBADF})
_PAUSES_SECONDS = (0.05, 0.25, 1.0)
_BUFFER_BYTES = 1 << 18


def retrying(read: Callable[[], T]) -> T:
    """What `read` returns, which is called up to four times within little more than a second.

    Args:
        read: Opens or reads something; may be called again after it failed.

    Raises:
        OSError: The last one that `read` raised, or the first that is not transient.
    """
    for pause in _PAUSES_SECONDS:
        try:
            return read()
        except OSError as error:
            if error.errno not in TRANSIENT_ERRORS:
                raise
        time.sleep(pause)
    return read()


def open_retrying(path: Path) -> io.BufferedReader:
    """Open a file for reading bytes; a read that fails for a moment goes on at the same place of the file.

    Raises:
        OSError: As `retrying`; the reads of the stream as well.
    """
    return io.BufferedReader(_SteadyFile(path), _BUFFER_BYTES)


def is_file(path: Path) -> bool:
    """Whether `path` is, or leads to, a regular file.

    Raises:
        OSError: That cannot be told, and it is not because nothing is there.
    """
    return stat.S_ISREG(_mode(path))


def is_folder(path: Path) -> bool:
    """Whether `path` is, or leads to, a folder.

    Raises:
        OSError: As `is_file`.
    """
    return stat.S_ISDIR(_mode(path))


def exists(path: Path) -> bool:
    """Whether `path` is there, and leads somewhere if it is a link.

    Raises:
        OSError: As `is_file`.
    """
    return _mode(path) != 0


def real_path(path: Path) -> str:
    """`path` without links, as `os.path.realpath`, which takes a link that it cannot read for no link.

    Raises:
        OSError: As `retrying`, for transient errors only.
    """
    try:
        return retrying(lambda: os.path.realpath(path, strict=True))
    except OSError as error:
        if error.errno in TRANSIENT_ERRORS:
            raise
        return os.path.realpath(path)  # of what is there of it


def _mode(path: Path) -> int:
    """Type and permissions of what `path` leads to, 0 where there is nothing."""
    try:
        return retrying(partial(os.stat, path)).st_mode
    except OSError as error:
        if error.errno not in _NOTHING_THERE:
            raise
    except ValueError:  # what no path can hold: a NUL, or half of a character
        pass
    return 0


class _SteadyFile(io.RawIOBase):
    """A file that is opened anew, at the place that it was read to, when a read fails for a moment."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._descriptor = -1
        self._place = 0
        retrying(self._ensure_open)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = retrying(partial(self._read, len(view)))
        view[: len(data)] = data
        self._place += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        starts = {os.SEEK_SET: lambda: 0, os.SEEK_CUR: lambda: self._place, os.SEEK_END: self._size}
        place = starts[whence]() + offset
        if place < 0:
            raise ValueError("a place before the start of the file")
        self._place = place
        return place

    def close(self) -> None:
        if not self.closed:
            self._close_descriptor()
        super().close()

    def _read(self, num_bytes: int) -> bytes:
        self._ensure_open()
        try:
            os.lseek(self._descriptor, self._place, os.SEEK_SET)
            return os.read(self._descriptor, num_bytes)
        except OSError:  # a descriptor of before a mount went away stays useless
            self._close_descriptor()
            raise

    def _size(self) -> int:
        return retrying(partial(os.stat, self._path)).st_size

    def _ensure_open(self) -> None:
        if self._descriptor < 0:
            self._descriptor = os.open(self._path, os.O_RDONLY | getattr(os, "O_BINARY", 0))

    def _close_descriptor(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            with suppress(OSError):  # of a mount that went away; nothing was written
                os.close(descriptor)
