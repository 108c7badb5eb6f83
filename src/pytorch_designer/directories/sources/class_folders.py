"""Class folders, and folders of images without labels.

    cat/1.jpg, cat/2.jpg, dog/3.png         class folders
    cat/1.jpg, cat/kittens/2.jpg, dog/3.png images further down belong to the class of the top folder
    cat/1.jpg, dog/2.jpg, preview.jpg       an image beside the classes is left out, if it is one or 1 % at most
    images/cat/1.jpg, images/dog/2.jpg      below a folder for all images
    1.jpg, 2.jpg; images/1.jpg              images without labels
    train/cat.0.jpg, test1/1.jpg            splits, which are not classes: images without labels

Classes are the folder names as they are on disk (case, spaces and Unicode form kept), sorted by code point. An empty
folder beside class folders is a class without images. Everything else that could be understood in two ways is an error
that names the folder or file in the way.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.directories.sources.folder_names import are_parts, is_never_class
from pytorch_designer.directories.sources.image_rows import ImageRows, Layout
from pytorch_designer.directories.sources.source_tree import image_level
from pytorch_designer.directories.sources.splits import split_folders
from pytorch_designer.directories.sources.unclear_folders import is_class, listed
from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.string_column import StringColumn
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from pytorch_designer.directories.sources.source_tree import SourceTree
    from pytorch_designer.storage.folder_listing import FolderListing


def has_class_folders(tree: SourceTree) -> bool:
    """True if there are folders of images that are classes, or whose meaning is unclear (`folder_fault`)."""
    return bool(tree.folders_with_images(image_level(tree))) and split_folders(tree) is None


def read_class_folders(tree: SourceTree) -> ImageRows:
    """The images of class folders, of which `folder_fault` has found no fault."""
    level = tree.listings[image_level(tree)]
    return _label_by_folder(tree, level, tuple(name for name in level.folders if is_class(tree, level, name)))


def read_all_as_class_folders(tree: SourceTree) -> ImageRows:
    """The images labeled by the top folders, whatever their names are.

    Raises:
        InvalidDatasetError: There are no images ("no_images"), or no folders with them ("no_class_folders").
    """
    level = tree.listings[tree.levels[-1]]
    if len(level.images) and level.path:
        level = tree.listings[level.path.rpartition("/")[0]]
    if not tree.num_images(level.path):
        raise _no_images(tree)
    if not tree.folders_with_images(level.path):
        raise InvalidDatasetError(
            "There are no class folders in the directory.",
            where=tree.root / level.path,
            advice="Make a folder per class with its images, or leave PYTORCH_DESIGNER_LAYOUT unset.",
            reason="no_class_folders",
        )
    return _label_by_folder(tree, level, tuple(name for name in level.folders if is_class(tree, level, name)))


def read_unlabeled(tree: SourceTree) -> ImageRows:
    """All images of the tree, without labels.

    Raises:
        InvalidDatasetError: There is no image ("no_images").
    """
    files = tree.images(tree.levels[0])
    if not len(files):
        raise _no_images(tree)
    splits = split_folders(tree)
    name = "Images without labels"
    if splits is not None:
        name += f", in {listed(splits.all_names)} (splits by their names, and not classes)"
    left_out = tree.left_out(lambda listing: [])
    return ImageRows(Layout(name, left_out=left_out), files, None, (), np.arange(len(files)))


def folders_like_classes(tree: SourceTree) -> list[str]:
    """The folders with images that are classes if no file says otherwise; [] where their names are no classes'."""
    path = image_level(tree)
    names = tree.folders_with_images(path)
    if len(names) < 2 or split_folders(tree) is not None or any(map(is_never_class, names)) or are_parts(names):
        return []
    return names


def _label_by_folder(tree: SourceTree, level: FolderListing, classes: tuple[str, ...]) -> ImageRows:
    """All images below the folders `classes` of a folder, in the order of folder, then name."""
    columns = [tree.images(level.below(name)) for name in classes]
    used = {level.below(name) for name in classes}
    files = StringColumn.concatenate(columns)
    labels = np.repeat(np.arange(len(classes), dtype=np.int32), [len(column) for column in columns])
    depth = len(level.path.split("/")) if level.path else 0
    left_out = tree.left_out(
        lambda listing: [] if "/".join(listing.path.split("/")[: depth + 1]) in used else list(listing.images)
    )
    return ImageRows(Layout("Class folders", left_out=left_out), files, labels, classes, np.arange(len(files)))


def _no_images(tree: SourceTree) -> InvalidDatasetError:
    kinds = Counter(
        name[name.rfind(".") :].lower() if "." in name else "without extension"
        for listing in tree.below(tree.levels[0])
        for name in listing.others
    )
    advice = "Images are files that Pillow decodes: JPEG, PNG, WebP, TIFF, GIF, BMP and more."
    known = next((text for kind, text in _CONTAINER_FILES.items() if kinds[kind]), None)
    if known is not None:
        advice = f"{known} {advice}"
    return InvalidDatasetError(
        "There are no images in the directory.",
        where=tree.root / tree.levels[-1],
        examples=(f"{kind}: {count(number, 'file')}" for kind, number in kinds.most_common()),
        advice=advice,
        reason="no_images",
    )


_CONTAINER_FILES = {
    ".parquet": "Parquet files, as the Hugging Face Hub has them, are not read: save their images as files.",
    ".arrow": "Arrow files of Hugging Face datasets are not read: save their images as files.",
    ".tfrecord": "TFRecord files are not read: save their images as files.",
    ".npz": "NumPy arrays are not read: save them as image files.",
    ".npy": "NumPy arrays are not read: save them as image files.",
    ".mat": "MATLAB files are not read: save their images as files.",
    ".h5": "HDF5 files are not read: save their images as files.",
    ".hdf5": "HDF5 files are not read: save their images as files.",
    ".lmdb": "LMDB databases are not read: save their images as files.",
    ".mdb": "LMDB databases are not read: save their images as files.",
    ".rec": "RecordIO files are not read: save their images as files.",
    ".gz": "Compressed arrays (idx-ubyte.gz) are not read: save their images as files.",
    ".pkl": "Pickles are not read: save their images as files.",
    ".dcm": "DICOM files are not read: save their images as PNG files.",
    ".mp4": "Videos are not read: save their frames as image files.",
    ".avi": "Videos are not read: save their frames as image files.",
}
"""Other files that hold images, by their extension, and what to do."""
