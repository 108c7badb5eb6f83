"""What a model does to images, and what training does to them besides: chosen from the model and the training images.

The rules, with their reasons: docs/decisions/0006-preprocessing-and-transforms.md. In short: deterministic transforms
of the training images become part of the model; where the user's transforms choose a size, that size is the
network's; images as training sees them and images as everybody else sees them have the same scale.
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
from pytorch_designer.transforms.registrations import deterministic_transforms, split_at_first_random
from pytorch_designer.transforms.transform import size_after

if TYPE_CHECKING:
    from pytorch_designer.directories.image_directory import ImageDirectory
    from pytorch_designer.models.loading import LoadedModel
    from pytorch_designer.transforms.transform import Transform

    Steps = tuple[Transform, ...]
    Size = tuple[int, int]


@dataclass(frozen=True)
class ImagePlan:
    """What is done to images from their decoding to the network.

    Attributes:
        preprocessing: What the trained model carries, and does to every image but the training images.
        augmentation: What is done to the training images; None where it is the same.
    """

    preprocessing: Preprocessing
    augmentation: Augmentation | None


def plan_images(model: LoadedModel, training: ImageDirectory, *, seed: int) -> ImagePlan:
    """Choose the plan.

    Args:
        model: The model to train.
        training: The training images.
        seed: Of the run, for the random steps.

    Raises:
        InvalidDatasetError: The transforms that the directory records are unusable.
    """
    applied, recorded = applied_transforms(training), recorded_transforms(training)
    if not applied and not recorded:
        return ImagePlan(model.preprocessing or _own_size(model, training), None)
    steps, is_kept = _model_steps(model, applied + recorded)
    # In order of time: what the directory asks for, then what only the model that is fine-tuned asks for.
    to_do = recorded + steps[len(deterministic_transforms(applied + recorded)) :]
    fixed, random = split_at_first_random(to_do)
    files = sample_sizes(training)
    sources = {size_after(fixed, *size) for size in files}
    chooses_size = not is_kept and any(step.chooses_size for step in applied + recorded)
    if model.preprocessing is not None and not chooses_size:
        preprocessing = sizing = model.preprocessing
    else:
        seen = {size_after(random, *size) for size in sources}
        others = {size_after(steps[len(applied) :], *size) for size in files}
        preprocessing, sizing = _sizes_of(model, seen, others, limit=None if chooses_size else MAX_KEPT_SIDE)
    preprocessing = preprocessing.model_copy(update={"transforms": steps})
    if not random:
        return ImagePlan(preprocessing, None)
    source_size = next(iter(sources)) if len(sources) == 1 else None
    return ImagePlan(preprocessing, Augmentation(fixed, random, sizing, source_size, seed))


def _model_steps(model: LoadedModel, steps: Steps) -> tuple[Steps, bool]:
    """The steps that the trained model carries, and whether they are those that it came with.

    It keeps its own where the dataset has been through some or all of them, and draws no size.
    """
    own = () if model.preprocessing is None else model.preprocessing.transforms
    deterministic = deterministic_transforms(steps)
    draws_size = any(step.is_random and step.chooses_size for step in steps)
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
    """The preprocessing of all images but the training images, and that of the training images, by their sizes.

    Args:
        model: The model to train.
        seen: Sizes of the training images after all steps.
        others: Sizes of the same files after the deterministic steps alone.
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
    else:  # nothing is known about their scale: a little more than what the network sees, as is usual
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
