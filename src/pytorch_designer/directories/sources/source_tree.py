"""The listed tree of a source, which all recognizers of layouts look at.

Each folder is listed once. Counting and comparing folders costs nothing per image.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytorch_designer.directories.sources.folder_names import is_about_images, is_container, split_name
from pytorch_designer.storage.folder_listing import FolderListing, list_folder, list_tree, single_folder_chain
from pytorch_designer.storage.string_column import StringColumn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, eq=False)
class SourceTree:
    """A folder that is being opened, and all folders below it.

    Attributes:
        root: The folder.
        listings: The listing of every folder by its path below `root`; "" for the root itself.
        levels: The paths of the root, and of the one folder in it as long as there is nothing but one folder.
    """

    root: Path
    listings: dict[str, FolderListing]
    levels: tuple[str, ...]
    _num_images: dict[str, int] = field(default_factory=dict)

    def num_images(self, path: str) -> int:
        """The number of images in the folder `path` and below it."""
        if path not in self._num_images:
            listing = self.listings[path]
            below = sum(self.num_images(listing.below(name)) for name in listing.folders)
            self._num_images[path] = len(listing.images) + below
        return self._num_images[path]

    def num_others(self, path: str) -> int:
        """The number of other files in the folder `path` and below it."""
        listing = self.listings[path]
        return len(listing.others) + sum(self.num_others(listing.below(name)) for name in listing.folders)

    def folders_with_images(self, path: str) -> list[str]:
        """The names of the folders in the folder `path` with images in them, at any depth."""
        listing = self.listings[path]
        return [name for name in listing.folders if self.num_images(listing.below(name))]

    def below(self, path: str) -> Iterator[FolderListing]:
        """The listings of the folder `path` and of all below it, in the order of their paths."""
        listing = self.listings[path]
        yield listing
        for name in listing.folders:
            yield from self.below(listing.below(name))

    def images(self, path: str) -> StringColumn:
        """All images in the folder `path` and below it, folder by folder."""
        return StringColumn.concatenate([listing.images for listing in self.below(path)])


def read_source_tree(root: Path, top: FolderListing | None = None) -> SourceTree:
    """List the folder `root`, whose own listing may be known, and all below it.

    Raises:
        InvalidDatasetError: A folder cannot be read, or holds a link of a refused kind.
    """
    chain = list(single_folder_chain(root, list_folder(root, "") if top is None else top))
    listings = [*chain[:-1], *list_tree(root, chain[-1])]
    return SourceTree(root, {listing.path: listing for listing in listings}, tuple(level.path for level in chain))


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
    """Whether a folder of images at the end of a chain is a class, which the root and containers are not."""
    name = path.rpartition("/")[2]
    return bool(name) and not is_container(name) and split_name(name) is None
