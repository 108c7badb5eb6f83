"""What the order of the scores gives: ROC curves, the areas under them, and whether a label is among the best five."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUM_CURVE_POINTS = 201
_NUMBERS_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False)
class RocCurve:
    """How well the score of one class orders its images above all others.

    Attributes:
        auc: Area under the curve (0 to 1): the probability that an image of the class scores higher than another one,
            ties counting half; NaN when all images or none are of the class.
        true_positive_rates: float64 [NUM_CURVE_POINTS]: share of the class's images above the threshold that lets
            0%, 0.5%, ... 100% of the others pass; NaN where `auc` is.
    """

    auc: float
    true_positive_rates: NDArray[np.float64]


def roc_curve(scores_n: NDArray[np.float64], is_positive_n: NDArray[np.bool_]) -> RocCurve:
    """The curve of one class against the rest, from its score and membership of each image.

    The area is a quotient of two whole numbers (Mann and Whitney, 1947), exact but for its last rounding.
    """
    num_positive = int(is_positive_n.sum())
    num_negative = len(is_positive_n) - num_positive
    if not num_positive or not num_negative:
        return RocCurve(math.nan, np.full(NUM_CURVE_POINTS, math.nan))
    order = np.argsort(-scores_n)
    sorted_scores = scores_n[order]
    is_last_of_tie = np.append(sorted_scores[1:] != sorted_scores[:-1], True)
    # Counts from the highest score down to each threshold, itself included.
    positives = np.cumsum(is_positive_n[order], dtype=np.int64)[is_last_of_tie]
    negatives = np.flatnonzero(is_last_of_tie) + 1 - positives
    # Trapezoids: twice their area, in units of one positive times one negative, is whole.
    doubled = (np.diff(negatives, prepend=0) * (positives + np.append(0, positives[:-1]))).sum(dtype=np.int64)
    rates = np.interp(
        np.linspace(0, 1, NUM_CURVE_POINTS),
        np.append(0, negatives) / num_negative,
        np.append(0, positives) / num_positive,
    )
    return RocCurve(int(doubled) / (2 * num_positive * num_negative), rates)


def num_correct_in_top(probabilities: NDArray[np.float64], labels_n: NDArray[np.int64], top: int) -> int:
    """Images whose label is among the `top` highest-scored classes.

    A tie goes to the class of lower index, as it does where the predicted class is chosen and in training.

    Args:
        probabilities: float64 [n, k], no NaN.
        labels_n: int64 [n]; labels from k on are of no class that has scores, and never among the highest.
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
