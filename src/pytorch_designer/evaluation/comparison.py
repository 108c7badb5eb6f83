"""Paired comparison of two models on the same images: accuracy difference and its significance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.directories.scores.scored_dataset import UNLABELED

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from numpy.typing import NDArray

    from pytorch_designer.directories.scores.scored_dataset import ScoredDataset

_Z = 1.959963984540054  # 95% of a normal distribution lies within this many standard deviations


@dataclass(frozen=True)
class PairedTest:
    """Predictions of two models on the same images.

    Attributes:
        num_both: Images that both predict correctly.
        num_only_first: Images that only the first predicts correctly.
        num_only_second: Images that only the second predicts correctly.
        num_neither: Images that neither predicts correctly.
    """

    num_both: int
    num_only_first: int
    num_only_second: int
    num_neither: int

    @property
    def num_images(self) -> int:
        """Number of images."""
        return self.num_both + self.num_only_first + self.num_only_second + self.num_neither

    @property
    def difference(self) -> float:
        """Accuracy of the second minus that of the first, -1 to 1."""
        return (self.num_only_second - self.num_only_first) / self.num_images

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of `difference` (Agresti and Min, Statistics in Medicine 24:729, 2005)."""
        only_first, only_second = self.num_only_first + 0.5, self.num_only_second + 0.5
        num_images = self.num_images + 2
        center = (only_second - only_first) / num_images
        spread = _Z * math.sqrt(only_first + only_second - (only_second - only_first) ** 2 / num_images) / num_images
        return max(-1.0, center - spread), min(1.0, center + spread)

    @property
    def p_value(self) -> float:
        """Probability of a difference at least as large between two equally accurate models (McNemar's exact test)."""
        num_different = self.num_only_first + self.num_only_second
        fewer = min(self.num_only_first, self.num_only_second)
        log_all = num_different * math.log(2) - math.lgamma(num_different + 1)
        tail = math.fsum(
            math.exp(-math.lgamma(count + 1) - math.lgamma(num_different - count + 1) - log_all)
            for count in range(fewer + 1)
        )
        return min(1.0, 2 * tail)


@dataclass(frozen=True)
class NotPaired:
    """Datasets that cannot be compared image by image.

    Attributes:
        reason: Why not, as a sentence.
    """

    reason: str


def compare(first: ScoredDataset, second: ScoredDataset) -> PairedTest | NotPaired:
    """Match the images of two datasets with labels, and count what each predicts correctly.

    They are matched by their files where both datasets name the same ones, and by their ids otherwise. Images without
    scores or without a label in either dataset are left out.
    """
    second_rows = matched_rows(first, second)
    if second_rows is None:
        if first.ids is None or second.ids is None:
            return NotPaired("There is no column `id` to match the images by.")
        return NotPaired("The two datasets do not hold the same images: their ids differ, or repeat.")
    first_labels, second_labels = _common_labels(first, second)
    second_labels = second_labels[second_rows]
    is_counted = (
        first.is_scored & second.is_scored[second_rows] & (first_labels != UNLABELED) & (second_labels != UNLABELED)
    )
    if (first_labels != second_labels)[is_counted].any():
        return NotPaired("Images of the same id have different labels in the two datasets.")
    if not is_counted.any():
        return NotPaired("No image has scores in both datasets.")
    is_first = (first.predicted == first.labels)[is_counted]
    is_second = (second.predicted == second.labels)[second_rows][is_counted]
    return PairedTest(
        num_both=int((is_first & is_second).sum()),
        num_only_first=int((is_first & ~is_second).sum()),
        num_only_second=int((is_second & ~is_first).sum()),
        num_neither=int((~is_first & ~is_second).sum()),
    )


def matched_rows(first: ScoredDataset, second: ScoredDataset) -> NDArray[np.int64] | None:
    """For each image of the first dataset its row in the second, int64 [n]; None where they do not match."""
    second_rows = None
    if first.files is not None and second.files is not None:
        second_rows = _matching_rows(first.files, second.files)
    if second_rows is None and first.ids is not None and second.ids is not None:
        second_rows = _matching_rows(first.ids, second.ids)
    return second_rows


def _matching_rows(first: Iterable[Hashable], second: Iterable[Hashable]) -> NDArray[np.int64] | None:
    """For each row of the first, the row of the second with the same key; None unless they match one to one."""
    keys, others = list(first), list(second)
    row_by_key = {key: row for row, key in enumerate(others)}
    if len(keys) != len(others) or len(row_by_key) != len(others) or set(keys) != row_by_key.keys():
        return None
    return np.array([row_by_key[key] for key in keys], dtype=np.int64)


def _common_labels(first: ScoredDataset, second: ScoredDataset) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Label indices of both in one numbering, by name."""
    assert first.labels is not None  # both have been evaluated
    assert second.labels is not None
    index_by_name = {name: index for index, name in enumerate(first.label_names)}
    translated = [index_by_name.setdefault(name, len(index_by_name)) for name in second.label_names]
    return first.labels, np.array([*translated, UNLABELED], dtype=np.int64)[second.labels]
