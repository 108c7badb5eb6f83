"""The listed tree of a source, which all recognizers of layouts look at.

Each folder is listed once. Counting and comparing folders costs nothing per image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pytorch_designer.directories.sources.folder_names import is_about_images, is_container, split_name
from pytorch_designer.storage.folder_listing import FolderListing, list_folder, list_tree, single_folder_chain
from pytorch_designer.storage.string_column import StringColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


@dataclass(frozen=True, eq=False)
class SourceTree:
    """A folder that is being opened, and all folders below it.

    Attributes:
        root: The folder.
        listings: The listing of every folder by its path below `root`, each after the one that it is in; "" for the
            root itself.
        levels: The paths of the root, and of the one folder in it as long as there is nothing but one folder.
    """

    root: Path
    listings: dict[str, FolderListing]
    levels: tuple[str, ...]

    def num_images(self, path: str) -> int:
        """The number of images in the folder `path` and below it."""
        return self._num_images[path]

    def num_others(self, path: str) -> int:
        """The number of other files in the folder `path` and below it."""
        return sum(len(listing.others) for listing in self.below(path))

    def folders_with_images(self, path: str) -> list[str]:
        """The names of the folders in the folder `path` with images in them, at any depth."""
        listing = self.listings[path]
        return [name for name in listing.folders if self._num_images[listing.below(name)]]

    def below(self, path: str) -> Iterator[FolderListing]:
        """The listings of the folder `path` and of all below it, in the order of their paths."""
        paths = [path]
        while paths:
            listing = self.listings[paths.pop()]
            yield listing
            paths += [listing.below(name) for name in reversed(listing.folders)]

    def images(self, path: str) -> StringColumn:
        """All images in the folder `path` and below it, folder by folder."""
        return StringColumn.concatenate([listing.images for listing in self.below(path)])

    def left_out(self, unused_images: Callable[[FolderListing], list[str]], label_file: str = "") -> tuple[str, ...]:
        """Paths of what is not part of the dataset; those of whole folders end with `/`.

        Args:
            unused_images: The images of a folder that are not part of it.
            label_file: The path of the file that the labels are in.
        """
        entries: dict[str, list[str]] = {}
        used: set[str] = set()
        for path, listing in reversed(self.listings.items()):
            unused = unused_images(listing)
            others = [listing.below(name) for name in listing.others]
            found = [f"{listing.below(name)}/" for name in listing.skipped]
            found += unused
            found += [other for other in others if other != label_file]
            if len(unused) < len(listing.images) or label_file in others:
                used.add(path)
            for name in listing.folders:
                found += entries.pop(listing.below(name))
            if path in used and path:
                used.add(path.rpartition("/")[0])
            entries[path] = found if path in used or not found or not path else [f"{path}/"]
        return tuple(sorted(entries[""]))

    @cached_property
    def _num_images(self) -> dict[str, int]:
        numbers = {path: len(listing.images) for path, listing in self.listings.items()}
        for path in reversed(self.listings):
            if path:
                numbers[path.rpartition("/")[0]] += numbers[path]
        return numbers


def read_source_tree(root: Path, chain: Sequence[FolderListing] | None = None) -> SourceTree:
    """List the folder `root` and all below it.

    Args:
        root: The folder.
        chain: What `single_folder_chain` yields for it, where that has been listed already.

    Raises:
        InvalidDatasetError: A folder cannot be read, or holds a link of a refused kind.
    """
    levels = list(single_folder_chain(root, list_folder(root, ""))) if chain is None else chain
    listings = [*levels[:-1], *list_tree(root, levels[-1])]
    return SourceTree(root, {listing.path: listing for listing in listings}, tuple(level.path for level in levels))


def image_level(tree: SourceTree) -> str:
    """The path of the folder whose folders are classes, splits or parts, or which has the images itself.

    Below single folders, it is also looked for in `images/` or the like, and beside folders without images that hold
    labels or documents.
    """
    path = tree.levels[-1]
    while not len(tree.listings[path].images):
        listing = tree.listings[path]
        with_images = tree.folders_with_images(path)
        if len(with_images) != 1:
            return path
        inner = with_images[0]
        others = [name for name in listing.folders if name != inner]
        if others and not is_container(inner) and not all(map(is_about_images, others)):
            return path
        if len(tree.listings[listing.below(inner)].images) and not is_container(inner) and split_name(inner) is None:
            return path  # the only class
        path = listing.below(inner)
    return path if path != tree.levels[-1] or not _is_lone_class(path) else path.rpartition("/")[0]


def _is_lone_class(path: str) -> bool:
    """True if a folder of images at the end of a chain is a class, which the root and containers are not."""
    name = path.rpartition("/")[2]
    return bool(name) and not is_container(name) and split_name(name) is None
