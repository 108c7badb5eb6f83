"""Metrics per class, most confused pairs and confidence intervals, from a confusion matrix."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.directories.summary import MAX_CLASS_RATIO
from pytorch_designer.system.memory_check import check_memory

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_BYTES_PER_PAIR = 32  # the matrix of an epoch and of the best one, a copy to look for mistakes, and the report's list


@dataclass(frozen=True)
class ClassScore:
    """Recall, precision and F1 of one class.

    Attributes:
        name: The class.
        num_images: Images of the class.
        num_predicted: Images that were predicted as the class.
        num_correct: Images of the class that were predicted as the class.
    """

    name: str
    num_images: int
    num_predicted: int
    num_correct: int

    @property
    def recall(self) -> float:
        """Share (0 to 1) of the images of the class that were predicted as it; NaN without images."""
        return self.num_correct / self.num_images if self.num_images else math.nan

    @property
    def precision(self) -> float:
        """Share (0 to 1) of the images predicted as the class that belong to it; NaN without predictions."""
        return self.num_correct / self.num_predicted if self.num_predicted else math.nan

    @property
    def f1(self) -> float:
        """Harmonic mean of recall and precision; NaN where neither is defined."""
        total = self.num_images + self.num_predicted
        return 2 * self.num_correct / total if total else math.nan


@dataclass(frozen=True)
class Confusion:
    """Pair of classes that is confused: images of one class that were predicted as another.

    Attributes:
        true: Their class.
        predicted: The class that was predicted.
        num_images: Number of images.
        share: Share (0 to 1) of the images of class `true`.
    """

    true: str
    predicted: str
    num_images: int
    share: float


def check_num_classes(num_classes: int, where: Path) -> None:
    """Make sure that there is memory for the confusion matrix of so many classes, and for its report.

    Raises:
        ModuleOutOfMemoryError: There is not.
    """
    check_memory(
        _BYTES_PER_PAIR * num_classes**2,
        f"The dataset has {num_classes:,} classes, and their confusion matrix takes",
        where=where,
        advice="Use fewer classes, or a machine with more memory. Where the ids of the classes have gaps, each missing "
        "id counts as a class: number them from 0 on.",
    )


def class_scores(confusion: NDArray[np.int64], classes: Sequence[str]) -> tuple[ClassScore, ...]:
    """Each class's score, in the order of `classes`.

    Args:
        confusion: Number of images, int64 [true class, predicted class].
        classes: Class names by index.
    """
    return tuple(
        ClassScore(name, int(num_images), int(num_predicted), int(num_correct))
        for name, num_images, num_predicted, num_correct in zip(
            classes, confusion.sum(axis=1), confusion.sum(axis=0), np.diagonal(confusion), strict=True
        )
    )


def most_confused(confusion: NDArray[np.int64], classes: Sequence[str], limit: int) -> tuple[Confusion, ...]:
    """The pairs of classes with the most confused images, at most `limit`; ties in the order of `classes`."""
    true, predicted = np.nonzero(confusion)
    true, predicted = true[true != predicted], predicted[true != predicted]
    counts = confusion[true, predicted]
    largest = np.argsort(-counts, kind="stable")[:limit]
    num_images = confusion.sum(axis=1)
    return tuple(
        Confusion(classes[i], classes[j], int(number), float(number / num_images[i]))
        for i, j, number in zip(true[largest], predicted[largest], counts[largest], strict=True)
    )


def imbalance(scores: Sequence[ClassScore]) -> tuple[ClassScore, ClassScore] | None:
    """The class with the fewest and the one with the most images, if the latter has `MAX_CLASS_RATIO` times as many.

    Classes without images do not count.
    """
    present = [score for score in scores if score.num_images]
    fewest = min(present, key=lambda score: score.num_images, default=None)
    most = max(present, key=lambda score: score.num_images, default=None)
    if fewest is None or most is None or most.num_images <= MAX_CLASS_RATIO * fewest.num_images:
        return None
    return fewest, most


def balanced_accuracy(confusion: NDArray[np.int64]) -> float:
    """Mean recall (0 to 1) of the classes with images: accuracy if each had as many; NaN without images.

    Args:
        confusion: Number of images, int64 [true class, predicted class].
    """
    num_images = confusion.sum(axis=1)
    has_images = num_images > 0
    if not has_images.any():
        return math.nan
    return float((np.diagonal(confusion)[has_images] / num_images[has_images]).mean())


def accuracy_interval(accuracy: float, num_images: int) -> tuple[float, float]:
    """The 95% interval of a share measured on `num_images` (Wilson, JASA 22:209, 1927)."""
    if not num_images or not math.isfinite(accuracy):
        return 0.0, 1.0
    z = 1.96
    spread = z * math.sqrt(accuracy * (1 - accuracy) / num_images + z * z / (4 * num_images**2))
    center = accuracy + z * z / (2 * num_images)
    scale = 1 + z * z / num_images
    return max(0.0, (center - spread) / scale), min(1.0, (center + spread) / scale)
