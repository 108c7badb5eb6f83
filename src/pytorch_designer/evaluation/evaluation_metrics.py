"""Evaluation metrics of one scored dataset.

Defined as in scikit-learn, which computes those of labels and predictions, with these additions:

- Images without scores or without a label are left out, and counted.
- A label that the model does not know is one more class, with a probability of 0 everywhere: its images are wrong.
- Probabilities are taken as they are; they are not scaled to a sum of 1.
- A class that all or none of the images belong to has no ROC curve, and is left out of the averages of their areas.
- A tie of scores is won by the class of lower index, among the best five too.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import metrics

from pytorch_designer.directories.scores.scored_dataset import UNLABELED
from pytorch_designer.errors import InvalidDatasetError, NotLabeledDatasetError
from pytorch_designer.evaluation.probability_metrics import (
    Calibration,
    RocCurve,
    calibrate,
    log_loss,
    num_correct_in_top,
    roc_curve,
)
from pytorch_designer.reporting.classification import (
    ClassScore,
    balanced_accuracy,
    check_num_classes,
    class_scores,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from pytorch_designer.directories.scores.scored_dataset import ScoredDataset

TOP = 5
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Averages:
    """Precision, recall and F1 (0 to 1) of the classes, averaged in one way.

    Classes with neither images nor predictions are left out. Elsewhere a share of nothing counts as 0: the precision
    of a class that was never predicted, and the recall of a class without images.
    """

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Evaluation metrics; shares are 0 to 1.

    Attributes:
        classes: The classes of the model, followed by the labels that it does not know.
        num_known_classes: How many of `classes` the model knows.
        confusion: Number of images, int64 [true class, predicted class].
        macro: Averages in which every class counts the same.
        weighted: Averages in which every class counts as much as it has images.
        micro: Averages in which every image counts the same; with one label per image, all three are the accuracy.
        balanced_accuracy: Mean recall of the classes that have images.
        cohen_kappa: Agreement of labels and predictions beyond chance (Cohen, 1960): 1 is perfect, 0 is chance; NaN
            where labels and predictions are all of one class.
        matthews_correlation: Correlation of labels and predictions, -1 to 1 (Gorodkin, 2004); 0 where either is
            constant.
        top5_accuracy: Share of the images whose label is among the five highest-scored classes.
        log_loss: Mean negative logarithm of the probability of the label, in nats; probabilities count as at least
            2.2e-16, so that no image alone makes it infinite.
        roc_curves: Each class against the rest.
        calibration: Confidence against accuracy.
        num_rows: Images in the dataset.
        num_unscored: Images without scores, left out.
        num_unlabeled: Images with scores but without a label, left out.
        num_off_sum: Evaluated images whose probabilities do not add up to 1 within 0.001.
    """

    classes: tuple[str, ...]
    num_known_classes: int
    confusion: NDArray[np.int64]
    macro: Averages
    weighted: Averages
    micro: Averages
    balanced_accuracy: float
    cohen_kappa: float
    matthews_correlation: float
    top5_accuracy: float
    log_loss: float
    roc_curves: tuple[RocCurve, ...]
    calibration: Calibration
    num_rows: int
    num_unscored: int
    num_unlabeled: int
    num_off_sum: int

    @property
    def num_images(self) -> int:
        """Images that were evaluated."""
        return int(self.confusion.sum())

    @property
    def num_unknown(self) -> int:
        """Evaluated images with a label that the model does not know."""
        return int(self.confusion[self.num_known_classes :].sum())

    @property
    def num_correct(self) -> int:
        """Evaluated images whose predicted class is their label."""
        return int(np.trace(self.confusion))

    @property
    def accuracy(self) -> float:
        """Share of the evaluated images whose predicted class is their label."""
        return self.num_correct / self.num_images

    @property
    def aucs(self) -> NDArray[np.float64]:
        """Area under each class's ROC curve, float64 [class], NaN where there is none."""
        return np.array([curve.auc for curve in self.roc_curves])

    @property
    def roc_auc(self) -> float:
        """Mean area under the ROC curves; NaN where no class has one."""
        return self._mean_auc(np.ones(len(self.classes)))

    @property
    def weighted_roc_auc(self) -> float:
        """Mean area under the ROC curves, every class counting as much as it has images."""
        return self._mean_auc(self.confusion.sum(axis=1).astype(np.float64))

    @property
    def class_scores(self) -> tuple[ClassScore, ...]:
        """Recall, precision and F1 of each class."""
        return class_scores(self.confusion, self.classes)

    def _mean_auc(self, weights: NDArray[np.float64]) -> float:
        is_defined = ~np.isnan(self.aucs)
        return float(np.average(self.aucs[is_defined], weights=weights[is_defined])) if is_defined.any() else np.nan


def evaluate(dataset: ScoredDataset, path: Path) -> Evaluation:
    """Evaluate a dataset; messages name its `path`.

    Raises:
        NotLabeledDatasetError: No image has a label.
        InvalidDatasetError: No image has both a label and scores ("nothing_to_evaluate"), or the model knows none of
            the labels ("different_classes").
    """
    labels_n, is_evaluated_n = _evaluated_rows(dataset, path)
    labels = labels_n[is_evaluated_n]
    probabilities = dataset.probabilities if is_evaluated_n.all() else dataset.probabilities[is_evaluated_n]
    predicted = dataset.predicted[is_evaluated_n]
    num_labels, num_known = len(dataset.label_names), len(dataset.class_names)
    check_num_classes(num_labels, path)
    pairs = np.bincount(labels * num_labels + predicted, minlength=num_labels**2)
    confusion = pairs.reshape(num_labels, num_labels).astype(np.int64, copy=False)
    confidence = np.take_along_axis(probabilities, predicted[:, None], axis=1)[:, 0]
    return Evaluation(
        classes=dataset.label_names,
        num_known_classes=num_known,
        confusion=confusion,
        **_label_metrics(confusion),
        top5_accuracy=num_correct_in_top(probabilities, labels, TOP) / len(labels),
        log_loss=log_loss(probabilities, labels),
        roc_curves=tuple(roc_curve(_scores(probabilities, index), labels == index) for index in range(num_labels)),
        calibration=calibrate(confidence, predicted == labels),
        num_rows=len(dataset),
        num_unscored=int((~dataset.is_scored).sum()),
        num_unlabeled=int((dataset.is_scored & (labels_n == UNLABELED)).sum()),
        num_off_sum=int((np.abs(probabilities.sum(axis=1) - 1) > _SUM_TOLERANCE).sum()),
    )


def _evaluated_rows(dataset: ScoredDataset, path: Path) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The labels, int64 [n], and which images have both a label and scores, bool [n]; raises as `evaluate` does."""
    if dataset.labels is None:
        raise NotLabeledDatasetError(
            "The scored images have no labels to compare the scores with.",
            where=path,
            advice="Score a labeled image directory.",
        )
    is_evaluated_n = dataset.is_scored & (dataset.labels != UNLABELED)
    if not is_evaluated_n.any():
        raise InvalidDatasetError(
            "No image has both a label and scores.",
            where=path,
            advice="Look into the log of Score Image Model for why images could not be read.",
            reason="nothing_to_evaluate",
        )
    if dataset.labels[is_evaluated_n].min() >= len(dataset.class_names):
        raise InvalidDatasetError(
            "The model knows none of the labels of these images; its classes are "
            f"{', '.join(dataset.class_names[:3])}{', ...' if len(dataset.class_names) > 3 else ''}.",
            where=path,
            examples=dataset.label_names[len(dataset.class_names) :],
            advice="Score images with the classes that the model was trained on.",
            reason="different_classes",
        )
    return dataset.labels, is_evaluated_n


def _label_metrics(confusion: NDArray[np.int64]) -> dict[str, Any]:
    """The metrics of labels and predictions, by name; each pair of classes is one row, weighted by its images."""
    true, predicted = np.nonzero(confusion)
    weights = confusion[true, predicted]
    averages = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on classes without images or predictions, and on a single class
        for average in ("macro", "weighted", "micro"):
            precision, recall, f1, _ = metrics.precision_recall_fscore_support(
                true, predicted, average=average, sample_weight=weights, zero_division=0
            )
            averages[average] = Averages(float(precision), float(recall), float(f1))
    return {
        **averages,
        "balanced_accuracy": balanced_accuracy(confusion),
        "cohen_kappa": _cohen_kappa(confusion),
        "matthews_correlation": _matthews_correlation(confusion),
    }


# scikit-learn's functions take a row per image and make up to five matrices of the size of this one.
def _cohen_kappa(confusion: NDArray[np.int64]) -> float:
    num_images, num_correct, by_chance, _, _ = _totals(confusion)
    largest = num_images**2 - by_chance
    return 1 - num_images * (num_images - num_correct) / largest if largest else math.nan


def _matthews_correlation(confusion: NDArray[np.int64]) -> float:
    num_images, num_correct, by_chance, of_labels, of_predictions = _totals(confusion)
    spread = (num_images**2 - of_labels) * (num_images**2 - of_predictions)
    return (num_correct * num_images - by_chance) / math.sqrt(spread) if spread else 0.0


def _totals(confusion: NDArray[np.int64]) -> tuple[int, int, int, int, int]:
    """Number of images and of correct ones, and sums over the classes of products: labels and predictions, squares."""
    labels, predictions = confusion.sum(axis=1).astype(object), confusion.sum(axis=0).astype(object)  # without overflow
    by_chance, of_labels, of_predictions = labels @ predictions, labels @ labels, predictions @ predictions
    return int(confusion.sum()), int(np.trace(confusion)), int(by_chance), int(of_labels), int(of_predictions)


def _scores(probabilities: NDArray[np.float64], index: int) -> NDArray[np.float64]:
    if index >= probabilities.shape[1]:
        return np.zeros(len(probabilities))
    return np.ascontiguousarray(probabilities[:, index])
