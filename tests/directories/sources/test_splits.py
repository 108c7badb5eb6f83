"""Splits of a dataset, found by the names of their folders."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.sources.splits import find_splits
from pytorch_designer.errors import InvalidDatasetError

if TYPE_CHECKING:
    from tests.directories.hand_built import MakeTree


@pytest.mark.parametrize(
    ("paths", "train", "validation", "test"),
    [
        ("train/cat/1.jpg valid/cat/2.jpg test/cat/3.jpg", "train", "valid", "test"),
        ("Train/cat/1.jpg Test/cat/2.jpg", "Train", None, "Test"),
        ("train/cat/1.jpg eval/cat/2.jpg", "train", "eval", None),
        ("training/cat/1.jpg validation/cat/2.jpg evaluation/cat/3.jpg", "training", "validation", "evaluation"),
        ("pets/images/train2017/cat/1.jpg pets/images/val2017/cat/2.jpg", "pets/images/train2017",
         "pets/images/val2017", None),
        ("seg_train/seg_train/sea/1.jpg seg_test/seg_test/sea/2.jpg", "seg_train", None, "seg_test"),
        ("TrainImages/cat/1.jpg TestImages/2.jpg", "TrainImages", None, "TestImages"),
        ("train/image/1.png train/_meta.yaml val/image/2.png val/_meta.yaml", "train", "val", None),
        ("train/1.jpg train/labels.csv val/2.jpg val/labels.csv", "train", "val", None),
    ],
)  # fmt: skip
def test_splits_are_found_by_their_roles(
    make_tree: MakeTree, paths: str, train: str, validation: str | None, test: str | None
) -> None:
    root = make_tree(*paths.split())
    splits = find_splits(root)
    assert splits is not None
    assert splits.train == root / train
    assert splits.validation == (None if validation is None else root / validation)
    assert splits.test == (None if test is None else root / test)


@pytest.mark.parametrize(
    "paths",
    [
        "cat/1.jpg dog/2.jpg",
        "train/1.jpg car/2.jpg plane/3.jpg",  # vehicles
        "steam_train/1.jpg crash_test/2.jpg",
        "train/1.jpg test/2.jpg",  # no labels in them
        "valid/cat/1.jpg test/cat/2.jpg",  # nothing to train on
        "train/cat/1.jpg val/cat/2.jpg valid/cat/3.jpg",  # which of two
        "train/cat/1.jpg",
        "1.jpg 2.jpg",
        "_meta.yaml train/cat/1.jpg test/cat/1.jpg",  # a typed directory
    ],
)
def test_other_folders_are_no_splits(make_tree: MakeTree, paths: str) -> None:
    assert find_splits(make_tree(*paths.split())) is None


def test_further_folders_are_named(make_tree: MakeTree) -> None:
    splits = find_splits(make_tree("train/cat/1.jpg", "test/cat/2.jpg", "extra/cat/3.jpg", "unlabeled/4.jpg"))
    assert splits is not None
    assert splits.others == ("extra", "unlabeled")


def test_each_split_is_listed_with_a_command_that_reads_it(make_tree: MakeTree) -> None:
    root = make_tree("my pets/train/cat/1.jpg", "my pets/train/dog/2.jpg", "my pets/valid/cat/3.jpg")
    with pytest.raises(InvalidDatasetError) as caught:
        open_image_directory(root)
    commands = [shlex.split(example) for example in caught.value.examples]
    assert commands[0] == ["pytorch-designer", "train", str(root / "my pets")]
    for command, split in zip(commands[1:], ("train", "valid"), strict=True):
        assert command[:4] == [
            "pytorch-designer",
            "convert-to-image-directory",
            "--input-dataset",
            str(root / "my pets" / split),
        ]
        assert open_image_directory(Path(command[3])).classes[0] == "cat"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidDatasetError) as caught:
        find_splits(tmp_path / "absent")
    assert caught.value.reason == "missing_directory"
