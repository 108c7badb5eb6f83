"""Archive that stands for a dataset: the path itself, or the one archive in a folder without images.

What is an archive and is not read is named with what to do: other formats, parts of an archive, several archives side
by side, and archives in an archive.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.archives import TAR_EXTENSIONS, ZIP_EXTENSION, is_archive
from pytorch_designer.storage.folder_listing import single_folder_chain
from pytorch_designer.storage.paths import reading_errors
from pytorch_designer.storage.retrying import is_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytorch_designer.storage.folder_listing import FolderListing

_UNREAD = re.compile(
    r"\.(7z|rar|zipx|ace|arj|cab|lzh|sit|sitx|wim|iso|dmg|tar\.(lz|lz4|lzo|lzma|z|br)|tlz|tbz|taz)$", re.IGNORECASE
)
_PARTS = re.compile(r"\.((7z|zip|tar|tgz|gz)\.\d{2,3}|z\d{2}|part\d+\.rar|r\d{2})$", re.IGNORECASE)
_READ = ", ".join((ZIP_EXTENSION, *TAR_EXTENSIONS))


def find_archive(path: Path) -> Path | None:
    """`path` if it is an archive.

    Raises:
        InvalidDatasetError: It is an archive of a format that is not read ("archive_format"), or a part of one
            ("multi_disk").
    """
    with reading_errors(path, InvalidDatasetError):
        if is_archive(path):
            return path
        if is_unread_archive(path.name) and is_file(path):
            raise _unread(path)
    return None


def find_lone_archive(root: Path, listing: FolderListing | None) -> Path | None:
    """The one archive in the folder `root`, if it has no images and no folders.

    Args:
        root: The folder.
        listing: Its entries; None for a typed directory.

    Raises:
        InvalidDatasetError: As `find_archive`; or there are several archives ("several_archives"), or archives below
            folders that hold nothing else.
    """
    if listing is None:
        return None
    *_, last = single_folder_chain(root, listing)
    archives = _archives(root, last)
    if len(last.images) or last.folders or not archives:
        return None
    if len(archives) > 1:
        raise InvalidDatasetError(
            f"The folder holds {len(archives)} archives and no images.",
            where=root / last.path,
            examples=(path.name for path in archives),
            advice="Give the path of one of the archives instead of the folder's, or unpack them.",
            reason="several_archives",
        )
    return find_archive(archives[0])


def refuse_inner_archive(root: Path, listing: FolderListing | None) -> None:
    """Refuse archives that are all that an archive, extracted into `root`, holds.

    Raises:
        InvalidDatasetError: It holds them ("inner_archive").
    """
    if listing is None:
        return
    *_, last = single_folder_chain(root, listing)
    archives = _archives(root, last)
    if archives and not len(last.images) and not last.folders:
        raise InvalidDatasetError(
            "The archive holds another archive instead of images; that one is not opened.",
            where=root,
            examples=(last.below(path.name) for path in archives),
            advice="Unpack the outer archive, and give the inner one or its content.",
            reason="inner_archive",
        )


def is_unread_archive(name: str) -> bool:
    """True if a file of this name is an archive, or a part of one, that is not read."""
    return bool(_UNREAD.search(name) or _PARTS.search(name))


def _archives(root: Path, listing: FolderListing) -> list[Path]:
    paths: Iterable[Path] = (root / listing.below(name) for name in listing.others)
    with reading_errors(root, InvalidDatasetError):
        return [path for path in paths if is_archive(path) or is_unread_archive(path.name)]


def _unread(path: Path) -> InvalidDatasetError:
    if _PARTS.search(path.name):
        return InvalidDatasetError(
            "The file is one part of an archive in several parts, which are not put together here.",
            where=path,
            advice="Unpack all parts with the program that made them, and give the folder.",
            reason="multi_disk",
        )
    return InvalidDatasetError(
        f"The file is an archive of a format that is not read here (read are {_READ}).",
        where=path,
        advice="Unpack it and give the folder, or pack its content as .zip or .tar.gz.",
        reason="archive_format",
    )
