"""The three inputs of Train PyTorch Model, checked against each other before any work is done."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.directories.image_directory import ImageDirectory, match_classes, require_labels
from pytorch_designer.models.loading import LoadedModel, load_model
from pytorch_designer.storage.string_column import are_in
from pytorch_designer.training.image_plan import plan_images

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from pytorch_designer.directories.preprocessing import Preprocessing
    from pytorch_designer.images.augmentation import Augmentation

_log = logging.getLogger(__name__)

TRAINING_PORT = "training_dataset"
VALIDATION_PORT = "validation_dataset"


@dataclass(frozen=True)
class TrainingInputs:
    """What training starts from.

    Attributes:
        model: The untrained model, or a trained one to fine-tune.
        training: Labelled images; their classes are the model's, in this order.
        validation: Labelled images with the same classes.
        validation_labels: int32 [len(validation)], class indices in the order of the training classes.
        preprocessing: The model's own, or the one that the training images ask for.
        augmentation: What is done to the training images in place of it; None where that is the same.
    """

    model: LoadedModel
    training: ImageDirectory
    validation: ImageDirectory
    validation_labels: NDArray[np.int32]
    preprocessing: Preprocessing
    augmentation: Augmentation | None


def check_inputs(
    *, untrained_model: Path, training: ImageDirectory, validation: ImageDirectory, random_seed: int
) -> TrainingInputs:
    """Load the model and check the inputs against each other.

    `random_seed` is the run's, for what is drawn for each image.

    Raises:
        InvalidModelDirectoryError: The model is unusable.
        InvalidDatasetError: A dataset is unusable, or the classes of the two differ.
        NotLabeledDatasetError: A dataset has images without labels.
    """
    model = load_model(untrained_model)
    require_labels(training, TRAINING_PORT)
    require_labels(validation, VALIDATION_PORT)
    validation_labels = match_classes(training, validation)
    _warn_of_doubtful_data(training, validation)
    plan = plan_images(model, training, seed=random_seed)
    return TrainingInputs(model, training, validation, validation_labels, plan.preprocessing, plan.augmentation)


def _share_files(one: ImageDirectory, other: ImageDirectory) -> bool:
    # Eight bytes a name, where a set of names takes a hundred.
    return bool(are_in(np.sort(one.files.hashes()), other.files.hashes()).any())


def _warn_of_doubtful_data(training: ImageDirectory, validation: ImageDirectory) -> None:
    if len(training.classes) == 1:
        _log.warning("The datasets have one class only (%s): there is nothing to tell apart.", training.classes[0])
    if len(training) < len(training.classes):
        _log.warning("There are %d training images for %d classes.", len(training), len(training.classes))
    if training.root.samefile(validation.root) and _share_files(training, validation):
        _log.warning(
            "Training and validation use the same images: the validation metrics say nothing about new images. "
            "Split the dataset."
        )
