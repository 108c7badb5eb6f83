"""Class folders, and folders of images without labels.

    cat/1.jpg, cat/2.jpg, dog/3.png      class folders: exactly one level, all images in it
    1.jpg, 2.jpg                         flat and unlabelled
    cat/1.jpg, 2.jpg                     both levels: nested and unlabelled
    train/cat/1.jpg, val/cat/2.jpg       deeper: nested and unlabelled

Classes are the folder names as they are on disk (case, spaces and Unicode form kept), sorted by code point. An empty
folder beside class folders is a class without images. Folders that hold no image at any depth do not make a layout
nested.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.directories.sources.image_rows import ImageRows, Layout
from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.folder_listing import IMAGE_EXTENSIONS, FolderListing, list_tree
from pytorch_designer.storage.string_column import StringColumn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_log = logging.getLogger(__name__)


def scan_image_folders(root: Path, top: FolderListing) -> ImageRows:
    """All images at and below the folder `top` of `root`; labelled by folder where the layout is class folders.

    Returns:
        Rows in the order of folder, then name. Paths are below `root`; ids count from 0.

    Raises:
        InvalidDatasetError: There is no image (reason "no_images"), or a folder or link in it is unusable.
    """
    listings = list(list_tree(root, top))
    folders = sorted((listing for listing in listings if len(listing.images)), key=lambda listing: listing.path)
    if not folders:
        raise InvalidDatasetError(
            "There are no images in the directory.",
            where=root / top.path,
            advice=f"Images are files named {', '.join(sorted(IMAGE_EXTENSIONS))}, in any case. An archive has to be "
            "the only file in the folder, and is not looked for inside another archive.",
            reason="no_images",
        )
    _log_other_files(root, listings)
    files = StringColumn.concatenate([folder.images for folder in folders])
    ids = np.arange(len(files), dtype=np.int64)
    class_paths = {top.below(name): index for index, name in enumerate(top.folders)}
    if not all(folder.path in class_paths for folder in folders):
        return ImageRows(Layout("Images without labels"), files, None, (), ids)
    labels = np.repeat(
        np.array([class_paths[folder.path] for folder in folders], dtype=np.int32),
        [len(folder.images) for folder in folders],
    )
    return ImageRows(Layout("Class folders"), files, labels, top.folders, ids)


def _log_other_files(root: Path, listings: Sequence[FolderListing]) -> None:
    num_others = sum(len(listing.others) for listing in listings)
    if num_others:
        first = next(listing.below(listing.others[0]) for listing in listings if len(listing.others))
        _log.warning(
            "%d files in %s have no image's extension and are left out, for instance %r.",
            num_others,
            root,
            first,
        )
