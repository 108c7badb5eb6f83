"""The line that says what a dataset was taken for, and the warning about unbalanced classes."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytorch_designer.directories.sources.image_rows import Layout
from pytorch_designer.directories.summary import imbalance, log_summary, summary
from pytorch_designer.storage.string_column import StringColumn
from tests.directories.hand_built import image_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytorch_designer.directories.image_directory import ImageDirectory


def dataset_of(
    counts: Sequence[int], classes: Sequence[str], *, num_unlabeled: int = 0, **layout: Any
) -> ImageDirectory:
    labels = np.repeat([*range(len(counts)), -1], [*counts, num_unlabeled]).astype(np.int32)
    files = StringColumn.from_strings(f"{row}.png" for row in range(len(labels)))
    return image_directory(
        files,
        labels=labels if classes else None,
        classes=tuple(classes),
        layout=Layout(**({"name": "Class folders"} | layout)),
    )


TEN = [str(digit) for digit in range(10)]
LINES: dict[str, ImageDirectory] = {
    "Class folders: 10 classes, 2,000 images (200 per class); left out: 1 file (preview.jpg)": dataset_of(
        [200] * 10, TEN, left_out=("preview.jpg",)
    ),
    "COCO (annotations.json): 2 classes, 5 images (2 to 3 per class)": dataset_of(
        [2, 3], "ab", name="COCO", labels_from="annotations.json"
    ),
    "Class folders: 3 classes, 7 images (3 to 4 per class); no images in class b": dataset_of([3, 0, 4], "abc"),
    "Class folders: 7 classes, 4 images (4 per class); no images in 6 classes (a, b, c, d, e, ...)": dataset_of(
        [0, 0, 0, 0, 0, 0, 4], "abcdefg"
    ),
    "Image directory: 3 classes, 7 images (3 to 4 per class)": dataset_of(
        [3, 0, 4], ["a", "Others", "c"], name="Image directory"
    ),
    "Class folders: 2 classes, 6 images (2 to 3 per class), 1 of them without a label": dataset_of(
        [2, 3], "ab", num_unlabeled=1
    ),
    "Class folders: 1 class, 1 image": dataset_of([1], "a"),
    "Images without labels: 3 images": dataset_of([3], "", name="Images without labels"),
    "Image directory: 3 images without labels": dataset_of([3], "", name="Image directory"),
    "Class folders: 1 class, 1 image; left out: 1 file and 2 folders (masks/, notes.txt, old/)": dataset_of(
        [1], "a", left_out=("masks/", "notes.txt", "old/")
    ),
    r"Class folders: 1 class, 1 image; left out: 7 folders (a\x1b[31m/, b/, c/, d/, e/, ...)": dataset_of(
        [1], "a", left_out=("a\x1b[31m/", "b/", "c/", "d/", "e/", "f/", "g/")
    ),
}


@pytest.mark.parametrize("line", LINES)
def test_a_dataset_is_summed_up_in_one_line(line: str) -> None:
    assert summary(LINES[line]) == line


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ([1000, 99, 500], "1,000 images in 'a', 99 images in 'b'"),
        ([1, 0, 11], "11 images in 'c', 1 image in 'a'"),
        ([100, 10, 10], None),
        ([10, 0, 0], None),
    ],
)
def test_classes_that_differ_by_more_than_ten_are_named_with_their_counts(counts: list[int], text: str | None) -> None:
    warning = imbalance(dataset_of(counts, "abc"))
    if text is None:
        assert warning is None
    else:
        assert warning is not None
        assert warning.startswith(f"The classes are unbalanced: {text}. ")


def test_images_without_labels_are_not_unbalanced() -> None:
    assert imbalance(dataset_of([3], "")) is None


def test_balance_matters_only_to_what_learns_from_the_dataset(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pytorch_designer")
    dataset = dataset_of([20, 1], "ab")
    log_summary(dataset, "Validation")
    assert caplog.messages == ["Validation - Class folders: 2 classes, 21 images (1 to 20 per class)"]
    log_summary(dataset, trains=True)
    assert [record.levelname for record in caplog.records[1:]] == ["INFO", "WARNING"]
