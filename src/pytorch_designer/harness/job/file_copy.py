"""Copies of files that share their blocks with the original until one of them is written, where the disk can do that.

Hard links would be as cheap, but whoever writes into one would change the other.
"""

from __future__ import annotations

import errno
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.harness.job.content_hash import FileEntry

_FICLONE = 0x40049409  # the ioctl of Linux by which btrfs and XFS clone a file
_CANNOT_CLONE = {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM}


def copy_entries(entries: list[FileEntry], target: Path) -> None:
    """Copy files and folders, as `content_hash.list_tree` lists them, into the folder `target`, which is created.

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
