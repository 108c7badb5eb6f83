from __future__ import annotations

import math

import numpy as np
import pytest

from pytorch_designer.reporting.classification import (
    Confusion,
    accuracy_interval,
    balanced_accuracy,
    class_scores,
    imbalance,
    most_confused,
)

_CLASSES = ("cat", "dog", "fox", "owl")
_CONFUSION = np.array([[6, 2, 0, 0], [1, 3, 0, 0], [3, 0, 1, 0], [0, 0, 0, 0]])


def test_recall_precision_and_f1_of_each_class() -> None:
    cat, dog, fox, owl = class_scores(_CONFUSION, _CLASSES)

    assert (cat.recall, cat.precision, cat.f1) == (6 / 8, 6 / 10, 12 / 18)
    assert (dog.recall, dog.precision) == (3 / 4, 3 / 5)
    assert (fox.recall, fox.precision) == (1 / 4, 1.0)
    assert all(math.isnan(value) for value in (owl.recall, owl.precision, owl.f1))


def test_the_most_confused_pairs_come_first_and_right_answers_are_none() -> None:
    assert most_confused(_CONFUSION, _CLASSES, 2) == (
        Confusion("fox", "cat", 3, 3 / 4),
        Confusion("cat", "dog", 2, 1 / 4),
    )
    assert len(most_confused(_CONFUSION, _CLASSES, 10)) == 3


def test_ties_are_in_the_order_of_the_classes() -> None:
    pairs = most_confused(np.array([[0, 1, 1], [1, 0, 0], [0, 1, 0]]), ("a", "b", "c"), 3)

    assert [(pair.true, pair.predicted) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "a")]


@pytest.mark.parametrize(
    ("accuracy", "num_images", "low", "high"),
    # Wilson score intervals from published tables.
    [(0.5, 10, 0.2366, 0.7634), (1.0, 20, 0.8389, 1.0), (0.0, 20, 0.0, 0.1611), (0.9, 1000, 0.8798, 0.9171)],
)
def test_interval_of_an_accuracy(accuracy: float, num_images: int, low: float, high: float) -> None:
    assert accuracy_interval(accuracy, num_images) == pytest.approx((low, high), abs=1e-3)


def test_nothing_is_known_without_images() -> None:
    assert accuracy_interval(math.nan, 10) == accuracy_interval(0.5, 0) == (0.0, 1.0)


def test_balanced_accuracy_is_the_mean_recall_of_the_classes_with_images() -> None:
    assert balanced_accuracy(_CONFUSION) == pytest.approx((6 / 8 + 3 / 4 + 1 / 4) / 3)
    assert balanced_accuracy(np.array([[20, 0], [1, 0]])) == 0.5
    assert math.isnan(balanced_accuracy(np.zeros((2, 2), dtype=np.int64)))


def test_imbalance_names_the_smallest_and_the_largest_class() -> None:
    found = imbalance(class_scores(np.array([[2, 0, 0], [0, 40, 0], [0, 0, 0]]), ("cat", "dog", "fox")))
    assert found is not None
    assert [score.name for score in found] == ["cat", "dog"]
    assert imbalance(class_scores(np.array([[2, 0], [0, 20]]), ("cat", "dog"))) is None
    assert imbalance(class_scores(np.zeros((2, 2), dtype=np.int64), ("cat", "dog"))) is None
