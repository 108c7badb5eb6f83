"""Outcomes of single images: what a network took each for, and which of them are worth a look.

What is selected depends on labels and probabilities alone, ties in the order of the images: Train PyTorch Model, Score
Image Model and Evaluate Model select the same images of the same dataset.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NOTHING = -1
"""The label of an image without one, and the predicted class of an image without scores."""

MAX_MISTAKES, MAX_MISTAKES_PER_CLASS = 24, 3
MAX_LABEL_ERRORS = 12
MAX_CLASSES = 60
_MAX_EXAMPLES, _MAX_EXAMPLES_PER_CLASS = 60, 3


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Labels and predictions of n images; row i of every column is image i.

    Attributes:
        labels: int64 [n], index of the class; `NOTHING` for an image without a label.
        predicted: int32 [n], index of the predicted class; `NOTHING` for an image without scores.
        confidence: float64 [n], probability of the predicted class; NaN without scores.
        label_probability: float64 [n], probability of the label, 0 for a label that the model does not know; NaN
            without scores or without a label.
    """

    labels: NDArray[np.int64]
    predicted: NDArray[np.int32]
    confidence: NDArray[np.float64]
    label_probability: NDArray[np.float64]

    @staticmethod
    def blank(labels: NDArray[np.integer]) -> Outcomes:
        """The outcomes of images with these labels, int [n], none of which has scores yet."""
        blank = np.full(len(labels), np.nan)
        return Outcomes(labels.astype(np.int64), np.full(len(labels), NOTHING, np.int32), blank, blank.copy())

    def record(self, rows: NDArray[np.int64], probabilities_nk: NDArray[np.float64]) -> None:
        """Fill in the scores of `rows`, float64 [n, k]; an image with a NaN among them has no scores."""
        is_scored = np.isfinite(probabilities_nk).all(axis=1)
        rows, probabilities_nk = rows[is_scored], probabilities_nk[is_scored]
        if not probabilities_nk.size:
            return
        predicted = probabilities_nk.argmax(axis=1)
        labels, within = self.labels[rows], np.arange(len(rows))
        self.predicted[rows] = predicted
        self.confidence[rows] = probabilities_nk[within, predicted]
        is_known = (labels >= 0) & (labels < probabilities_nk.shape[1])
        own = np.where(labels == NOTHING, np.nan, 0.0)
        own[is_known] = probabilities_nk[within[is_known], labels[is_known]]
        self.label_probability[rows] = own

    @property
    def is_wrong(self) -> NDArray[np.bool_]:
        """Mask of the images that have both a label and scores, and another predicted class, bool [n]."""
        is_evaluated = (self.labels != NOTHING) & (self.predicted != NOTHING)
        is_wrong: NDArray[np.bool_] = is_evaluated & (self.labels != self.predicted)
        return is_wrong


@dataclass(frozen=True)
class ClassExamples:
    """Images of one class, as rows of the dataset.

    Attributes:
        label: Index of the class.
        num_images: Images of the class that have scores.
        num_mistakes: How many of them were taken for another class.
        mistakes: The surest of these.
        examples: From the surest to the least sure, by the probability of the class; without labels, of the images that
            are predicted as the class.
    """

    label: int
    num_images: int
    num_mistakes: int
    mistakes: tuple[int, ...]
    examples: tuple[int, ...]


@dataclass(frozen=True)
class SelectedRows:
    """Images that are worth a look, as rows of the dataset.

    Attributes:
        mistakes: Mistakes with the highest probability of a wrong class, at most three per class.
        label_errors: See `likely_label_errors`.
        classes: Examples of the classes, those with the lowest recall first, at most `MAX_CLASSES`.
        num_classes: Classes that have images.
    """

    mistakes: tuple[int, ...]
    label_errors: tuple[int, ...]
    classes: tuple[ClassExamples, ...]
    num_classes: int

    @property
    def rows(self) -> list[int]:
        """All of them, each once, the most important first."""
        by_class = [row for part in self.classes for row in (*part.examples, *part.mistakes)]
        return list(dict.fromkeys((*self.mistakes, *self.label_errors, *by_class)))


def select(outcomes: Outcomes) -> SelectedRows:
    """The images of a dataset that are worth a look; without labels only the examples."""
    wrong = surest_mistakes(outcomes)
    is_first = _rank_in_group(outcomes.labels[wrong]) < MAX_MISTAKES_PER_CLASS
    classes, num_classes = _class_examples(outcomes, wrong)
    return SelectedRows(
        mistakes=tuple(wrong[is_first][:MAX_MISTAKES].tolist()),
        label_errors=tuple(likely_label_errors(outcomes)[:MAX_LABEL_ERRORS].tolist()),
        classes=classes,
        num_classes=num_classes,
    )


def surest_mistakes(outcomes: Outcomes) -> NDArray[np.int64]:
    """The rows of all wrong images, int64 [m], those with the highest probability of the wrong class first."""
    wrong = np.flatnonzero(outcomes.is_wrong)
    return wrong[np.argsort(-outcomes.confidence[wrong], kind="stable")]


def likely_label_errors(outcomes: Outcomes) -> NDArray[np.int64]:
    """The rows whose label the model finds improbable, int64 [m], the most improbable label first.

    These are mistakes whose predicted class is at least as probable as it is on average for the images with that label:
    the threshold of confident learning (Northcutt, Jiang and Chuang, JAIR 70:1373, 2021), ranked by self-confidence.
    """
    has_both = (outcomes.labels != NOTHING) & (outcomes.predicted != NOTHING)
    if not has_both.any():
        return np.empty(0, np.int64)
    labels = outcomes.labels[has_both]
    num_labels = 1 + max(int(labels.max()), int(outcomes.predicted.max()))
    counts = np.bincount(labels, minlength=num_labels)
    sums = np.bincount(labels, weights=outcomes.label_probability[has_both], minlength=num_labels)
    thresholds = np.where(counts > 0, sums / np.maximum(counts, 1), 1.0)
    wrong = np.flatnonzero(outcomes.is_wrong)
    wrong = wrong[outcomes.confidence[wrong] >= thresholds[outcomes.predicted[wrong]]]
    return wrong[np.lexsort((-outcomes.confidence[wrong], outcomes.label_probability[wrong]))]


def _class_examples(outcomes: Outcomes, wrong: NDArray[np.int64]) -> tuple[tuple[ClassExamples, ...], int]:
    """The examples of each class that is shown, and the number of classes that have images."""
    is_labeled = bool((outcomes.labels != NOTHING).any())
    groups = outcomes.labels if is_labeled else outcomes.predicted.astype(np.int64)
    sureness = outcomes.label_probability if is_labeled else outcomes.confidence
    rows = np.flatnonzero((groups != NOTHING) & (outcomes.predicted != NOTHING))
    rows = rows[np.lexsort((-sureness[rows], groups[rows]))]
    labels, starts, counts = np.unique(groups[rows], return_index=True, return_counts=True)
    if not len(labels):
        return (), 0
    num_wrong = np.bincount(groups[wrong], minlength=int(labels.max()) + 1)[labels]
    order = np.argsort(-num_wrong / counts, kind="stable")[:MAX_CLASSES]
    per_class = max(1, min(_MAX_EXAMPLES_PER_CLASS, _MAX_EXAMPLES // len(labels)))
    wrong_labels = groups[wrong]
    found = []
    for label, start, count, mistakes in zip(
        labels[order], starts[order], counts[order], num_wrong[order], strict=True
    ):
        places = np.unique(np.linspace(0, count - 1, min(per_class, count)).round().astype(int))
        found.append(
            ClassExamples(
                label=int(label),
                num_images=int(count),
                num_mistakes=int(mistakes),
                mistakes=tuple(wrong[wrong_labels == label][:per_class].tolist()),
                examples=tuple(rows[start + places].tolist()),
            )
        )
    return tuple(found), len(labels)


def _rank_in_group(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each element, how many before it are of its group, int64 [n]."""
    order = np.argsort(groups, kind="stable")
    _, starts, counts = np.unique(groups[order], return_index=True, return_counts=True)
    ranks = np.empty(len(groups), np.int64)
    ranks[order] = np.arange(len(groups)) - np.repeat(starts, counts)
    return ranks
