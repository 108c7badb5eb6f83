"""Metrics of predicted probabilities: ROC curves, calibration, log loss, and accuracy within the top classes.

ROC curves are scikit-learn's. The others have its definitions and are computed here, because of what it lacks:

- `log_loss` refuses a single class, and makes an array of n x k numbers of the labels;
- `top_k_accuracy_score` gives a tie to the class of higher index, and `argmax` to that of lower index;
- `calibration_curve` neither counts the images of a bin nor returns bins without images, and refuses the probabilities
  a little above 1 that sums of float32 give.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn import metrics

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUM_CURVE_POINTS = 201
NUM_BINS = 10
_NUMBERS_AT_ONCE = 1 << 22
_LEAST_PROBABILITY = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class RocCurve:
    """ROC curve of one class against the rest.

    Attributes:
        auc: Area under the curve (0 to 1): the probability that an image of the class scores higher than another
            image, ties counting half; NaN when all images or none are of the class.
        true_positive_rates: float64 [NUM_CURVE_POINTS]: true positive rate at the false positive rates 0, 0.005, ...,
            1; NaN where `auc` is.
    """

    auc: float
    true_positive_rates: NDArray[np.float64]


@dataclass(frozen=True)
class CalibrationBin:
    """The images whose predicted class has a probability above `lower` and up to `upper` (the first bin includes 0).

    Attributes:
        confidence: Mean probability of the predicted class; NaN without images.
        accuracy: Share (0 to 1) of the images that are predicted correctly; NaN without images.
    """

    lower: float
    upper: float
    num_images: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """Confidence against accuracy, in bins of ascending confidence.

    Attributes:
        expected_error: Expected calibration error (0 to 1): distance of accuracy and confidence of a bin, averaged
            over the images (Guo et al., 2017, arXiv:1706.04599).
        mean_confidence: Mean probability of the predicted class over all images.
    """

    bins: tuple[CalibrationBin, ...]
    expected_error: float
    mean_confidence: float


def roc_curve(scores_n: NDArray[np.float64], is_positive_n: NDArray[np.bool_]) -> RocCurve:
    """The curve of one class, from its score and the membership of each image."""
    if is_positive_n.all() or not is_positive_n.any():
        return RocCurve(math.nan, np.full(NUM_CURVE_POINTS, math.nan))
    false_positive_rates, true_positive_rates, _ = metrics.roc_curve(is_positive_n, scores_n)
    rates = np.interp(np.linspace(0, 1, NUM_CURVE_POINTS), false_positive_rates, true_positive_rates)
    return RocCurve(float(metrics.auc(false_positive_rates, true_positive_rates)), rates)


def calibrate(confidence_n: NDArray[np.float64], is_correct_n: NDArray[np.bool_]) -> Calibration:
    """Compare the probability of each image's predicted class with its accuracy, for at least one image."""
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


def log_loss(probabilities: NDArray[np.float64], labels_n: NDArray[np.int64]) -> float:
    """Mean negative logarithm of the probability of the label, in nats; labels from k on have a probability of 0."""
    own_n = np.zeros(len(labels_n))
    is_known = labels_n < probabilities.shape[1]
    own_n[is_known] = np.take_along_axis(probabilities[is_known], labels_n[is_known, None], axis=1)[:, 0]
    return float(np.mean(-np.log(np.clip(own_n, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY))))


def num_correct_in_top(probabilities: NDArray[np.float64], labels_n: NDArray[np.int64], top: int) -> int:
    """Images whose label is among the `top` highest-scored classes.

    A tie goes to the class of lower index, as it does where the predicted class is chosen and in training.

    Args:
        probabilities: float64 [n, k], no NaN.
        labels_n: int64 [n]; labels from k on belong to classes without scores, and are never among the highest.
        top: How many classes count.
    """
    num_classes = probabilities.shape[1]
    rows_at_once = max(1, _NUMBERS_AT_ONCE // max(1, num_classes))
    index_k = np.arange(num_classes)
    correct = 0
    for start in range(0, len(labels_n), rows_at_once):
        is_known = labels_n[start : start + rows_at_once] < num_classes
        labels = labels_n[start : start + rows_at_once][is_known]
        scores = probabilities[start : start + rows_at_once][is_known]
        own_n1 = np.take_along_axis(scores, labels[:, None], axis=1)
        is_ahead = (scores > own_n1) | ((scores == own_n1) & (index_k < labels[:, None]))
        correct += int((is_ahead.sum(axis=1) < top).sum())
    return correct
