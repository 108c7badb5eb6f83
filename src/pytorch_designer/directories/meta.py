"""What all typed directories share: `_meta.yaml`, and paths that must stay inside.

    DIRECTORY/_meta.yaml     type: ImageDirectory
                             extension: {}
                             image_list: images.lst
                             ...

Each way in which a directory can be no such directory is told apart by the error's `reason`: "missing_directory",
"not_a_directory", "empty_directory", "missing_meta", "malformed_meta", "missing_type", "wrong_type".
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import yaml

from pytorch_designer.directories.output import META_FILE
from pytorch_designer.directories.retrying import TRANSIENT_ERRORS, real_path, retrying

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytorch_designer.errors import DesignerError

MAX_META_BYTES = 1 << 20


def read_meta(root: Path, expected_type: str, error: type[DesignerError]) -> dict[str, Any]:
    """The parsed `_meta.yaml` of the typed directory `root`; unknown keys are kept.

    Raises:
        DesignerError: An `error` whose `reason` is one of those in the module's docstring, "too_large" or "unreadable".
    """
    check_directory(root, error)
    path = root / META_FILE
    if not _is_listed(path, error):
        raise error(
            f"The directory has no {META_FILE}: it is not a {expected_type}, or what wrote it did not finish.",
            where=root,
            reason="missing_meta",
        )
    meta = _parse_meta(path, error)
    found = meta.get("type")
    if found is None:
        raise error(f"{META_FILE} does not name a `type`.", where=path, reason="missing_type")
    if found != expected_type:
        raise error(
            f"A directory of type {expected_type} is needed here; this one is of type {found}.",
            where=root,
            advice=f"Connect a folder of type {expected_type}.",
            reason="wrong_type",
        )
    return meta


def write_meta(root: Path, type_name: str, **keys: Any) -> None:
    """Write `_meta.yaml` into `root`: the type, an empty `extension`, and `keys` in their order."""
    text = yaml.safe_dump({"type": type_name, "extension": {}, **keys}, sort_keys=False)
    (root / META_FILE).write_text(text, encoding="utf-8")


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
        raise error("The path is a file, not a directory.", where=root, reason="not_a_directory") from not_directory
    except (OSError, ValueError) as failure:
        raise error(
            f"The directory cannot be opened: {_describe(failure)}.", where=root, reason="unreadable"
        ) from failure
    if is_empty:
        raise error("The directory is empty.", where=root, reason="empty_directory")


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
        raise error(f"The path {relative!r} {fault}.", where=root, reason="path_outside")
    path = root / relative
    with reading_errors(path, error):
        real_root, real = real_path(root), real_path(path)
        is_loop = _goes_in_circles(path)
    if real != real_root and not real.startswith(os.path.join(real_root, "")):  # noqa: PTH118 - a string prefix
        raise error(
            f"The path {relative!r} leaves the directory through a link.",
            where=root,
            advice="Put a copy of the file or folder in place of the link.",
            reason="path_outside",
        )
    if is_loop:
        raise error(f"The path {relative!r} is a link that goes in circles.", where=root, reason="link_loop")
    return path


def path_fault(relative: str) -> str | None:
    """What makes `relative` unfit as a path below a directory, as a phrase, or None. The disk is not looked at."""
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
    """The content of a file that has no business being larger than `max_bytes`.

    Raises:
        DesignerError: An `error` with the reason "too_large" or "unreadable".
    """

    def read() -> bytes:
        with path.open("rb") as stream:
            return stream.read(max_bytes + 1)

    with reading_errors(path, error):
        data = retrying(read)
    if len(data) > max_bytes:
        raise error(f"The file is larger than {max_bytes} bytes.", where=path, reason="too_large")
    return data


@contextmanager
def reading_errors(path: Path, error: type[DesignerError]) -> Iterator[None]:
    """Turn an `OSError` while reading `path` into an `error` with the reason "unreadable"."""
    try:
        yield
    except OSError as failure:
        failed = path if failure.filename is None else os.fsdecode(failure.filename)
        raise error(f"The path cannot be read: {_describe(failure)}.", where=failed, reason="unreadable") from failure


def _parse_meta(path: Path, error: type[DesignerError]) -> dict[str, Any]:
    data = read_bounded(path, MAX_META_BYTES, error)
    try:
        meta = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, RecursionError) as failure:
        raise error(f"{META_FILE} is not valid YAML: {failure}", where=path, reason="malformed_meta") from failure
    if meta is None:
        meta = {}
    if not isinstance(meta, dict):
        raise error(f"{META_FILE} is not a mapping of keys to values.", where=path, reason="malformed_meta")
    return {str(key): value for key, value in meta.items()}


def _is_listed(path: Path, error: type[DesignerError]) -> bool:
    """Whether there is an entry of this name, be it a link that leads nowhere."""
    with reading_errors(path, error):
        try:
            retrying(path.lstat)
        except FileNotFoundError:
            return False
    return True


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
