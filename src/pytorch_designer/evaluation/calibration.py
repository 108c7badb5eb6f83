"""Whether a predicted probability means what it says: of the images predicted with 80%, are 80% right?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUM_BINS = 10


@dataclass(frozen=True)
class CalibrationBin:
    """The images whose predicted class has a probability above `lower` and up to `upper` (the first bin has 0 too).

    Attributes:
        confidence: Mean probability of the predicted class; NaN without images.
        accuracy: Share (0 to 1) of the images that are predicted right; NaN without images.
    """

    lower: float
    upper: float
    num_images: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """The bins, from the least sure images to the surest.

    Attributes:
        expected_error: Mean distance (0 to 1) of accuracy and confidence over all images, each taken from its bin
            (Guo et al., 2017, arXiv:1706.04599).
        mean_confidence: Mean probability of the predicted class over all images.
    """

    bins: tuple[CalibrationBin, ...]
    expected_error: float
    mean_confidence: float


def calibrate(confidence_n: NDArray[np.float64], is_correct_n: NDArray[np.bool_]) -> Calibration:
    """Compare the probability of each image's predicted class with how often it is right, for at least one image."""
    edges = np.linspace(0, 1, NUM_BINS + 1)
    bins_n = np.searchsorted(edges[1:-1], confidence_n)
    num_images = np.bincount(bins_n, minlength=NUM_BINS)
    confidence_sums = np.bincount(bins_n, weights=confidence_n, minlength=NUM_BINS)
    num_correct = np.bincount(bins_n, weights=is_correct_n, minlength=NUM_BINS)
    bins = tuple(
        CalibrationBin(
            lower=float(edges[index]),
            upper=float(edges[index + 1]),
            num_images=int(count),
            confidence=float(confidence_sums[index] / count) if count else math.nan,
            accuracy=float(num_correct[index] / count) if count else math.nan,
        )
        for index, count in enumerate(num_images)
    )
    distance = np.abs(num_correct - confidence_sums).sum() / len(confidence_n)
    return Calibration(bins, float(distance), float(np.mean(confidence_n)))
