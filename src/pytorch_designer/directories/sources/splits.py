"""Splits of a dataset, each in a folder of its own: recognized, and refused where classes are wanted.

    train/cat/1.jpg, valid/cat/2.jpg, test/cat/3.jpg       class folders in each
    images/train/cat/1.jpg, images/val/cat/2.jpg           below single folders or a container
    train/_annotations.coco.json, valid/...                labels in each
    seg_train/seg_train/sea/1.jpg, seg_test/...            words that all splits share

Two roles are the evidence: a folder `train` alone, beside `car` and `plane`, is a vehicle.
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.directories.sources.folder_names import (
    EVALUATION,
    TEST,
    TRAIN,
    UNLABELED_PART,
    VALIDATION,
    is_container,
    split_name,
)
from pytorch_designer.directories.sources.source_tree import SourceTree, image_level, read_source_tree
from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.output import META_FILE
from pytorch_designer.storage.paths import check_directory, reading_errors
from pytorch_designer.storage.retrying import exists

if TYPE_CHECKING:
    from pathlib import Path

AS_CLASSES = "PYTORCH_DESIGNER_LAYOUT=class-folders"
_LABEL_FILES = (".csv", ".tsv", ".json", ".jsonl")


@dataclass(frozen=True)
class Splits:
    """The splits of a dataset; each is a source of its own.

    Attributes:
        train: The folder to train on.
        validation: The folder to validate with.
        test: The folder to test with; its images may have no labels.
        others: Names of further folders with images, which belong to no split that is used.
    """

    train: Path
    validation: Path | None
    test: Path | None
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class SplitFolders:
    """Folders that are splits by their names.

    Attributes:
        path: The folder that they are in, below the root.
        names: Their names by role, sorted.
        others: Names of further folders with images.
    """

    path: str
    names: dict[str, list[str]]
    others: tuple[str, ...]

    @property
    def all_names(self) -> list[str]:
        """The names of all splits, training first."""
        return [name for role in (TRAIN, VALIDATION, TEST, UNLABELED_PART) for name in self.names.get(role, ())]


def find_splits(root: Path) -> Splits | None:
    """The splits that the folder `root` consists of, or None where it is a single dataset, or unclear.

    No file is opened. There is a training split with labels: class folders, a file beside them, or a typed directory.

    Raises:
        InvalidDatasetError: The folder is not there or cannot be read.
    """
    check_directory(root, InvalidDatasetError)
    with reading_errors(root, InvalidDatasetError):
        if exists(root / META_FILE):
            return None
    tree = read_source_tree(root)
    found = split_folders(tree)
    if found is None or not found.names.get(TRAIN) or any(len(names) > 1 for names in found.names.values()):
        return None
    if not _is_labeled(tree, tree.listings[found.path].below(found.names[TRAIN][0])):
        return None
    folder = root / found.path
    paths = {role: folder / names[0] for role, names in found.names.items()}
    others = (*found.others, *found.names.get(UNLABELED_PART, ()))
    return Splits(paths[TRAIN], paths.get(VALIDATION), paths.get(TEST), others)


def split_folders(tree: SourceTree) -> SplitFolders | None:
    """The folders of `tree` that are splits by their names: two roles at least, of names that share all other words."""
    path = image_level(tree)
    groups: dict[tuple[str, ...], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in tree.folders_with_images(path):
        split = split_name(name)
        if split is not None:
            groups[split.rest][split.role].append(name)
    split_groups = [group for group in groups.values() if len(set(group) - {UNLABELED_PART}) > 1]
    if not split_groups:
        return None
    names: dict[str, list[str]] = defaultdict(list)
    for group in split_groups:
        evaluation = TEST if VALIDATION in group else VALIDATION
        for role, members in group.items():
            names[evaluation if role == EVALUATION else role] += members
    known = {name for members in names.values() for name in members}
    others = tuple(name for name in tree.folders_with_images(path) if name not in known)
    return SplitFolders(path, dict(names), others)


def has_own_labels(tree: SourceTree, splits: SplitFolders) -> bool:
    """True if a split is labeled by what is in it: class folders, or a file with labels."""
    return any(_is_labeled(tree, tree.listings[splits.path].below(name)) for name in splits.all_names)


def _is_labeled(tree: SourceTree, path: str) -> bool:
    listing = tree.listings[path]
    while True:
        if META_FILE in listing.others or any(name.lower().endswith(_LABEL_FILES) for name in listing.others):
            return True
        if len(listing.images):
            return False
        folders = tree.folders_with_images(listing.path)
        if len(folders) != 1 or not (is_container(folders[0]) or split_name(folders[0])):
            return bool(folders)
        listing = tree.listings[listing.below(folders[0])]


def refuse_splits(tree: SourceTree, splits: SplitFolders) -> InvalidDatasetError:
    """The error that lists the splits, with a command for each."""
    folder = tree.root / splits.path
    names = splits.all_names
    commands = [f"pytorch-designer train {shlex.quote(str(folder))}"] if splits.names.get(TRAIN) else []
    commands += [
        f"pytorch-designer convert-to-image-directory --input-dataset {shlex.quote(str(folder / name))} "
        f"--output-image-directory {shlex.quote(name + '_images')}"
        for name in names
    ]
    others = f" Beside them: {', '.join(splits.others)}." if splits.others else ""
    return InvalidDatasetError(
        f"The folder holds {len(names)} splits of a dataset, and not one dataset: {', '.join(names)}.{others}",
        where=folder,
        examples=commands,
        advice="Give one of the splits, or train on all of them with the first command, which trains, validates and "
        f"tests on them as they are. If these folders are classes, set {AS_CLASSES}.",
        reason="several_splits",
    )
