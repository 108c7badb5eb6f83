"""Listings of folders that a person filled by hand: images, folders, other files.

What operating systems and editors leave behind is left out silently (`SKIPPED_NAMES`, and every name that starts with a
dot). Links may point to files inside the directory. A link that leaves it, leads to a folder (which is how loops are
made) or leads nowhere is refused: images from elsewhere would not travel with the directory.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.paths import reading_errors
from pytorch_designer.storage.retrying import exists, is_file, is_folder, real_path, retrying
from pytorch_designer.storage.string_column import StringColumn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
SKIPPED_NAMES = frozenset({"__MACOSX", "Thumbs.db"})
_THREADS = 8  # a mount takes milliseconds per call; on a local disk, more threads only pass on Python's lock more often


@dataclass(frozen=True)
class FolderListing:
    """Entries of one folder, each kind sorted by name.

    Attributes:
        path: The folder's path below the directory that is being opened, with `/`; "" for that directory itself.
        images: Paths of the files with an image's extension, below the directory that is being opened.
        folders: Names of the folders.
        others: Names of all other files.
    """

    path: str
    images: StringColumn
    folders: tuple[str, ...]
    others: tuple[str, ...]

    def below(self, name: str) -> str:
        """The path of the entry `name` below the directory that is being opened."""
        return f"{self.path}/{name}" if self.path else name


def is_skipped(name: str) -> bool:
    """Whether a file or folder of this name is litter and not part of a dataset."""
    return name.startswith(".") or name in SKIPPED_NAMES


def is_image_name(name: str) -> bool:
    """Whether the extension, in any case, is an image's."""
    return name.lower().endswith(IMAGE_EXTENSIONS)


def list_folder(root: Path, path: str) -> FolderListing:
    """List the folder `path` below `root`, without a stat for each entry.

    Raises:
        InvalidDatasetError: The folder cannot be read, or holds a link of a refused kind.
    """
    return _arrange(path, _read_folder(root, path))


def list_tree(root: Path, top: FolderListing) -> list[FolderListing]:
    """`top` and the listings of all folders below it, level by level, each level in the order of its names.

    Raises:
        InvalidDatasetError: As `list_folder`.
    """
    level, listings = [top], [top]
    with listing_threads() as threads:
        while level:
            paths = [listing.below(folder) for listing in level for folder in listing.folders]
            # Threads only wait for the system; what is left to compute is done here, or they would be in its way.
            level = [
                _arrange(path, names)
                for path, names in zip(paths, threads.map(partial(_read_folder, root), paths), strict=True)
            ]
            listings += level
    return listings


def single_folder_chain(root: Path, listing: FolderListing) -> Iterator[FolderListing]:
    """The `listing` of `root`, then of the one folder in it while there is nothing but one folder, as in most archives.

    The last listing has images, several folders, or neither.
    """
    yield listing
    while not len(listing.images) and len(listing.folders) == 1:
        listing = list_folder(root, listing.below(listing.folders[0]))
        yield listing


def names_of_files(folder: Path) -> list[str]:
    """The names of the regular files in `folder`, in any order.

    Raises:
        OSError: The folder cannot be read.
    """
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]


def listing_threads() -> ThreadPoolExecutor:
    """Threads that list folders: most of the time they wait for a disk or a mount."""
    return ThreadPoolExecutor(_THREADS)


class _Names(NamedTuple):
    """Names of the entries of a folder, in any order, litter among the files only."""

    files: list[str]
    folders: list[str]
    others: list[str]


def _read_folder(root: Path, path: str) -> _Names:
    with reading_errors(root / path, InvalidDatasetError):
        return retrying(lambda: _read_once(root, path))


def _read_once(root: Path, path: str) -> _Names:
    names = _Names([], [], [])
    links: list[str] = []
    with os.scandir(root / path) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                names.files.append(entry.name)
            elif is_skipped(entry.name):
                continue
            elif entry.is_symlink():
                links.append(entry.name)
            else:  # what is not a folder is something like a pipe, which would be read forever
                (names.folders if entry.is_dir() else names.others).append(entry.name)
    for name in sorted(links):
        link = root / path / name
        _check_link(root, link)
        (names.files if is_file(link) else names.others).append(name)
    return names


def _arrange(path: str, names: _Names) -> FolderListing:
    images = sorted(name for name in names.files if is_image_name(name) and not is_skipped(name))
    others = names.others
    if len(images) < len(names.files):
        others = others + [name for name in names.files if not is_image_name(name) and not is_skipped(name)]
    prefix = f"{path}/" if path else ""
    return FolderListing(
        path=path,
        images=StringColumn.from_strings([prefix + name for name in images]),
        folders=tuple(sorted(names.folders)),
        others=tuple(sorted(others)),
    )


def _check_link(root: Path, link: Path) -> None:
    real, real_root = real_path(link), real_path(root)
    if real != real_root and not real.startswith(os.path.join(real_root, "")):  # noqa: PTH118 - a string prefix
        fault, reason = "leaves the directory", "link_leaves_directory"
    elif not exists(link):
        fault, reason = "leads nowhere or in circles", "broken_link"
    elif is_folder(link):
        fault, reason = "leads to a folder", "link_to_folder"
    else:
        return
    raise InvalidDatasetError(
        f"A link in the dataset {fault}.",
        where=link,
        advice="Put a copy of the file or folder there instead of the link, or remove the link.",
        reason=reason,
    )
