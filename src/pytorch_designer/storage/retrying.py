"""Reads that are retried after a transient error, which a cloud mount reports while it reconnects.

All reads of an input go through this module: `open_retrying` for a stream, which is also reopened where a read in the
middle fails; `is_file`, `is_folder`, `exists` and `real_path`, since `pathlib` returns False instead of an error (from
Python 3.14 on, for any error); and `retrying` for everything else.
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

from pytorch_designer.system.regular_files import open_regular

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
    """The result of `read`, which is called up to four times within little more than a second.

    Args:
        read: Opens or reads something; may be called again after it failed.

    Raises:
        OSError: The last error that `read` raised, or the first that is not transient.
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
    """Open a regular file for reading bytes; a read that fails with a transient error continues at the same place.

    Raises:
        NotARegularFileError: The path is, or leads to, a pipe, a device or something else that is no file.
        OSError: As `retrying`; the reads of the stream as well.
    """
    return io.BufferedReader(_SteadyFile(path), _BUFFER_BYTES)


def is_file(path: Path) -> bool:
    """True if `path` is, or leads to, a regular file.

    Raises:
        OSError: The path cannot be looked up, for another reason than that nothing is there.
    """
    return stat.S_ISREG(_mode(path))


def is_folder(path: Path) -> bool:
    """True if `path` is, or leads to, a folder.

    Raises:
        OSError: As `is_file`.
    """
    return stat.S_ISDIR(_mode(path))


def exists(path: Path) -> bool:
    """True if `path` is there, and leads somewhere if it is a link.

    Raises:
        OSError: As `is_file`.
    """
    return _mode(path) != 0


def real_path(path: Path) -> str:
    """`path` without links, like `os.path.realpath`, which however treats a link that it cannot read as a plain file.

    Raises:
        OSError: As `retrying`, for transient errors only.
    """
    try:
        return retrying(lambda: os.path.realpath(path, strict=True))
    except OSError as error:
        if error.errno in TRANSIENT_ERRORS:
            raise
        return os.path.realpath(path)  # resolves the part of the path that exists


def _mode(path: Path) -> int:
    """Type and permissions of what `path` leads to, 0 where there is nothing."""
    try:
        return retrying(partial(os.stat, path)).st_mode
    except OSError as error:
        if error.errno not in _NOTHING_THERE:
            raise
    except ValueError:  # characters that a path cannot contain: a NUL, or half of a surrogate pair
        pass
    return 0


class _SteadyFile(io.RawIOBase):
    """A file that is reopened at its current position when a read fails with a transient error."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._descriptor = -1
        self._position = 0
        retrying(self._ensure_open)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        data = retrying(partial(self._read, len(view)))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        starts = {os.SEEK_SET: lambda: 0, os.SEEK_CUR: lambda: self._position, os.SEEK_END: self._size}
        position = starts[whence]() + offset
        if position < 0:
            raise ValueError("a position before the start of the file")
        self._position = position
        return position

    def close(self) -> None:
        if not self.closed:
            self._close_descriptor()
        super().close()

    def _read(self, num_bytes: int) -> bytes:
        self._ensure_open()
        try:
            os.lseek(self._descriptor, self._position, os.SEEK_SET)
            return os.read(self._descriptor, num_bytes)
        except OSError:  # a descriptor from before the mount went away stays unusable
            self._close_descriptor()
            raise

    def _size(self) -> int:
        return retrying(partial(os.stat, self._path)).st_size

    def _ensure_open(self) -> None:
        if self._descriptor < 0:
            self._descriptor = open_regular(self._path)

    def _close_descriptor(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            with suppress(OSError):  # the mount went away; nothing was written
                os.close(descriptor)
