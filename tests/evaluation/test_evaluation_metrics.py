"""Metrics of arrays against scikit-learn's of the images themselves, on random and on degenerate datasets."""

from __future__ import annotations

import math
import warnings
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.exceptions import UndefinedMetricWarning

from pytorch_designer.directories.scores.scored_dataset import ScoredDataset
from pytorch_designer.errors import InvalidDatasetError, NotLabeledDatasetError
from pytorch_designer.evaluation.evaluation_metrics import Evaluation, evaluate
from tests.evaluation.scored_rows import scored

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

WHERE = Path("scored")
NAN = math.nan


def dataset_of(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> ScoredDataset:
    classes = tuple(str(index) for index in range(probabilities.shape[1]))
    num_labels = max(len(classes), int(labels.max()) + 1)
    names = tuple(str(index) for index in range(num_labels))
    return ScoredDataset(classes, names, labels, probabilities, probabilities.argmax(axis=1).astype(np.int64), None)


def random_dataset(
    seed: int, *, num_rows: int = 500, num_classes: int = 10, decimals: int | None = None
) -> ScoredDataset:
    generator = np.random.default_rng(seed)
    labels = generator.choice(num_classes, num_rows, p=generator.dirichlet(np.full(num_classes, 2.0)))
    logits = generator.normal(size=(num_rows, num_classes)) + 1.5 * np.eye(num_classes)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if decimals is not None:  # ties, zeros, and sums that are not one
        probabilities = probabilities.round(decimals)
    return dataset_of(probabilities, labels)


CASES: dict[str, ScoredDataset] = {
    "ten classes": random_dataset(0),
    "two classes": random_dataset(1, num_classes=2),
    "many classes, few images": random_dataset(2, num_classes=40, num_rows=60),
    "ties and zeros": random_dataset(3, decimals=1),
    "two classes with ties": random_dataset(4, num_classes=2, decimals=1),
    "one image": random_dataset(5, num_rows=1, num_classes=3),
    "one class": dataset_of(np.ones((5, 1)), np.zeros(5, dtype=np.int64)),
    "one class in the labels": dataset_of(np.eye(3)[[0, 1, 0, 2]], np.zeros(4, dtype=np.int64)),
    "one class in the predictions": dataset_of(np.eye(3)[[1, 1, 1]], np.array([0, 1, 2])),
    "all right": dataset_of(np.eye(4), np.arange(4)),
    "all wrong": dataset_of(np.eye(4)[[1, 2, 3, 0]], np.arange(4)),
    "uniform scores": dataset_of(np.full((6, 3), 1 / 3), np.array([0, 1, 2, 0, 1, 2])),
}


def expected(metric: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """scikit-learn's metric, without its warnings about undefined ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        warnings.simplefilter("ignore", UserWarning)
        return metric(*arguments, **options)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> tuple[ScoredDataset, Evaluation, Sequence[int], NDArray[np.int64]]:
    dataset = CASES[request.param]
    assert dataset.labels is not None
    return dataset, evaluate(dataset, WHERE), range(len(dataset.class_names)), dataset.labels


Case = tuple[ScoredDataset, Evaluation, "Sequence[int]", "NDArray[np.int64]"]


def test_confusion_matrix_is_scikit_learns(case: Case) -> None:
    dataset, evaluation, classes, labels = case
    wanted = expected(metrics.confusion_matrix, labels, dataset.predicted, labels=classes)

    np.testing.assert_array_equal(evaluation.confusion, wanted)


def test_accuracies_are_scikit_learns(case: Case) -> None:
    dataset, evaluation, _, labels = case

    assert evaluation.accuracy == metrics.accuracy_score(labels, dataset.predicted)
    balanced = expected(metrics.balanced_accuracy_score, labels, dataset.predicted)
    assert evaluation.balanced_accuracy == pytest.approx(balanced, rel=1e-15)


@pytest.mark.parametrize("average", ["macro", "weighted", "micro"])
def test_averages_are_scikit_learns(case: Case, average: str) -> None:
    dataset, evaluation, _, labels = case
    wanted = expected(
        metrics.precision_recall_fscore_support, labels, dataset.predicted, average=average, zero_division=0
    )

    assert astuple(getattr(evaluation, average)) == pytest.approx(wanted[:3], rel=1e-14)


def test_the_scores_of_each_class_are_scikit_learns(case: Case) -> None:
    dataset, evaluation, classes, labels = case
    wanted = metrics.precision_recall_fscore_support(
        labels, dataset.predicted, labels=classes, average=None, zero_division=np.nan
    )
    scores = evaluation.class_scores

    np.testing.assert_allclose([score.precision for score in scores], wanted[0], rtol=1e-15)
    np.testing.assert_allclose([score.recall for score in scores], wanted[1], rtol=1e-15)
    np.testing.assert_allclose([score.f1 for score in scores], wanted[2], rtol=1e-15)
    assert [score.num_images for score in scores] == wanted[3].tolist()


def test_log_loss_is_scikit_learns(case: Case) -> None:
    dataset, evaluation, classes, labels = case
    if len(classes) == 1:
        assert evaluation.log_loss == pytest.approx(0, abs=1e-15)  # scikit-learn refuses it
        return
    wanted = expected(metrics.log_loss, labels, dataset.probabilities, labels=classes)

    assert evaluation.log_loss == pytest.approx(wanted, rel=1e-14)


@pytest.mark.slow
def test_roc_areas_are_scikit_learns_or_undefined(case: Case) -> None:
    dataset, evaluation, classes, labels = case
    areas = [expected(metrics.roc_auc_score, labels == index, dataset.probabilities[:, index]) for index in classes]

    np.testing.assert_allclose(evaluation.aucs, areas, rtol=1e-13)
    defined = [area for area in areas if not math.isnan(area)]
    assert evaluation.roc_auc == pytest.approx(np.mean(defined) if defined else NAN, rel=1e-13, nan_ok=True)


def test_mean_roc_areas_are_those_of_one_against_the_rest() -> None:
    dataset = CASES["ten classes"]
    evaluation = evaluate(dataset, WHERE)
    for average, found in (("macro", evaluation.roc_auc), ("weighted", evaluation.weighted_roc_auc)):
        wanted = metrics.roc_auc_score(dataset.labels, dataset.probabilities, multi_class="ovr", average=average)
        assert found == pytest.approx(wanted, rel=1e-14)


def test_agreement_is_scikit_learns(case: Case) -> None:
    dataset, evaluation, _, labels = case
    kappa = expected(metrics.cohen_kappa_score, labels, dataset.predicted)
    correlation = expected(metrics.matthews_corrcoef, labels, dataset.predicted)

    assert evaluation.cohen_kappa == pytest.approx(kappa, rel=1e-12, abs=1e-15, nan_ok=True)
    assert evaluation.matthews_correlation == pytest.approx(correlation, rel=1e-12, abs=1e-15)


def test_top_five_is_scikit_learns_without_ties() -> None:
    for name in ("ten classes", "many classes, few images"):
        dataset = CASES[name]
        wanted = metrics.top_k_accuracy_score(
            dataset.labels, dataset.probabilities, k=5, labels=range(len(dataset.class_names))
        )
        assert evaluate(dataset, WHERE).top5_accuracy == wanted


def test_a_tie_for_the_fifth_place_goes_to_the_lower_class() -> None:
    probabilities = np.full((2, 6), 1 / 6)

    assert evaluate(dataset_of(probabilities, np.array([4, 5])), WHERE).top5_accuracy == 0.5


@pytest.mark.slow
@settings(max_examples=30)
@given(
    st.integers(2, 6).flatmap(
        lambda k: st.lists(
            st.tuples(st.integers(0, k - 1), st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=k, max_size=k)),
            min_size=1,
            max_size=30,
        )
    )
)
def test_small_datasets_full_of_ties_agree_with_scikit_learn(rows: list[tuple[int, list[float]]]) -> None:
    labels = np.array([label for label, _ in rows])
    probabilities = np.array([scores for _, scores in rows])
    evaluation = evaluate(dataset_of(probabilities, labels), WHERE)

    for index, area in enumerate(evaluation.aucs):
        wanted = expected(metrics.roc_auc_score, labels == index, probabilities[:, index])
        assert area == pytest.approx(wanted, rel=1e-13, abs=1e-15, nan_ok=True)
    wanted = expected(metrics.log_loss, labels, probabilities, labels=range(probabilities.shape[1]))
    assert evaluation.log_loss == pytest.approx(wanted, rel=1e-14, abs=1e-15)
    assert evaluation.macro.f1 == pytest.approx(
        expected(metrics.f1_score, labels, probabilities.argmax(axis=1), average="macro", zero_division=0)
    )


def test_the_roc_curve_gives_the_rate_at_each_half_percent() -> None:
    dataset = CASES["two classes with ties"]
    assert dataset.labels is not None
    curve = evaluate(dataset, WHERE).roc_curves[1]
    false_rates, true_rates, _ = metrics.roc_curve(dataset.labels == 1, dataset.probabilities[:, 1])

    wanted = np.interp(np.linspace(0, 1, 201), false_rates, true_rates)
    np.testing.assert_allclose(curve.true_positive_rates, wanted, rtol=1e-12)
    assert curve.true_positive_rates[-1] == 1


def test_labels_that_the_model_does_not_know_count_as_classes_of_probability_zero() -> None:
    dataset = random_dataset(6, num_classes=8)
    assert dataset.labels is not None
    known = ScoredDataset(
        tuple("01234567"[:6]), dataset.label_names, dataset.labels, dataset.probabilities[:, :6],
        dataset.probabilities[:, :6].argmax(axis=1), None,
    )  # fmt: skip
    padded = np.pad(known.probabilities, ((0, 0), (0, 2)))
    evaluation = evaluate(known, WHERE)

    assert evaluation.num_unknown == int((dataset.labels >= 6).sum()) > 0
    assert evaluation.accuracy == metrics.accuracy_score(dataset.labels, known.predicted)
    wanted = expected(metrics.log_loss, dataset.labels, padded, labels=range(8))
    assert evaluation.log_loss == pytest.approx(wanted, rel=1e-14)
    assert evaluation.aucs[6:].tolist() == [0.5, 0.5]
    assert evaluation.top5_accuracy == metrics.top_k_accuracy_score(
        dataset.labels, padded - 1e-9 * np.arange(8), k=5, labels=range(8)
    )


def test_images_without_scores_or_labels_are_left_out_and_counted() -> None:
    rows = [[0.8, 0.1, 0.1], [NAN] * 3, [0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [NAN] * 3]
    evaluation = evaluate(scored(rows, ["cat", "cat", None, "cat", None]), WHERE)

    assert (evaluation.num_rows, evaluation.num_images, evaluation.num_unscored, evaluation.num_unlabeled) == (
        5,
        2,
        2,
        1,
    )
    assert evaluation.accuracy == 0.5
    assert evaluation.confusion.tolist() == [[1, 0, 1], [0, 0, 0], [0, 0, 0]]


def test_the_predicted_label_of_the_dataset_counts_and_not_the_highest_score() -> None:
    dataset = ScoredDataset(("a", "b"), ("a", "b"), np.array([1]), np.array([[0.5, 0.5]]), np.array([1]), None)

    assert evaluate(dataset, WHERE).accuracy == 1


def test_probabilities_are_not_scaled_to_one_and_their_images_are_counted() -> None:
    evaluation = evaluate(scored([[0.5, 0.125, 0.125], [1.0, 0, 0]], ["cat", "cat"]), WHERE)

    assert evaluation.log_loss == pytest.approx(math.log(2) / 2)
    assert evaluation.num_off_sum == 1


def test_a_dataset_without_labels_is_refused() -> None:
    with pytest.raises(NotLabeledDatasetError):
        evaluate(scored([[1, 0, 0]], None), WHERE)


@pytest.mark.parametrize(
    ("rows", "labels", "reason"),
    [
        ([], [], "nothing_to_evaluate"),
        ([[NAN] * 3], ["cat"], "nothing_to_evaluate"),
        ([[1, 0, 0], [NAN] * 3], [None, "cat"], "nothing_to_evaluate"),
        ([[1, 0, 0]], ["zebra"], "different_classes"),
    ],
)
def test_a_dataset_that_gives_no_metrics_is_refused(
    rows: list[list[float]], labels: list[str | None], reason: str
) -> None:
    with pytest.raises(InvalidDatasetError) as caught:
        evaluate(scored(rows, labels), WHERE)
    assert caught.value.reason == reason
