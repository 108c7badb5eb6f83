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

import logging
import re
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.directories.sources.folder_names import (
    UNLABELED_PART,
    is_about_images,
    is_container,
    is_never_class,
    split_name,
)
from pytorch_designer.directories.sources.image_rows import ImageRows, Layout
from pytorch_designer.directories.sources.source_tree import image_level
from pytorch_designer.directories.sources.splits import AS_CLASSES, split_folders
from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.string_column import StringColumn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytorch_designer.directories.sources.source_tree import SourceTree
    from pytorch_designer.storage.folder_listing import FolderListing

STRAY_SHARE = 0.01
_log = logging.getLogger(__name__)


def has_class_folders(tree: SourceTree) -> bool:
    """Whether there are folders of images that are classes, or whose meaning is unclear (`folder_fault`)."""
    return bool(tree.folders_with_images(image_level(tree))) and split_folders(tree) is None


def folder_fault(tree: SourceTree) -> InvalidDatasetError | None:
    """What makes the folders of images unclear as classes.

    Returns:
        An error with the reason "unclear_layout", or "class_without_images" for a folder beside the classes that has
        files, but no image among them.
    """
    level = tree.listings[image_level(tree)]
    names = tree.folders_with_images(level.path)
    faults = (check(tree, level, names) for check in _CHECKS)
    return next((fault for fault in faults if fault is not None), None)


def read_class_folders(tree: SourceTree) -> ImageRows:
    """The images of class folders, of which `folder_fault` has found no fault."""
    level = tree.listings[image_level(tree)]
    return _label_by_folder(tree, level, tuple(name for name in level.folders if _is_class(tree, level, name)))


def read_all_as_class_folders(tree: SourceTree) -> ImageRows:
    """The images labelled by the top folders, whatever their names are.

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
    return _label_by_folder(tree, level, tuple(name for name in level.folders if _is_class(tree, level, name)))


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
        name += f", in {_listed(splits.all_names)} (splits by their names, and not classes)"
    left_out = tree.left_out(lambda listing: [])
    return ImageRows(Layout(name, left_out=left_out), files, None, (), np.arange(len(files)))


def folders_like_classes(tree: SourceTree) -> list[str]:
    """The folders with images that are classes if no file says otherwise; [] where their names are no classes'."""
    path = image_level(tree)
    names = tree.folders_with_images(path)
    if len(names) < 2 or split_folders(tree) is not None or any(map(is_never_class, names)) or _are_parts(names):
        return []
    return names


def _is_class(tree: SourceTree, level: FolderListing, name: str) -> bool:
    """Whether a folder has images, or nothing at all."""
    path = level.below(name)
    return bool(tree.num_images(path)) or not tree.num_others(path)


def _files_without_images(tree: SourceTree, level: FolderListing, names: list[str]) -> InvalidDatasetError | None:
    found = [name for name in level.folders if not _is_class(tree, level, name) and not is_about_images(name)]
    if not found:
        return None
    return InvalidDatasetError(
        f"{_folders(found, the='The')}, beside {_listed(names)}, {'has' if len(found) == 1 else 'have'} files, but no "
        "images.",
        where=tree.root / level.below(found[0]),
        examples=(_first_file(tree, level.below(name)) for name in found),
        advice="If these are classes, put their images there as JPEG or PNG files. If not, remove the folders.",
        reason="class_without_images",
    )


def _many_strays(tree: SourceTree, level: FolderListing, names: list[str]) -> InvalidDatasetError | None:
    num_strays, num_below = len(level.images), sum(tree.num_images(level.below(name)) for name in names)
    if num_strays <= max(1, STRAY_SHARE * num_below) and not (num_strays and len(names) == 1):
        return None
    return _unclear(
        tree,
        level,
        f"{_counted(num_strays, 'image')} {'lies' if num_strays == 1 else 'lie'} beside {_folders(names)}, with "
        f"{_counted(num_below, 'image')} in {'it' if len(names) == 1 else 'them'}.",
        list(level.images),
        "Move these images into the folders of their classes, or away.",
    )


def _names_of_no_class(tree: SourceTree, level: FolderListing, names: list[str]) -> InvalidDatasetError | None:
    found = [name for name in names if is_never_class(name)]
    if not found:
        return None
    return _unclear(
        tree,
        level,
        f"{_folders(found, 'The')} {'has' if len(found) == 1 else 'have'} images and no name of a class.",
        [f"{level.below(name)}/: {_counted(tree.num_images(level.below(name)), 'image')}" for name in names],
        "Give the folder whose folders are the classes.",
    )


def _split_beside_classes(tree: SourceTree, level: FolderListing, names: list[str]) -> InvalidDatasetError | None:
    """One split alone, with folders in it, beside folders of images: `train/cat/1.jpg, extra/1.jpg`."""
    nested = [name for name in names if not len(tree.listings[level.below(name)].images)]
    found = [name for name in nested if (split := split_name(name)) is not None and not split.rest]
    if not found or len(nested) == len(names):
        return None
    return _unclear(
        tree,
        level,
        f"{_folders(found, 'The')} looks like a split with classes in it, beside "
        f"{_listed([name for name in names if name not in nested])}.",
        [f"{level.below(name)}/{inner}/" for name in found for inner in tree.folders_with_images(level.below(name))],
        "Give one of these folders.",
    )


def _folders_inside(tree: SourceTree, level: FolderListing, names: list[str]) -> InvalidDatasetError | None:
    """Folders inside that may be the classes, or splits: `anna/cat/1.jpg, ben/cat/2.jpg`, `cat/train/1.jpg, ...`."""
    inner = [
        (name, inside)
        for name in names
        for inside in tree.folders_with_images(level.below(name))
        if not is_container(inside)
    ]
    insides = {inside for _, inside in inner}
    roles = {split.role for inside in insides if (split := split_name(inside)) is not None and not split.rest}
    is_nested = not any(len(tree.listings[level.below(name)].images) for name in names)
    if len(roles - {UNLABELED_PART}) > 1:
        what = f"{_folders(names, the='The')} {'has' if len(names) == 1 else 'have'} splits inside"
        advice = "Put the splits on top, train/cat instead of cat/train, and give one of them."
    elif insides & set(names):
        what = "Folders inside others have the names of these"
        advice = "Give the folder whose folders are the classes, or remove what is there twice."
        insides &= set(names)
    elif len(names) > 1 and is_nested and (len(inner) > len(names) or len(insides) < len(inner)):
        what = f"{_folders(names, the='The')} have all images in folders inside, and either could be the classes"
        advice = "Give one of these folders, or put the folders inside beside each other."
    else:
        return None
    examples = [f"{level.below(name)}/{inside}/" for name, inside in inner if inside in insides]
    return _unclear(tree, level, f"{what}: {_listed(sorted(insides))}.", examples, advice)


_CHECKS = (_many_strays, _names_of_no_class, _split_beside_classes, _folders_inside, _files_without_images)


def _label_by_folder(tree: SourceTree, level: FolderListing, classes: tuple[str, ...]) -> ImageRows:
    """All images below the folders `classes` of a folder, in the order of folder, then name."""
    columns = [tree.images(level.below(name)) for name in classes]
    empty = [name for name, column in zip(classes, columns, strict=True) if not len(column)]
    if empty:
        _log.warning("%d of %d class folders have no images: %s.", len(empty), len(classes), _listed(empty))
    used = {level.below(name) for name in classes}
    files = StringColumn.concatenate(columns)
    labels = np.repeat(np.arange(len(classes), dtype=np.int32), [len(column) for column in columns])
    depth = len(level.path.split("/")) if level.path else 0
    left_out = tree.left_out(
        lambda listing: [] if "/".join(listing.path.split("/")[: depth + 1]) in used else list(listing.images)
    )
    return ImageRows(Layout("Class folders", left_out=left_out), files, labels, classes, np.arange(len(files)))


def _unclear(
    tree: SourceTree, level: FolderListing, what: str, examples: Iterable[str], advice: str
) -> InvalidDatasetError:
    return InvalidDatasetError(
        what,
        where=tree.root / level.path,
        examples=examples,
        advice=f"{advice} If the top folders are the classes, set {AS_CLASSES}; to take all images without labels, "
        "PYTORCH_DESIGNER_LAYOUT=unlabeled.",
        reason="unclear_layout",
    )


def _are_parts(names: list[str]) -> bool:
    """Whether folders only divide the images: `images_001`, `images_002`, `part1`, `part2`, `batch_a`."""
    stems = {re.sub(r"[\W_]*(\d+|[a-z])$", "", name.lower()) for name in names}
    return len(stems) == 1 and any(word in next(iter(stems)) for word in ("part", "image", "img", "batch", "folder"))


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
        examples=(f"{number} files {kind}" for kind, number in kinds.most_common()),
        advice=f"{advice} An archive has to be the only file in the folder, and is not looked for inside another "
        "archive.",
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
"""What else holds images, by its extension, and what to do."""


def _first_file(tree: SourceTree, path: str) -> str:
    return next(listing.below(listing.others[0]) for listing in tree.below(path) if listing.others)


def _folders(names: list[str], the: str = "the") -> str:
    return f"{the} folder{'' if len(names) == 1 else 's'} {_listed(names)}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
