"""What lies in a folder that somebody filled by hand: images, folders, other files.

Left out without a word: what operating systems and editors leave behind (`SKIPPED_NAMES`, and every name that starts
with a dot). Links may point to files inside the directory. A link that leaves it, leads to a folder (which is how
loops are made) or leads nowhere is refused: images from elsewhere would not travel with the directory.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from pytorch_designer.directories.listing_threads import ListingThreads
from pytorch_designer.directories.meta import reading_errors
from pytorch_designer.directories.retrying import exists, is_file, is_folder, real_path, retrying
from pytorch_designer.directories.string_column import StringColumn
from pytorch_designer.errors import InvalidDatasetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")  # the usual ones first
SKIPPED_NAMES = frozenset({"__MACOSX", "Thumbs.db"})
_ENTRIES_AT_ONCE = 1 << 16
_SCANS_DESCRIPTORS = os.scandir in os.supports_fd


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


@contextmanager
def scan(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    """`os.scandir`, without a path for each entry where the system can: a tenth faster.

    Raises:
        OSError: The folder cannot be read.
    """
    if not _SCANS_DESCRIPTORS:
        with os.scandir(folder) as entries:
            yield entries
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with os.scandir(descriptor) as entries:
            yield entries
    except OSError as error:  # which knows the entry's name at most
        error.filename = str(folder / error.filename) if isinstance(error.filename, str) else str(folder)
        raise
    finally:
        os.close(descriptor)


def regular_files(entries: Iterator[os.DirEntry[str]]) -> Iterator[tuple[list[str], list[os.DirEntry[str]]]]:
    """Tell the regular files of a folder from all else, many entries at a time: there may be a million of them.

    Yields:
        The names of the next regular files, and the other entries among them, such as links and folders.
    """
    while block := list(islice(entries, _ENTRIES_AT_ONCE)):
        files = [entry.name for entry in block if entry.is_file(follow_symlinks=False)]
        others = [] if len(files) == len(block) else [e for e in block if not e.is_file(follow_symlinks=False)]
        yield files, others


def list_folder(root: Path, path: str) -> FolderListing:
    """List the folder `path` below `root`, without a stat for each entry.

    Raises:
        InvalidDatasetError: The folder cannot be read, or holds a link of a refused kind.
    """
    with reading_errors(root / path, InvalidDatasetError):
        return retrying(lambda: _list_once(root, path))


def list_tree(root: Path, top: FolderListing) -> Iterator[FolderListing]:
    """`top` and the listings of all folders below it, level by level, each level in the order of its names.

    Raises:
        InvalidDatasetError: As `list_folder`.
    """
    yield top
    level = [top.below(folder) for folder in top.folders]
    with ListingThreads() as threads:
        while level:
            listings = [threads.submit(partial(list_folder, root, path)) for path in level]
            level = []
            for listing in (future.result() for future in listings):
                level.extend(listing.below(folder) for folder in listing.folders)
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


def _list_once(root: Path, path: str) -> FolderListing:
    files: list[str] = []
    links: list[str] = []
    folders: list[str] = []
    others: list[str] = []
    with scan(root / path) as entries:
        for names, irregular in regular_files(entries):
            files += names
            for entry in irregular:
                if is_skipped(entry.name):
                    pass
                elif entry.is_symlink():
                    links.append(entry.name)
                elif entry.is_dir():
                    folders.append(entry.name)
                else:  # such as a pipe, which would be read for ever
                    others.append(entry.name)
    for name in sorted(links):
        link = root / path / name
        _check_link(root, link)
        (files if is_file(link) else others).append(name)
    files.sort()
    if not _are_images(files):
        others += [name for name in files if not is_image_name(name) and not is_skipped(name)]
        files = [name for name in files if is_image_name(name) and not is_skipped(name)]
    return FolderListing(
        path=path,
        images=StringColumn.from_names(files, f"{path}/" if path else ""),
        folders=tuple(sorted(folders)),
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
