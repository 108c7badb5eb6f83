"""Recorded transforms of a dataset, and those that are left to the model."""

from __future__ import annotations

from typing import Any

import pytest

from pytorch_designer.directories.image_directory import ImageDirectory
from pytorch_designer.directories.recorded_transforms import applied_transforms, recorded_transforms, transforms_left
from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.string_column import StringColumn
from pytorch_designer.transforms.color import Grayscale
from pytorch_designer.transforms.flips import RandomHorizontalFlip
from pytorch_designer.transforms.sizes import CenterCrop, Resize
from tests.directories.hand_built import image_directory

RESIZE, CROP, GRAY = Resize(size=(40,)), CenterCrop(size=(32, 32)), Grayscale()


def dataset(applied: tuple[Any, ...] = (), transforms: tuple[Any, ...] = ()) -> ImageDirectory:
    files = StringColumn.from_strings(["1.png"])
    return image_directory(files, transforms=transforms, applied_transforms=applied)


@pytest.mark.parametrize(
    ("applied", "left"),
    [
        ((), (RESIZE, CROP, GRAY)),
        ((("Resize", 40),), (CROP, GRAY)),
        ((("Resize", {"size": [40]}), ("CenterCrop", [32])), (GRAY,)),
        ((("Resize", 40), ("CenterCrop", 32), ("Grayscale", {})), ()),
        ((("CenterCrop", 32),), None),
        ((("Resize", 41),), None),
        ((("Resize", 40), ("CenterCrop", 32), ("Grayscale", {}), ("Pad", 1)), None),
    ],
)
def test_a_model_does_what_the_files_have_not_been_through(applied: Any, left: Any) -> None:
    assert transforms_left((RESIZE, CROP, GRAY), dataset(applied)) == left


def test_nothing_is_left_between_a_model_and_images_without_transforms() -> None:
    assert transforms_left((), dataset()) == ()


def test_recorded_transforms_are_parsed() -> None:
    images = dataset((("Resize", 40),), (("RandomHorizontalFlip", {}), ("Grayscale", {})))
    assert applied_transforms(images) == (RESIZE,)
    assert recorded_transforms(images) == (RandomHorizontalFlip(), GRAY)


@pytest.mark.parametrize(
    ("applied", "transforms", "text"),
    [
        ((("Sharpen", 1),), (), "extension.applied_transforms.*Sharpen"),
        ((("RandomErasing", {}),), (), "RandomErasing is random"),
        ((), (("Resize", 1), ("Sharpen", 1)), "extension.transforms.*transform 2: Sharpen"),
    ],
)
def test_unusable_records_are_named(applied: Any, transforms: Any, text: str) -> None:
    read = recorded_transforms if transforms else applied_transforms
    with pytest.raises(InvalidDatasetError, match=f"(?s){text}"):
        read(dataset(applied, transforms))
