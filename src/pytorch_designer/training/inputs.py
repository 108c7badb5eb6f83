"""Inputs of a run: the model, the datasets, and how images are preprocessed for this model.

The rules for preprocessing, with their reasons: docs/decisions/0006-preprocessing-and-transforms.md. In short:
deterministic transforms of the training images become part of the model; where the user's transforms choose a size,
that size is the network's; training, validation and scoring see images at the same scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.directories.recorded_transforms import applied_transforms, is_prefix, recorded_transforms
from pytorch_designer.images.augmentation import Augmentation
from pytorch_designer.images.preprocess import (
    DEFAULT_CROP,
    DEFAULT_RESIZE,
    MAX_KEPT_SIDE,
    enlarged,
    preprocessing_for_dataset,
    sample_sizes,
)
from pytorch_designer.models.architectures import default_preprocessing, minimum_image_size
from pytorch_designer.models.loading import load_model
from pytorch_designer.transforms.registrations import deterministic_transforms, split_at_first_random
from pytorch_designer.transforms.transform import size_after

if TYPE_CHECKING:
    from pytorch_designer.directories.image_directory import ImageDirectory
    from pytorch_designer.directories.model_directory import ModelDirectory
    from pytorch_designer.models.loading import LoadedModel
    from pytorch_designer.training.datasets import LabeledDatasets
    from pytorch_designer.transforms.transform import Transform

    Transforms = tuple[Transform, ...]
    Size = tuple[int, int]


@dataclass(frozen=True)
class TrainingInputs:
    """The loaded inputs of a run.

    Attributes:
        model: The untrained model, or a trained one to fine-tune.
        datasets: Training and validation images.
        preprocessing: What the trained model carries, and does to all images except the training images.
        augmentation: What is done to the training images instead; None where that is the same.
    """

    model: LoadedModel
    datasets: LabeledDatasets
    preprocessing: Preprocessing
    augmentation: Augmentation | None


def load_inputs(model: ModelDirectory, datasets: LabeledDatasets, *, random_seed: int) -> TrainingInputs:
    """Load the model, and choose the preprocessing from it and the training images.

    `random_seed` is the run's, for the random transforms of each image.

    Raises:
        InvalidModelDirectoryError: The model is unusable.
        InvalidDatasetError: The transforms that a dataset records are unusable.
    """
    loaded = load_model(model)
    preprocessing, augmentation = choose_preprocessing(loaded, datasets.training, seed=random_seed)
    return TrainingInputs(loaded, datasets, preprocessing, augmentation)


def choose_preprocessing(
    model: LoadedModel, training: ImageDirectory, *, seed: int
) -> tuple[Preprocessing, Augmentation | None]:
    """The preprocessing that the trained model carries, and the augmentation of the training images, if any.

    Args:
        model: The model to train.
        training: The training images.
        seed: The run's, for the random transforms.

    Raises:
        InvalidDatasetError: The transforms that the directory records are unusable.
    """
    applied, recorded = applied_transforms(training), recorded_transforms(training)
    if not applied and not recorded:
        return model.preprocessing or _own_size(model, training), None
    transforms, is_kept = _model_transforms(model, applied + recorded)
    # In order of time: what the directory asks for, then what only the model that is fine-tuned asks for.
    to_do = recorded + transforms[len(deterministic_transforms(applied + recorded)) :]
    fixed, random = split_at_first_random(to_do)
    files = sample_sizes(training)
    sources = {size_after(fixed, *size) for size in files}
    chooses_size = not is_kept and any(transform.chooses_size for transform in applied + recorded)
    if model.preprocessing is not None and not chooses_size:
        preprocessing = sizing = model.preprocessing
    else:
        seen = {size_after(random, *size) for size in sources}
        others = {size_after(transforms[len(applied) :], *size) for size in files}
        preprocessing, sizing = _sizes_of(model, seen, others, limit=None if chooses_size else MAX_KEPT_SIDE)
    preprocessing = preprocessing.model_copy(update={"transforms": transforms})
    if not random:
        return preprocessing, None
    source_size = next(iter(sources)) if len(sources) == 1 else None
    return preprocessing, Augmentation(fixed, random, sizing, source_size, seed)


def _model_transforms(model: LoadedModel, transforms: Transforms) -> tuple[Transforms, bool]:
    """The transforms that the trained model carries, and whether they are those that it came with.

    It keeps its own where the dataset has been through some or all of them, and draws no size.
    """
    own = () if model.preprocessing is None else model.preprocessing.transforms
    deterministic = deterministic_transforms(transforms)
    draws_size = any(transform.is_random and transform.chooses_size for transform in transforms)
    is_kept = is_prefix(deterministic, own) and not draws_size
    return (own if is_kept else deterministic), is_kept


def _own_size(model: LoadedModel, training: ImageDirectory) -> Preprocessing:
    return preprocessing_for_dataset(
        training,
        minimum_size=minimum_image_size(model.architecture),
        mean=model.normalization.mean,
        std=model.normalization.std,
    )


def _sizes_of(
    model: LoadedModel, seen: set[Size], others: set[Size], *, limit: int | None
) -> tuple[Preprocessing, Preprocessing]:
    """The preprocessing of all other images, and that of the training images, by their sizes.

    Args:
        model: The model to train.
        seen: Sizes of the training images after all transforms.
        others: Sizes of the same files after the deterministic transforms alone.
        limit: Sides up to which a size is the network's; None for any.
    """
    minimum = minimum_image_size(model.architecture)
    is_fixed = default_preprocessing(model.architecture, pretrained=False) is not None
    size = next(iter(seen)) if len(seen) == 1 else None
    if size is None or (limit is not None and max(size) > limit):
        both = max(DEFAULT_RESIZE, *minimum)
        crop = minimum if is_fixed else (max(DEFAULT_CROP, minimum[0]), max(DEFAULT_CROP, minimum[1]))
        preprocessing = _preprocessing(model, both, crop)
        return preprocessing, preprocessing
    crop = minimum if is_fixed else enlarged(size, minimum)[1]
    resized = _covering(size, crop)
    shorter_sides = {min(other) for other in others}
    if len(shorter_sides) == 1:  # the scale at which training sees the images
        scaled = round(shorter_sides.pop() * resized / min(size))
        scaled = max(scaled, *(_covering(other, crop) for other in others))
    else:  # their scale is unknown: a little more than what the network sees, as is usual
        scaled = round(resized * DEFAULT_RESIZE / DEFAULT_CROP)
    return _preprocessing(model, scaled, crop), _preprocessing(model, resized, crop)


def _preprocessing(model: LoadedModel, resize_size: int, crop: Size) -> Preprocessing:
    published = {} if model.preprocessing is None else {"interpolation": model.preprocessing.interpolation}
    return Preprocessing(
        resize_size=resize_size,
        crop_height=crop[0],
        crop_width=crop[1],
        mean=model.normalization.mean,
        std=model.normalization.std,
        **published,
    )


def _covering(size: Size, crop: Size) -> int:
    """The least length of the shorter side at which an image of this size, enlarged or shrunk, covers the crop."""
    shorter = min(size)
    resized = max(1, min(least * shorter // side for side, least in zip(size, crop, strict=True)))
    while any(side * resized // shorter < least for side, least in zip(size, crop, strict=True)):
        resized += 1
    return resized
