"""Reading of image files: one open and one read, bounded in size, with retries of transient errors."""

from __future__ import annotations

import os
import stat
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pytorch_designer.images.bad_files import UnreadableImageError
from pytorch_designer.storage.retrying import retrying

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    CheckLarge = Callable[[bytearray, int], None]

# Otherwise, opening a named pipe would wait for a writer forever.
_READ_WITHOUT_WAITING = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_BYTES_AT_ONCE = 2**20
_LARGE_BYTES = 2**26
_START_BYTES = 2**16


def read_file(path: Path, *, max_bytes: int, check_large: CheckLarge | None = None) -> bytearray:
    """All bytes of the file at `path`, writable so that a tensor can share them.

    Args:
        path: The file.
        max_bytes: The largest that is read.
        check_large: Called with the start and the size of a file above 64 MiB before it is read; may raise.

    Raises:
        UnreadableImageError: It cannot be read, is not a regular file, or has more than `max_bytes` bytes.
    """
    return _read_with_retries(path, max_bytes, is_start_enough=False, check_large=check_large)


def read_start(path: Path, *, num_bytes: int) -> bytearray:
    """The first `num_bytes` bytes of the file at `path`, or all where it has fewer.

    Raises:
        UnreadableImageError: It cannot be read or is not a regular file.
    """
    return _read_with_retries(path, num_bytes, is_start_enough=True)


class FileEnds(NamedTuple):
    """The start and the end of a file.

    Attributes:
        num_bytes: The size of the file.
        start: Its first bytes, all of a short file.
        end: Its last bytes.
    """

    num_bytes: int
    start: bytes
    end: bytes


def read_ends(path: Path, *, num_start: int, num_end: int) -> FileEnds:
    """The first `num_start` and the last `num_end` bytes of the file at `path`, or all where it has fewer.

    Raises:
        UnreadableImageError: It cannot be read or is not a regular file.
    """
    try:
        return retrying(partial(_read_ends, path, num_start, num_end))
    except OSError as error:
        raise UnreadableImageError(_describe(error)) from error


def _read_with_retries(
    path: Path, num_bytes: int, *, is_start_enough: bool, check_large: CheckLarge | None = None
) -> bytearray:
    try:
        return retrying(partial(_read, path, num_bytes, is_start_enough=is_start_enough, check_large=check_large))
    except OSError as error:
        raise UnreadableImageError(_describe(error)) from error


def _read(path: Path, num_bytes: int, *, is_start_enough: bool, check_large: CheckLarge | None) -> bytearray:
    # System calls only: each releases Python's lock, and a stream of `io` would make two more.
    descriptor = os.open(path, _READ_WITHOUT_WAITING)
    try:
        size = _regular_size(descriptor)
        if size > num_bytes and not is_start_enough:
            raise UnreadableImageError(f"the file is too large ({size:,} bytes)")
        if check_large is not None and size > _LARGE_BYTES:
            check_large(bytearray(os.read(descriptor, _START_BYTES)), size)
            os.lseek(descriptor, 0, os.SEEK_SET)
        content = bytearray(min(size, num_bytes))
        num_read = 0
        with memoryview(content) as view:
            while num_read < len(content) and (count := _read_into(descriptor, view[num_read:])):
                num_read += count
    finally:
        os.close(descriptor)
    del content[num_read:]  # the file shrank while it was read
    return content


def _read_into(descriptor: int, view: memoryview) -> int:
    """Fill the start of `view`; how many bytes, 0 at the end of the file."""
    if hasattr(os, "readv"):  # not on Windows
        return os.readv(descriptor, [view])
    data = os.read(descriptor, min(len(view), _BYTES_AT_ONCE))
    view[: len(data)] = data
    return len(data)


def _regular_size(descriptor: int) -> int:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableImageError("a folder, not a file" if stat.S_ISDIR(status.st_mode) else "not a regular file")
    return status.st_size


def _describe(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "permission denied"
    return f"it cannot be read: {error.strerror or error}"


def _read_ends(path: Path, num_start: int, num_end: int) -> FileEnds:
    descriptor = os.open(path, _READ_WITHOUT_WAITING)
    try:
        num_bytes = _regular_size(descriptor)
        start = _read_up_to(descriptor, num_start)
        if num_bytes <= num_start:
            return FileEnds(num_bytes, start, start[-num_end:])
        os.lseek(descriptor, -num_end, os.SEEK_END)
        return FileEnds(num_bytes, start, _read_up_to(descriptor, num_end))
    finally:
        os.close(descriptor)


def _read_up_to(descriptor: int, num_bytes: int) -> bytes:
    data = os.read(descriptor, num_bytes)
    while len(data) < num_bytes and (more := os.read(descriptor, num_bytes - len(data))):
        data += more
    return data
