"""File trees: listings, content hashes with a memory, and copies.

The hash of a folder covers the names in it (empty folders too) and the contents of its files. Times, modes and the
path of the folder do not matter. Symbolic links count as their targets.

Copies share their blocks with the original until one of them is written, where the file system can do that (btrfs,
XFS). Hard links would be as cheap, but a write to one would change the other.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_CHUNK_BYTES = 1 << 20
_FICLONE = 0x40049409  # the ioctl of Linux by which btrfs and XFS clone a file
_CANNOT_CLONE = {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM}
_SETTLED_NS = 2_000_000_000  # a file may change twice within the resolution of its time, and keep its size


@dataclass(frozen=True)
class FileEntry:
    """A file, or a folder (`num_bytes` is -1), below some top.

    Attributes:
        name: Its path below the top, with forward slashes; for a top that is a file, the file's own name.
    """

    name: str
    path: Path
    num_bytes: int
    changed_ns: int

    @property
    def is_folder(self) -> bool:
        """True if it is a folder."""
        return self.num_bytes < 0


def list_tree(top: Path) -> list[FileEntry]:
    """All files and folders below `top`, or `top` itself if it is a file, in the order of their names.

    Raises:
        OSError: Something cannot be read, is not a file or folder, or is a link in a circle.
    """
    if not top.is_dir():
        return [_entry(top.name, top)]
    return sorted(_walk(top), key=lambda entry: entry.name)


def listing_hash(entries: Sequence[FileEntry]) -> str:
    """Hash of names, sizes and times: cheap, and changed by any ordinary write."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(_line(entry.name, entry.num_bytes, 0 if entry.is_folder else entry.changed_ns))
    return digest.hexdigest()


def _go_on() -> None:
    """Default check for a stop request, which never stops."""


def content_hash(entries: Sequence[FileEntry], check: Callable[[], None] = _go_on) -> str:
    """Hash of names and contents, as hexadecimal text. Files are read in chunks.

    Args:
        entries: As `list_tree` lists them.
        check: Is called before each chunk and may raise to end the reading: a large file takes minutes.

    Raises:
        OSError: A file cannot be read.
    """
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(_line(entry.name, entry.num_bytes))
        if not entry.is_folder:
            with entry.path.open("rb") as stream:
                check()
                while chunk := stream.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    check()
    return digest.hexdigest()


class HashMemory:
    """Content hashes of paths, remembered in a folder with one small file per path.

    Args:
        folder: Is created when something is remembered.
        check: See `content_hash`.
    """

    def __init__(self, folder: Path, check: Callable[[], None] = _go_on) -> None:
        self._folder = folder
        self._check = check

    def hash_of(self, top: Path) -> str:
        """The content hash of `top`, which is read again only if names, sizes or times have changed.

        Raises:
            OSError: Something in it cannot be read.
            Exception: What `check` raises.
        """
        entries = list_tree(top)
        listing = listing_hash(entries)
        memo = self._folder / f"{hashlib.sha256(os.fsencode(resolved(top))).hexdigest()}.json"
        known = _read(memo)
        if known.get("listing") == listing:
            return str(known["content"])
        content = content_hash(entries, self._check)
        newest = max((entry.changed_ns for entry in entries), default=0)
        if newest < time.time_ns() - _SETTLED_NS:
            _write(memo, {"path": str(top), "listing": listing, "content": content})
        return content


def copy_entries(entries: list[FileEntry], target: Path) -> None:
    """Copy files and folders, as `list_tree` lists them, into the folder `target`, which is created.

    Raises:
        OSError: Something cannot be read or written.
    """
    target.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        place = target / entry.name
        if entry.is_folder:
            place.mkdir(exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            _copy_file(entry.path, place)


def copy_to(source: Path, target: Path) -> None:
    """Copy the file or folder `source` to the path `target`; what is in a folder there stays.

    Raises:
        OSError: Something cannot be read or written.
    """
    entries = list_tree(source)
    if source.is_dir():
        copy_entries(entries, target)
    else:
        copy_entries([replace(entries[0], name=target.name)], target.parent)


def _read(memo: Path) -> dict[str, str]:
    if not memo.is_file():
        return {}
    try:
        known = json.loads(memo.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) and {"listing", "content"} <= known.keys() else {}


def _write(memo: Path, known: dict[str, str]) -> None:
    partial = memo.with_name(f"{uuid.uuid4().hex}.partial")
    with suppress(OSError):  # then it is read again next time
        memo.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(known), encoding="utf-8")
        partial.replace(memo)


def _walk(top: Path) -> Iterator[FileEntry]:
    pending: list[tuple[Path, str, tuple[str, ...]]] = [(top, "", (os.path.realpath(top),))]
    while pending:
        folder, prefix, ancestors = pending.pop()
        with os.scandir(folder) as found:
            for item in found:
                name, path = f"{prefix}{item.name}", Path(item.path)
                yield (entry := _entry(name, path))
                if entry.is_folder:
                    real = os.path.realpath(path)
                    if real in ancestors:
                        raise OSError(f"{path} is a link that leads back to a folder it is in")
                    pending.append((path, f"{name}/", (*ancestors, real)))


def _entry(name: str, path: Path) -> FileEntry:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        return FileEntry(name, path, -1, status.st_mtime_ns)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path} is neither a file nor a folder")
    return FileEntry(name, path, status.st_size, status.st_mtime_ns)


def _copy_file(source: Path, target: Path) -> None:
    if not _is_cloned(source, target):
        shutil.copyfile(source, target)
    shutil.copystat(source, target)


def _is_cloned(source: Path, target: Path) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    import fcntl

    with source.open("rb") as reading, target.open("wb") as writing:
        try:
            fcntl.ioctl(writing.fileno(), _FICLONE, reading.fileno())
        except OSError as error:
            if error.errno in _CANNOT_CLONE:
                return False
            raise
    return True


def _line(*fields: object) -> bytes:
    return ("\0".join(str(field) for field in fields) + "\0").encode("utf-8", "surrogateescape")
