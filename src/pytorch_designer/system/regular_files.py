"""Opening of regular files alone: whatever else has a file's name is refused, not waited for.

A named pipe without a writer blocks whoever opens it, a device may never end or act on being read, and a link may lead
to either. All files that this project reads are opened here, inputs by way of `retrying.open_retrying`.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, BinaryIO

from pytorch_designer.system.special_files import SPECIAL_KINDS

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = ((stat.S_ISLNK, "a link"), (stat.S_ISDIR, "a folder"), *SPECIAL_KINDS)
# If a pipe takes the file's place between the look and the opening, opening does not wait.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class NotARegularFileError(OSError):
    """Something that is no file where a file is read. `strerror` says what it is."""

    def __init__(self, path: Path | str, mode: int) -> None:
        super().__init__(errno.EINVAL, f"it is {kind_of(mode)}, not a regular file", str(path))


def open_regular(path: Path) -> int:
    """Open a regular file, or a link to one, for reading.

    Returns:
        A descriptor.

    Raises:
        NotARegularFileError: It is something else.
        OSError: It cannot be opened.
    """
    _check_mode(path, path.stat().st_mode)
    descriptor = os.open(path, _FLAGS)
    try:
        _check_mode(path, os.fstat(descriptor).st_mode)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def open_regular_file(path: Path) -> BinaryIO:
    """A regular file, or a link to one, opened for reading.

    Raises:
        NotARegularFileError: It is something else.
        OSError: It cannot be opened.
    """
    return os.fdopen(open_regular(path), "rb")


def read_regular(path: Path) -> bytes:
    """The content of a regular file, or of a link to one.

    Raises:
        NotARegularFileError: It is something else.
        OSError: It cannot be read.
    """
    with open_regular_file(path) as stream:
        return stream.read()


def kind_of(mode: int) -> str:
    """Kind of a file by its mode, of `os.lstat`, with its article."""
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), "a file")


def kind_of_no_folder(path: Path) -> str | None:
    """Kind of what is there, or of what a link leads to, with its article; None where it is a folder, or nothing.

    Raises:
        OSError: It cannot be looked at.
    """
    if path.exists():
        return None if path.is_dir() else kind_of(path.stat().st_mode)
    if not path.is_symlink():
        return None
    return "a link that goes in circles" if _goes_in_circles(path) else "a link that leads nowhere"


def _goes_in_circles(link: Path) -> bool:
    try:
        link.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def _check_mode(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise NotARegularFileError(path, mode)
