"""Size and transforms that a model gets from those of its training images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pytorch_designer.directories.image_directory import ImageDirectory, open_image_directory
from pytorch_designer.directories.model_spec import Normalization
from pytorch_designer.directories.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.images.augmentation import Augmentation, apply_transforms
from pytorch_designer.images.preprocess import crop_and_resize, preprocessing_for_dataset
from pytorch_designer.models.architectures import Architecture, minimum_image_size
from pytorch_designer.models.loading import LoadedModel
from pytorch_designer.training.inputs import choose_preprocessing
from pytorch_designer.transforms.color import Grayscale
from pytorch_designer.transforms.flips import RandomHorizontalFlip
from pytorch_designer.transforms.rng import Rng
from pytorch_designer.transforms.sizes import CenterCrop, Pad, RandomCrop, RandomResizedCrop, Resize
from pytorch_designer.transforms.transform import Transform

IMAGENET = Preprocessing(resize_size=256, crop_height=224, crop_width=224, interpolation="bicubic")
RESIZE, CROP, GRAY, FLIP = Resize(size=(40,)), CenterCrop(size=(36, 36)), Grayscale(), RandomHorizontalFlip()
Steps = tuple[Transform, ...]
ONE_SIZE = [(48, 60)] * 3
SIZES = [(48, 60), (60, 48), (50, 50)]


def model(name: str = "resnet18", preprocessing: Preprocessing | None = None) -> LoadedModel:
    statistics = Normalization(mean=IMAGENET_MEAN, std=IMAGENET_STD)
    return LoadedModel(
        nn.Identity(), Architecture(name, "torchvision", {}), None, preprocessing, statistics, False, False
    )


def dataset(root: Path, sizes: list[tuple[int, int]], applied: Steps = (), recorded: Steps = ()) -> ImageDirectory:
    """Images of these sizes (height, width); `applied` is what they are said to have been through."""
    (root / "a").mkdir()
    for number, (height, width) in enumerate(sizes):
        Image.fromarray(np.full((height, width, 3), number, np.uint8)).save(root / "a" / f"{number}.png")
    opened = open_image_directory(root)
    for name, steps in (("applied_transforms", applied), ("transforms", recorded)):
        object.__setattr__(opened, name, tuple((op, args) for op, args in (step.to_pair() for step in steps)))
    return opened


def sizes_of(preprocessing: Preprocessing) -> tuple[int | None, int, int]:
    return preprocessing.resize_size, preprocessing.crop_height, preprocessing.crop_width


def augmented(augmentation: Augmentation | None) -> tuple[Steps, Steps, tuple[int | None, int, int], Any]:
    assert augmentation is not None
    assert augmentation.seed == 5
    sizing = sizes_of(augmentation.sizing)
    return augmentation.fixed, augmentation.random, sizing, augmentation.source_size


def test_without_transforms_the_models_own_preprocessing_is_used(tmp_path: Path) -> None:
    assert choose_preprocessing(model(preprocessing=IMAGENET), dataset(tmp_path, SIZES), seed=5) == (IMAGENET, None)


def test_without_transforms_and_preprocessing_the_images_keep_their_size(tmp_path: Path) -> None:
    preprocessing, augmentation = choose_preprocessing(model(), dataset(tmp_path, ONE_SIZE), seed=5)
    assert sizes_of(preprocessing) == (48, 48, 60)
    assert augmentation is None


@pytest.mark.parametrize("sizes", [ONE_SIZE, SIZES, [(600, 700)], [(20, 30)]])
@pytest.mark.parametrize("name", ["resnet18", "inception_v3", "densenet121"])
def test_random_steps_that_choose_no_size_change_no_size(tmp_path: Path, name: str, sizes: Any) -> None:
    images = dataset(tmp_path, sizes, recorded=(FLIP,))
    preprocessing, augmentation = choose_preprocessing(model(name), images, seed=5)
    least = minimum_image_size(Architecture(name, "torchvision", {}))
    assert preprocessing == preprocessing_for_dataset(images, minimum_size=least, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    assert augmented(augmentation) == ((), (FLIP,), sizes_of(preprocessing), sizes[0] if len(set(sizes)) == 1 else None)
    of_weights, augmentation = choose_preprocessing(model(name, IMAGENET), images, seed=5)
    assert of_weights == IMAGENET
    assert augmented(augmentation)[2] == (256, 224, 224)


def test_applied_crop_is_the_size_of_the_network_in_place_of_that_of_the_weights(tmp_path: Path) -> None:
    images = dataset(tmp_path, [(36, 36)] * 2, (RESIZE, CROP), (FLIP, GRAY))
    preprocessing, augmentation = choose_preprocessing(model(preprocessing=IMAGENET), images, seed=5)
    assert sizes_of(preprocessing) == (36, 36, 36)
    assert preprocessing.transforms == (RESIZE, CROP, GRAY)
    assert preprocessing.interpolation == "bicubic"
    assert augmented(augmentation) == ((), (FLIP, GRAY), (36, 36, 36), (36, 36))


def test_large_size_that_was_chosen_is_kept(tmp_path: Path) -> None:
    crop = CenterCrop(size=(600, 600))
    preprocessing, augmentation = choose_preprocessing(model(), dataset(tmp_path, [(600, 600)], (crop,)), seed=5)
    assert sizes_of(preprocessing) == (600, 600, 600)
    assert augmentation is None


def test_chosen_size_below_the_networks_least_is_enlarged(tmp_path: Path) -> None:
    images = dataset(tmp_path, [(36, 36)], (RESIZE, CROP), (FLIP,))
    preprocessing, augmentation = choose_preprocessing(model("inception_v3"), images, seed=5)
    assert sizes_of(preprocessing) == (75, 75, 75)
    assert augmented(augmentation)[2] == (75, 75, 75)


@pytest.mark.parametrize("name", ["resnet18", "inception_v3"])
def test_random_crop_and_middle_crop_have_one_scale(tmp_path: Path, name: str) -> None:
    """Training sees 30 of 40 pixels at random, everybody else the middle 30 of 40, both enlarged alike."""
    images = dataset(tmp_path, [(40, 50), (40, 44)], (RESIZE,), (RandomCrop(size=(30, 30)), FLIP))
    preprocessing, augmentation = choose_preprocessing(model(name, IMAGENET), images, seed=5)
    crop = max(30, minimum_image_size(Architecture(name, "torchvision", {}))[0])
    assert sizes_of(preprocessing) == (40 * crop // 30, crop, crop)
    assert augmented(augmentation)[2:] == ((crop, crop, crop), None)


def test_random_resized_crop_chooses_the_size(tmp_path: Path) -> None:
    images = dataset(tmp_path, [(36, 36)], (RESIZE, CROP), (RandomResizedCrop(size=(48, 48)),))
    preprocessing, augmentation = choose_preprocessing(model(preprocessing=IMAGENET), images, seed=5)
    assert sizes_of(preprocessing) == (48, 48, 48)
    assert augmented(augmentation)[2] == (48, 48, 48)


def test_random_crop_of_images_of_any_size_leaves_the_usual_margin(tmp_path: Path) -> None:
    images = dataset(tmp_path, SIZES, recorded=(RandomResizedCrop(size=(28, 28)),))
    preprocessing, augmentation = choose_preprocessing(model(), images, seed=5)
    assert sizes_of(preprocessing) == (32, 28, 28)
    assert augmented(augmentation)[2] == (28, 28, 28)


def test_resized_images_of_different_sizes_get_the_documented_size(tmp_path: Path) -> None:
    preprocessing, _ = choose_preprocessing(
        model(preprocessing=IMAGENET), dataset(tmp_path, [(40, 50), (40, 44)], (RESIZE,)), seed=5
    )
    assert sizes_of(preprocessing) == (256, 224, 224)
    assert preprocessing.transforms == (RESIZE,)


@pytest.mark.parametrize(
    ("applied", "recorded", "size", "expected"),
    [
        ((RESIZE, CROP), (FLIP,), (36, 36), (224, 224, 224)),
        ((CenterCrop(size=(448, 448)),), (FLIP,), (448, 448), (224, 224, 224)),
        ((CenterCrop(size=(448, 448)),), (RandomCrop(size=(224, 224)),), (448, 448), (448, 224, 224)),
    ],
)
def test_network_of_one_size_keeps_it(
    tmp_path: Path, applied: Steps, recorded: Steps, size: tuple[int, int], expected: tuple[int, int, int]
) -> None:
    own = Preprocessing(resize_size=224, crop_height=224, crop_width=224)
    preprocessing, augmentation = choose_preprocessing(
        model("vit_b_16", own), dataset(tmp_path, [size], applied, recorded), seed=5
    )
    assert sizes_of(preprocessing) == expected
    assert augmented(augmentation)[2] == (224, 224, 224)


def test_margin_counts_but_chooses_no_size(tmp_path: Path) -> None:
    images = dataset(tmp_path, ONE_SIZE, recorded=(FLIP, Pad(padding=(2, 2, 2, 2))))
    assert sizes_of(choose_preprocessing(model(), images, seed=5)[0]) == (52, 52, 64)
    preprocessing, _ = choose_preprocessing(model(preprocessing=IMAGENET), images, seed=5)
    assert sizes_of(preprocessing) == sizes_of(IMAGENET)
    assert preprocessing.transforms == (Pad(padding=(2, 2, 2, 2)),)


TRAINED = IMAGENET.model_copy(update={"transforms": (RESIZE, GRAY), "crop_height": 32, "crop_width": 32})


@pytest.mark.parametrize("applied", [(), (RESIZE,), (RESIZE, GRAY)])
def test_fine_tuning_keeps_the_models_steps_on_images_that_have_been_through_some(
    tmp_path: Path, applied: Steps
) -> None:
    preprocessing, augmentation = choose_preprocessing(
        model(preprocessing=TRAINED), dataset(tmp_path, ONE_SIZE, applied), seed=5
    )
    assert (preprocessing, augmentation) == (TRAINED, None)


def test_fine_tuning_does_the_models_steps_after_the_recorded_ones(tmp_path: Path) -> None:
    images = dataset(tmp_path, ONE_SIZE, recorded=(FLIP, RESIZE))
    preprocessing, augmentation = choose_preprocessing(model(preprocessing=TRAINED), images, seed=5)
    assert preprocessing == TRAINED
    assert augmented(augmentation) == ((), (FLIP, RESIZE, GRAY), sizes_of(TRAINED), (48, 60))


def test_fine_tuning_on_images_with_other_transforms_takes_theirs(tmp_path: Path) -> None:
    preprocessing, _ = choose_preprocessing(
        model(preprocessing=TRAINED), dataset(tmp_path, [(36, 36)], (CROP,)), seed=5
    )
    assert preprocessing.transforms == (CROP,)
    assert sizes_of(preprocessing) == (36, 36, 36)


def test_recorded_transforms_before_the_first_random_one_are_done_once(tmp_path: Path) -> None:
    images = dataset(tmp_path, SIZES, recorded=(Resize(size=(40, 44)), GRAY, FLIP, CROP))
    _, augmentation = choose_preprocessing(model(), images, seed=5)
    assert augmented(augmentation) == ((Resize(size=(40, 44)), GRAY), (FLIP, CROP), (36, 36, 36), (40, 44))


def test_unknown_recorded_step_is_a_fault_of_the_dataset(tmp_path: Path) -> None:
    images = dataset(tmp_path, ONE_SIZE)
    object.__setattr__(images, "transforms", (("Sharpen", {}),))
    with pytest.raises(InvalidDatasetError, match="Sharpen"):
        choose_preprocessing(model(), images, seed=5)


@pytest.mark.parametrize("steps", [(RandomCrop(size=(30, 30)),), (RandomResizedCrop(size=(30, 20)), FLIP), (FLIP,)])
def test_training_and_everybody_else_see_images_of_one_size(tmp_path: Path, steps: Steps) -> None:
    images = dataset(tmp_path, SIZES, recorded=(RESIZE, *steps))
    preprocessing, augmentation = choose_preprocessing(model(), images, seed=5)
    assert augmentation is not None
    for height, width in SIZES:
        image = torch.zeros(3, height, width, dtype=torch.uint8)
        source = apply_transforms(image, augmentation.fixed)
        trained = augmentation.draw(source, epoch=1, row=0)
        scored = crop_and_resize(apply_transforms(image, preprocessing.transforms), preprocessing)
        assert trained.shape == scored.shape
        recorded = apply_transforms(source, augmentation.random, Rng(5, "augmentation", 1, 0))
        if any(step.chooses_size for step in steps):  # what the user's steps give is not resized once more
            assert torch.equal(trained, recorded)
