"""Recognizers of layouts, in their order: what a folder of images is.

Files that say which label an image has come first. Then come splits and layouts of other tools, which are refused by
name, then class folders. What is left are images without labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.directories.sources.class_folders import (
    folders_like_classes,
    has_class_folders,
    read_all_as_class_folders,
    read_class_folders,
    read_unlabeled,
)
from pytorch_designer.directories.sources.coco import read_coco
from pytorch_designer.directories.sources.foreign_layouts import (
    find_foreign_files,
    find_foreign_folders,
    refuse_foreign,
)
from pytorch_designer.directories.sources.label_table import read_label_table
from pytorch_designer.directories.sources.splits import has_own_labels, refuse_splits, split_folders
from pytorch_designer.directories.sources.unclear_folders import folder_fault
from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.settings import settings

if TYPE_CHECKING:
    from pytorch_designer.directories.sources.image_rows import ImageRows
    from pytorch_designer.directories.sources.source_tree import SourceTree


_NO_FAULT_OF_IMAGES = frozenset(
    {"not_classification", "ambiguous_columns", "several_label_tables", "contradicting_labels", "malformed_table"}
)


def recognize(tree: SourceTree, *, takes_other_tasks: bool = False) -> ImageRows:
    """The images and labels of a folder that is not a typed directory.

    Args:
        tree: The folder.
        takes_other_tasks: The caller needs no labels: what is annotated for another task, or unclear, is read as images
            without labels.

    Raises:
        InvalidDatasetError: There are no images; the folder is recognized as something that is not read, or could be
            understood in two ways; a file with labels is damaged, or contradicts the images.
    """
    layout = settings().layout
    if layout == "class-folders":
        return read_all_as_class_folders(tree)
    if layout == "unlabeled":
        return read_unlabeled(tree)
    rows = read_coco(tree, takes_other_tasks=takes_other_tasks)
    if rows is not None:
        return rows
    foreign = find_foreign_folders(tree)
    if foreign is None:
        splits = split_folders(tree)
        if splits is not None and has_own_labels(tree, splits):
            raise refuse_splits(tree, splits)
        rows = _read_table(tree, takes_other_tasks=takes_other_tasks)
        if rows is not None:
            return rows
        if not folders_like_classes(tree):
            foreign = find_foreign_files(tree)
    if foreign is not None and not (takes_other_tasks and foreign.images_apart):
        raise refuse_foreign(tree, foreign)
    if foreign is not None or not has_class_folders(tree):
        return read_unlabeled(tree)
    return _read_class_folders(tree, takes_other_tasks=takes_other_tasks)


def _read_class_folders(tree: SourceTree, *, takes_other_tasks: bool) -> ImageRows:
    fault = folder_fault(tree)
    if fault is None:
        return read_class_folders(tree)
    if takes_other_tasks:
        return read_unlabeled(tree)
    raise fault


def _read_table(tree: SourceTree, *, takes_other_tasks: bool) -> ImageRows | None:
    try:
        return read_label_table(tree, folders_like_classes(tree))
    except InvalidDatasetError as error:
        if takes_other_tasks and error.reason in _NO_FAULT_OF_IMAGES:
            return None
        raise
