"""Files to bytes: one open and one read, bounded in size, with a few retries when a mount stumbles."""

from __future__ import annotations

import io
import os
import stat
from functools import partial
from typing import TYPE_CHECKING

from pytorch_designer.directories.retrying import retrying
from pytorch_designer.images.bad_files import UnreadableImageError

if TYPE_CHECKING:
    from pathlib import Path


def read_file(path: Path, *, max_bytes: int) -> bytearray:
    """All bytes of the file at `path`, writable so that a tensor can share them.

    Raises:
        UnreadableImageError: It cannot be read, is no regular file, or has more than `max_bytes` bytes.
    """
    return _read_with_retries(path, max_bytes, is_start_enough=False)


def read_start(path: Path, *, num_bytes: int) -> bytearray:
    """The first `num_bytes` bytes of the file at `path`, or all where it has fewer.

    Raises:
        UnreadableImageError: It cannot be read or is no regular file.
    """
    return _read_with_retries(path, num_bytes, is_start_enough=True)


def _read_with_retries(path: Path, num_bytes: int, *, is_start_enough: bool) -> bytearray:
    try:
        return retrying(partial(_read, path, num_bytes, is_start_enough=is_start_enough))
    except OSError as error:
        raise UnreadableImageError(_describe(error)) from error


def _read(path: Path, num_bytes: int, *, is_start_enough: bool) -> bytearray:
    with io.FileIO(path, opener=_open_without_waiting) as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableImageError("not a regular file")
        if status.st_size > num_bytes and not is_start_enough:
            raise UnreadableImageError(f"the file is too large ({status.st_size:,} bytes)")
        content = bytearray(min(status.st_size, num_bytes))
        num_read = 0
        with memoryview(content) as view:
            while num_read < len(content) and (count := stream.readinto(view[num_read:])):
                num_read += count
    del content[num_read:]  # the file shrank while it was read
    return content


def _open_without_waiting(path: str, flags: int) -> int:
    # Opening a named pipe waits for a writer, for ever, unless told otherwise.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _describe(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "a folder, not a file"
    if isinstance(error, PermissionError):
        return "permission denied"
    return f"it cannot be read: {error.strerror or error}"
