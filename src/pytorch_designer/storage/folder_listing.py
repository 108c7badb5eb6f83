"""What lies in a folder that somebody filled by hand: images, folders, other files.

Left out without a word: what operating systems and editors leave behind (`SKIPPED_NAMES`, and every name that starts
with a dot). Links may point to files inside the directory. A link that leaves it, leads to a folder (which is how
loops are made) or leads nowhere is refused: images from elsewhere would not travel with the directory.
"""

from __future__ import annotations

import os
import stat
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.directory_entries import Entries, read_entries
from pytorch_designer.storage.listing_threads import ListingThreads
from pytorch_designer.storage.paths import reading_errors
from pytorch_designer.storage.retrying import exists, is_file, is_folder, real_path, retrying
from pytorch_designer.storage.string_column import StringColumn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")  # the usual ones first
SKIPPED_NAMES = frozenset({"__MACOSX", "Thumbs.db"})
_FOLDERS_AHEAD = 64  # some for each of the threads; the records of all folders would take more memory than the paths


@dataclass(frozen=True)
class FolderListing:
    """The entries of one folder, each kind sorted by name.

    Attributes:
        path: The folder's path below the directory that is being opened, with `/`; "" for that directory itself.
        images: Paths of the files with an image's extension, below the directory that is being opened.
        folders: Names of the folders.
        others: Names of all other files.
    """

    path: str
    images: StringColumn
    folders: tuple[str, ...]
    others: StringColumn

    def below(self, name: str) -> str:
        """The path of the entry `name` below the directory that is being opened."""
        return f"{self.path}/{name}" if self.path else name


def is_skipped(name: str) -> bool:
    """Whether a file or folder of this name is litter and no part of a dataset."""
    return name.startswith(".") or name in SKIPPED_NAMES


def is_image_name(name: str) -> bool:
    """Whether the extension, in any case, is an image's."""
    return name[name.rfind(".") :].lower() in IMAGE_EXTENSIONS if "." in name else False


def list_folder(root: Path, path: str) -> FolderListing:
    """List the folder `path` below `root`, without a stat for each entry.

    Raises:
        InvalidDatasetError: The folder cannot be read, or holds a link of a refused kind.
    """
    return _arrange(_read_folder(root, path))


def list_tree(root: Path, top: FolderListing) -> Iterator[FolderListing]:
    """`top` and the listings of all folders below it, level by level, each level in the order of its names.

    Threads read ahead; what then is left to compute is done here, where no thread is in the way of others.

    Raises:
        InvalidDatasetError: As `list_folder`.
    """
    yield top
    paths = deque(top.below(folder) for folder in top.folders)
    reading: deque[Future[_Contents]] = deque()
    with ListingThreads() as threads:
        while paths or reading:
            while paths and len(reading) < _FOLDERS_AHEAD:
                reading.append(threads.submit(partial(_read_folder, root, paths.popleft())))
            listing = _arrange(reading.popleft().result())
            paths.extend(listing.below(folder) for folder in listing.folders)
            yield listing


def single_folder_chain(root: Path) -> Iterator[FolderListing]:
    """`root`, then the one folder in it while there is nothing but one folder: how archives are usually packed.

    The last listing has images, several folders, or none of both.
    """
    listing = list_folder(root, "")
    yield listing
    while not len(listing.images) and len(listing.folders) == 1:
        listing = list_folder(root, listing.below(listing.folders[0]))
        yield listing


@dataclass(frozen=True)
class _Contents:
    """What is in the folder `path`, each kind in any order; litter is left out except for that in `entries`."""

    path: str
    entries: Entries  # to take the names of regular files from
    linked_files: list[str]
    folders: list[str]
    others: list[str]


def _read_folder(root: Path, path: str) -> _Contents:
    """All of a listing that waits for the system."""
    with reading_errors(root / path, InvalidDatasetError):
        return retrying(lambda: _read_once(root, path))


def _read_once(root: Path, path: str) -> _Contents:
    contents = _Contents(path, read_entries(root / path), linked_files=[], folders=[], others=[])
    for name, kind in sorted(contents.entries.others):
        if is_skipped(name):
            pass
        elif stat.S_ISLNK(kind):
            link = root / path / name
            _check_link(root, link)
            (contents.linked_files if is_file(link) else contents.others).append(name)
        elif stat.S_ISDIR(kind):
            contents.folders.append(name)
        else:  # such as a pipe, which would be read for ever
            contents.others.append(name)
    return contents


def _arrange(contents: _Contents) -> FolderListing:
    images = contents.entries.take_file_names() + contents.linked_files
    others = contents.others
    images.sort()
    if not _are_images(images):
        others = others + [name for name in images if not is_image_name(name) and not is_skipped(name)]
        images = [name for name in images if is_image_name(name) and not is_skipped(name)]
    return FolderListing(
        path=contents.path,
        images=StringColumn.from_names(images, f"{contents.path}/" if contents.path else ""),
        folders=tuple(sorted(contents.folders)),
        others=StringColumn.from_names(sorted(others)),
    )


def _are_images(names: Sequence[str]) -> bool:
    """Whether all of the sorted `names` have an image's extension and none starts with a dot.

    It does not look at each of them: no where they have several extensions, some of which are not in lower case.
    """
    hidden = bisect_left(names, ".")
    if hidden < len(names) and names[hidden].startswith("."):
        return False
    text = "\0".join(names) + "\0"
    first = names[0][names[0].rfind(".") :] if names else ""
    num_left = len(names)
    for extension in dict.fromkeys((first, *IMAGE_EXTENSIONS)):
        if num_left and extension.lower() in IMAGE_EXTENSIONS:
            num_left -= text.count(f"{extension}\0")
    return num_left == 0


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
        advice="Put a copy of the file or folder in place of the link, or remove the link.",
        reason=reason,
    )
