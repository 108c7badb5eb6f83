"""Paths below a folder that must stay inside it, and bounded reads with named errors."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.errors import describe_value
from pytorch_designer.storage.retrying import TRANSIENT_ERRORS, open_retrying, real_path, retrying
from pytorch_designer.system.memory_check import check_memory
from pytorch_designer.system.regular_files import kind_of_no_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytorch_designer.errors import DesignerError


def check_directory(root: Path, error: type[DesignerError]) -> None:
    """Make sure that `root` is a directory with something in it.

    Raises:
        DesignerError: An `error` with the reason "missing_directory", "not_a_directory", "empty_directory" or
            "unreadable".
    """
    try:
        is_empty = retrying(lambda: _is_empty(root))
    except FileNotFoundError as missing:
        raise error(
            "There is no such directory.", where=root, advice="Check the path.", reason="missing_directory"
        ) from missing
    except NotADirectoryError as not_directory:
        raise error(f"{_found_at(root)}, not a directory.", where=root, reason="not_a_directory") from not_directory
    except (OSError, ValueError) as failure:
        raise error(
            f"The directory cannot be opened: {_describe(failure)}.", where=root, reason="unreadable"
        ) from failure
    if is_empty:
        raise error("The directory is empty.", where=root, reason="empty_directory")


def no_folder_at(path: Path) -> tuple[Path, str] | None:
    """What keeps a path from being a folder: the path itself or one above it, and its kind; None if nothing does.

    Raises:
        OSError: It cannot be looked at.
    """
    for place in (path, *path.absolute().parents):
        if (kind := kind_of_no_folder(place)) is not None:
            return place, kind
    return None


def resolve_inside(root: Path, relative: str, error: type[DesignerError]) -> Path:
    """The path `root / relative`, after making sure that it stays inside `root`. It need not exist.

    Raises:
        DesignerError: An `error` with the reason "path_outside" if `relative` is empty, absolute (as POSIX or as
            Windows writes it), has a `..`, a NUL or what no file name can hold, or passes through a link that
            leaves `root`; "link_loop" if it passes through links that go in circles; "unreadable" if that cannot be
            told.
    """
    fault = path_fault(relative)
    if fault is not None:
        raise error(f"The path {describe_value(relative)} {fault}.", where=root, reason="path_outside")
    path = root / relative
    with reading_errors(path, error):
        real_root, real = real_path(root), real_path(path)
        is_loop = _goes_in_circles(path)
    if not is_at_or_below(real, real_root):
        raise error(
            f"The path {describe_value(relative)} leaves the directory through a link.",
            where=root,
            advice="Put a copy of the file or folder there instead of the link.",
            reason="path_outside",
        )
    if is_loop:
        raise error(
            f"The path {describe_value(relative)} is a link that goes in circles.", where=root, reason="link_loop"
        )
    return path


def is_at_or_below(real: str, real_root: str) -> bool:
    """True if a path is a folder or below it; both are absolute and without links."""
    return Path(real).is_relative_to(real_root)


def path_fault(relative: str) -> str | None:
    """Fault of `relative` as a path below a directory, as a phrase, or None. Does not access the disk."""
    parts = relative.replace("\\", "/").split("/")
    if not relative or parts == ["."]:
        return "names no file"
    if "\0" in relative:
        return "has a NUL character in it"
    if parts[0] == "" or (len(relative) > 1 and relative[1] == ":" and relative[0].isalpha()):
        return "is absolute"
    if ".." in parts:
        return "climbs with `..`"
    try:
        os.fsencode(relative)
    except UnicodeEncodeError:
        return "holds what no file name can hold"
    return None


def read_bounded(path: Path, max_bytes: int, error: type[DesignerError]) -> bytes:
    """The content of a regular file that should not be larger than `max_bytes`, or than what memory is free.

    A larger one is not read.

    Raises:
        DesignerError: An `error` with the reason "too_large" or "unreadable".
    """
    with reading_errors(path, error), open_retrying(path) as stream:
        num_bytes = stream.seek(0, os.SEEK_END)
        if num_bytes <= max_bytes:
            advice = "Use a machine with more memory."
            check_memory(num_bytes, "Reading the file takes", where=path, advice=advice, error=error)
            stream.seek(0)
            return stream.read(num_bytes)
    raise error(
        f"The file has {num_bytes:,} bytes, which is more than the {max_bytes:,} that such a file may have.",
        where=path,
        reason="too_large",
    )


@contextmanager
def reading_errors(path: Path, error: type[DesignerError]) -> Iterator[None]:
    """Turn an `OSError` while reading `path` into an `error` with the reason "unreadable"."""
    try:
        yield
    except OSError as failure:
        failed = path if failure.filename is None else os.fsdecode(failure.filename)
        raise error(f"The path cannot be read: {_describe(failure)}.", where=failed, reason="unreadable") from failure


def _found_at(path: Path) -> str:
    """What is where a directory should be, or above it, as the beginning of a sentence."""
    with suppress(OSError):
        if (found := no_folder_at(path)) is not None:
            place, kind = found
            return (
                f"The path is {kind}"
                if place == path
                else f"The path leads through {describe_value(place.name)}, {kind}"
            )
    return "The path is a file"


def _is_empty(folder: Path) -> bool:
    with os.scandir(folder) as entries:
        return next(entries, None) is None


def _goes_in_circles(path: Path) -> bool:
    try:
        retrying(path.stat)
    except OSError as failure:
        if failure.errno in TRANSIENT_ERRORS:
            raise
        return failure.errno == errno.ELOOP
    return False


def _describe(failure: OSError | ValueError) -> str:
    return (failure.strerror or str(failure)) if isinstance(failure, OSError) else str(failure)
