"""Checks of the two datasets: what is doubtful is said, with the counts."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pytorch_designer.directories.image_directory import ImageDirectory, open_image_directory
from pytorch_designer.training.datasets import check_datasets
from tests.images.digits import write_digits


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("pytorch_designer"), "propagate", True)
    caplog.set_level(logging.INFO)


def dataset(folder: Path, **sizes: int) -> ImageDirectory:
    for number, (name, size) in enumerate(sizes.items()):
        write_digits(folder / "made", classes=1, per_class=size, skip=20 * number)
        folder.mkdir(exist_ok=True)
        (folder / "made" / "0").rename(folder / name)
        (folder / "made").rmdir()
    return open_image_directory(folder)


def test_classes_of_very_different_sizes_are_said_with_their_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    training = dataset(tmp_path / "training", cat=22, dog=5, fox=2)
    check_datasets(training, dataset(tmp_path / "validation", cat=1, dog=1, fox=1))
    assert "The classes are unbalanced: 2 training images of fox, and 22 of cat." in caplog.text
    assert training.class_sizes.tolist() == [22, 5, 2]


def test_a_single_image_is_written_as_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    check_datasets(dataset(tmp_path / "training", cat=12, dog=1), dataset(tmp_path / "validation", cat=1, dog=1))
    assert "1 training image of dog, and 12 of cat" in caplog.text


def test_ten_to_one_is_still_silent(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    check_datasets(dataset(tmp_path / "training", cat=20, dog=2), dataset(tmp_path / "validation", cat=1, dog=1))
    assert caplog.text == ""
