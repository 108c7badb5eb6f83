"""Figures over all classes that a confusion matrix gives, defined as scikit-learn defines them by default."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Averages:
    """Precision, recall and F1 (0 to 1) of the classes, averaged in one way."""

    precision: float
    recall: float
    f1: float


def macro_averages(confusion: NDArray[np.int64]) -> Averages:
    """Every class counts the same.

    Classes with neither images nor predictions are left out. Elsewhere a share of nothing counts as 0: the precision
    of a class that was never predicted, and the recall of one without images.

    Args:
        confusion: Number of images, int64 [true class, predicted class].
    """
    is_present_k = (confusion.sum(axis=0) + confusion.sum(axis=1)) > 0
    return _averages(confusion, is_present_k.astype(np.float64))


def weighted_averages(confusion: NDArray[np.int64]) -> Averages:
    """Every class counts as much as it has images; the argument is that of `macro_averages`."""
    return _averages(confusion, confusion.sum(axis=1).astype(np.float64))


def micro_averages(confusion: NDArray[np.int64]) -> Averages:
    """Every image counts the same. With one label an image, all three are the accuracy."""
    accuracy = float(np.trace(confusion) / confusion.sum())
    return Averages(accuracy, accuracy, accuracy)


def balanced_accuracy(confusion: NDArray[np.int64]) -> float:
    """The mean recall of the classes that have images."""
    num_images_k = confusion.sum(axis=1)
    has_images_k = num_images_k > 0
    return float(np.mean(np.diagonal(confusion)[has_images_k] / num_images_k[has_images_k]))


def cohen_kappa(confusion: NDArray[np.int64]) -> float:
    """Agreement of labels and predictions beyond chance (Cohen, 1960): 1 is perfect, 0 is chance.

    NaN where chance alone agrees wholly: one class in the labels, and the same one in the predictions.
    """
    num_images = float(confusion.sum())
    expected = float(confusion.sum(axis=0).astype(np.float64) @ confusion.sum(axis=1)) / num_images
    disagreement = num_images - expected
    return 1 - (num_images - float(np.trace(confusion))) / disagreement if disagreement else math.nan


def matthews_correlation(confusion: NDArray[np.int64]) -> float:
    """Correlation of labels and predictions, -1 to 1 (Gorodkin, 2004); 0 where either of them is constant."""
    true_k, predicted_k = (confusion.sum(axis=axis).astype(np.float64) for axis in (1, 0))
    num_images = float(confusion.sum())
    covariance = float(np.trace(confusion)) * num_images - float(true_k @ predicted_k)
    variances = (num_images**2 - float(true_k @ true_k)) * (num_images**2 - float(predicted_k @ predicted_k))
    return covariance / math.sqrt(variances) if variances else 0.0


def _averages(confusion: NDArray[np.int64], weights_k: NDArray[np.float64]) -> Averages:
    num_correct_k = np.diagonal(confusion)
    num_predicted_k, num_images_k = confusion.sum(axis=0), confusion.sum(axis=1)
    shares = (
        _divide(num_correct_k, num_predicted_k),
        _divide(num_correct_k, num_images_k),
        _divide(2 * num_correct_k, num_predicted_k + num_images_k),
    )
    return Averages(*(float(np.average(share_k, weights=weights_k)) for share_k in shares))


def _divide(numerator: NDArray[np.int64], denominator: NDArray[np.int64]) -> NDArray[np.float64]:
    """The quotient, 0 where nothing is divided by nothing."""
    return np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0)
