"""The two datasets of Train PyTorch Model, checked against each other; knows no torch."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.directories.image_directory import match_classes, require_labels
from pytorch_designer.errors import MAX_EXAMPLES, shorten
from pytorch_designer.reporting.classification import check_num_classes
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pytorch_designer.directories.image_directory import ImageDirectory

_log = logging.getLogger(__name__)

TRAINING_PORT = "training_dataset"
VALIDATION_PORT = "validation_dataset"
_MAX_NAME = 60


@dataclass(frozen=True)
class LabeledDatasets:
    """Training and validation images with the same classes.

    Attributes:
        training: Labeled images; their classes are the model's, in this order.
        validation: Labeled images with the same classes.
        validation_labels: int32 [len(validation)], class indices in the order of the training classes.
    """

    training: ImageDirectory
    validation: ImageDirectory
    validation_labels: NDArray[np.int32]


def check_datasets(training: ImageDirectory, validation: ImageDirectory) -> LabeledDatasets:
    """Check labels and classes, and warn of doubtful data.

    Raises:
        NotLabeledDatasetError: A dataset has images without labels.
        InvalidDatasetError: The classes of the two differ.
        ModuleOutOfMemoryError: There are more classes than the machine has memory for.
    """
    require_labels(training, TRAINING_PORT)
    require_labels(validation, VALIDATION_PORT)
    validation_labels = match_classes(training, validation)
    check_num_classes(len(training.classes), training.source)
    if len(training.classes) == 1:
        _log.warning("The datasets have only one class (%s): there is nothing to tell apart.", training.classes[0])
    if len(training) < len(training.classes):
        _log.warning(
            "There are fewer training images than classes: %s, and %s.",
            count(len(training), "image"),
            count(len(training.classes), "class", "classes"),
        )
    _warn_of_untested_classes(training.classes, validation_labels)
    if training.root.samefile(validation.root) and _share_files(training, validation):
        _log.warning(
            "Training and validation use the same images: the validation metrics say nothing about new images. "
            "Split the dataset."
        )
    return LabeledDatasets(training, validation, validation_labels)


def _warn_of_untested_classes(classes: Sequence[str], validation_labels: NDArray[np.int32]) -> None:
    tested = set(validation_labels.tolist())
    untested = [shorten(name, _MAX_NAME) for label, name in enumerate(classes) if label not in tested]
    if untested:
        _log.warning(
            "The validation images have none of %d of the %d classes, of which the metrics say nothing: %s.",
            len(untested),
            len(classes),
            ", ".join(untested[:MAX_EXAMPLES]) + (" ..." if len(untested) > MAX_EXAMPLES else ""),
        )


def _share_files(one: ImageDirectory, other: ImageDirectory) -> bool:
    return not set(one.files).isdisjoint(other.files)
