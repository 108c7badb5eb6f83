from __future__ import annotations

import math

import numpy as np

from pytorch_designer.reporting.outcomes import NOTHING, Outcomes, likely_label_errors, select, surest_mistakes


def outcomes_of(labels: list[int], probabilities: list[list[float]]) -> Outcomes:
    outcomes = Outcomes.blank(np.array(labels))
    outcomes.record(np.arange(len(labels)), np.array(probabilities))
    return outcomes


def test_the_surest_mistakes_come_first_and_at_most_three_per_class() -> None:
    wrong = [[0.9 - 0.01 * row, 0.1 + 0.01 * row] for row in range(5)]
    outcomes = outcomes_of([1] * 5 + [0, 0], [*wrong, [0.2, 0.8], [0.9, 0.1]])

    assert surest_mistakes(outcomes).tolist() == [0, 1, 2, 3, 4, 5]
    assert select(outcomes).mistakes == (0, 1, 2, 5)


def test_of_equal_mistakes_the_first_image_comes_first() -> None:
    assert select(outcomes_of([1, 1], [[0.7, 0.3]] * 2)).mistakes == (0, 1)


def test_no_more_than_24_mistakes_are_shown() -> None:
    labels = np.repeat(np.arange(20), 5)
    probabilities = np.full((100, 20), 0.01)
    probabilities[np.arange(100), (labels + 1) % 20] = 0.81
    assert len(select(outcomes_of(labels.tolist(), probabilities.tolist())).mistakes) == 24


def test_images_without_scores_or_labels_are_no_mistakes() -> None:
    outcomes = outcomes_of([NOTHING, 0, 1], [[0.1, 0.9], [math.nan, math.nan], [0.9, 0.1]])

    assert outcomes.predicted.tolist() == [1, NOTHING, 0]
    assert np.isnan(outcomes.label_probability[:2]).all()
    assert select(outcomes).mistakes == (2,)


def test_a_label_that_the_model_does_not_know_has_no_probability() -> None:
    assert outcomes_of([2], [[0.4, 0.6]]).label_probability.tolist() == [0.0]


def test_classes_with_the_lowest_recall_come_first_with_examples_from_sure_to_unsure() -> None:
    sure = [0.95, 0.6, 0.8, 0.7, 0.9]
    outcomes = outcomes_of([0] * 5 + [1, 1], [[p, 1 - p] for p in sure] + [[0.9, 0.1], [0.2, 0.8]])
    worst, best = select(outcomes).classes

    assert (worst.label, worst.num_images, worst.num_mistakes, worst.mistakes) == (1, 2, 1, (5,))
    assert worst.examples == (6, 5)
    assert (best.label, best.num_mistakes, best.mistakes) == (0, 0, ())
    assert best.examples == (0, 2, 1)


def test_images_without_labels_have_examples_of_each_predicted_class() -> None:
    selection = select(outcomes_of([NOTHING] * 3, [[0.9, 0.1], [0.4, 0.6], [0.3, 0.7]]))

    assert selection.mistakes == selection.label_errors == ()
    assert {part.label: part.examples for part in selection.classes} == {0: (0,), 1: (2, 1)}


def test_many_classes_are_bounded() -> None:
    selection = select(outcomes_of(list(range(300)), np.eye(300).tolist()))

    assert selection.num_classes == 300
    assert len(selection.classes) == 60
    assert len(selection.rows) == 60


def test_no_images_select_nothing() -> None:
    selection = select(outcomes_of([0], [[math.nan]]))
    assert selection.rows == []


def test_a_label_error_is_a_mistake_as_probable_as_images_of_that_class_usually_are() -> None:
    """The mean probability of class 0 over its images is 0.8; of class 1 over its own (0.1 + 0.3 + 0.9 + 0.9) / 4."""
    outcomes = outcomes_of(
        [0, 0, 1, 1, 1, 1, 0],
        [[0.95, 0.05], [0.95, 0.05], [0.9, 0.1], [0.7, 0.3], [0.1, 0.9], [0.1, 0.9], [0.5, 0.5]],
    )
    assert likely_label_errors(outcomes).tolist() == [2]


def test_the_least_probable_label_comes_first() -> None:
    outcomes = outcomes_of([0, 0, 1, 1, 1], [[0.8, 0.2], [0.8, 0.2], [0.85, 0.15], [0.95, 0.05], [0.1, 0.9]])
    assert likely_label_errors(outcomes).tolist() == [3, 2]
