from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pytorch_designer.training.history import DatasetRecord, EpochRecord, Metrics, RunSummary
from pytorch_designer.training.report.advice import chance_accuracy, hints, rate_hints

_GOOD = np.array([[90, 10], [10, 90]])


def _summary(
    *,
    training: list[tuple[float, float]],
    validation: list[tuple[float, float]],
    confusion: np.ndarray[tuple[int, int], np.dtype[np.int64]] = _GOOD,
    epochs: int | None = None,
    last_learning_rate: float = 0.0,
    classes: tuple[str, ...] = ("cat", "dog"),
    learning_rate: float = 0.001,
    origin: str = "",
) -> RunSummary:
    """A run whose epochs have these (loss, accuracy) pairs; the last epoch is the best one."""
    num_images = int(confusion.sum())
    history = tuple(
        EpochRecord(
            epoch, Metrics(*seen, 1.0, 1000), Metrics(*checked, 1.0, num_images), last_learning_rate, 100.0, 1.0, True
        )
        for epoch, (seen, checked) in enumerate(zip(training, validation, strict=True), start=1)
    )
    parameters: dict[str, int | float] = {"epochs": epochs or len(history), "learning_rate": learning_rate}
    return RunSummary(history, len(history), "", classes, confusion, parameters, {}, {"Model": origin}, "")


def _with_start(summary: RunSummary, loss: float, accuracy: float, *, best_epoch: int) -> RunSummary:
    """The run with an epoch 0 of these metrics."""
    nothing = Metrics(math.nan, math.nan, math.nan, 0)
    checked = Metrics(loss, accuracy, 1.0, summary.history[0].validation.num_images)
    start = EpochRecord(0, nothing, checked, 0.0, math.nan, 1.0, True)
    return replace(summary, history=(start, *summary.history), best_epoch=best_epoch)


def _seen(summary: RunSummary) -> str:
    return " ".join(f"{hint.seen} {hint.advice}" for hint in hints(summary))


def test_nothing_is_advised_where_nothing_stands_out() -> None:
    flat = _summary(training=[(0.5, 0.88), (0.3, 0.91)], validation=[(0.30, 0.89), (0.31, 0.90)])

    assert hints(flat) == ()


def test_a_batch_that_is_too_small_or_too_large_is_named_where_it_matters() -> None:
    flat = _summary(training=[(0.5, 0.88), (0.3, 0.91)], validation=[(0.30, 0.89), (0.31, 0.90)])
    small = replace(flat, parameters=flat.parameters | {"batch_size": 7})
    large = replace(flat, parameters=flat.parameters | {"batch_size": 1025}, num_processes=8)

    assert hints(small) == ()
    assert "of 7 images (batch norm)" in _seen(replace(small, normalizes_by_batches=True))
    assert "Each process normalizes" in _seen(replace(small, normalizes_by_batches=True, num_processes=2))
    assert "A step sees 8,200 images" in _seen(replace(large, normalizes_by_batches=True))


def test_a_loss_that_still_falls_asks_for_more_epochs() -> None:
    falling = _summary(training=[(0.5, 0.88), (0.3, 0.91)], validation=[(0.4, 0.89), (0.3, 0.90)])

    assert "(to 0.300)" in _seen(falling)
    assert "for instance 4" in _seen(falling)


def test_a_run_that_was_stopped_asks_for_no_more_epochs() -> None:
    stopped = _summary(training=[(0.5, 0.88), (0.3, 0.91)], validation=[(0.4, 0.89), (0.3, 0.90)], epochs=9)

    assert "still falling" not in _seen(stopped)
    assert "ended after 2 of 9 epochs" in _seen(stopped)
    assert "More epochs will not help" in _seen(stopped)


def test_a_run_that_was_stopped_at_a_high_learning_rate_is_told_of_the_schedule() -> None:
    stopped = _summary(
        training=[(0.5, 0.88), (0.3, 0.91)],
        validation=[(0.3, 0.89), (0.4, 0.90)],
        epochs=9,
        last_learning_rate=0.0009,
    )

    assert "90.0% of its start" in _seen(stopped)
    assert "epochs set to 2" in _seen(stopped)


def test_training_far_above_validation_asks_for_images_and_augmentation() -> None:
    overfitted = _summary(training=[(0.5, 0.88), (0.01, 1.0)], validation=[(0.30, 0.7), (0.31, 0.75)])

    assert "Training accuracy (100%) is far above validation accuracy (75.0%)" in _seen(overfitted)
    assert "Init Image Transformation" in _seen(overfitted)


_GUESSES = np.array([[51, 49], [49, 51]])


@pytest.mark.parametrize(
    ("training", "advice"),
    [
        ((0.69, 0.51), "train for more epochs, for instance 4"),
        ((0.75, 0.51), "train for more epochs, for instance 4"),
        ((0.9, 0.5), "ten times lower"),
        ((math.nan, 0.5), "ten times lower"),
        ((0.1, 0.97), "same kind"),
    ],
)
def test_an_accuracy_near_chance_is_explained(training: tuple[float, float], advice: str) -> None:
    guessing = _summary(training=[training], validation=[(0.7, 0.51)], confusion=_GUESSES)

    assert "no better than always naming the most frequent class (50.0%)" in _seen(guessing)
    assert advice in _seen(guessing)


@pytest.mark.parametrize("losses", [[0.72], [0.72, 0.70], [0.70, 0.72], [0.69, 0.69, 0.69]])
def test_a_network_that_has_learned_nothing_yet_gets_the_same_advice_after_any_number_of_epochs(
    losses: list[float],
) -> None:
    waiting = _summary(
        training=[(loss, 0.5) for loss in losses], validation=[(0.7, 0.51)] * len(losses), confusion=_GUESSES
    )

    assert [hint.advice for hint in hints(waiting)] == [
        f"Little was learned yet: train for more epochs, for instance {4 * len(losses)}; if that does not help, use a "
        "learning_rate ten times higher."
    ]


def test_a_run_near_chance_that_patience_stopped_is_not_told_to_train_longer() -> None:
    stopped = _summary(training=[(0.7, 0.5)] * 4, validation=[(0.7, 0.51)] * 4, confusion=_GUESSES, epochs=9)

    assert "epochs" not in _seen(stopped)
    assert "ten times higher" in _seen(stopped)


def test_a_high_learning_rate_is_not_raised_further() -> None:
    fast = _summary(training=[(0.7, 0.5)], validation=[(0.7, 0.51)], confusion=_GUESSES, learning_rate=1.0)

    assert "ten times lower" in _seen(fast)


@pytest.mark.parametrize(("origin", "is_advised"), [("from scratch", True), ("pretrained weights", False)])
def test_a_pretrained_network_is_advised_where_there_is_none(origin: str, is_advised: bool) -> None:
    guessing = _summary(training=[(0.69, 0.5)], validation=[(0.7, 0.51)], confusion=_GUESSES, origin=origin)

    assert ("start from a pretrained network" in _seen(guessing)) == is_advised


def test_a_large_class_that_hides_a_small_one_is_seen() -> None:
    unbalanced = _summary(training=[(0.2, 0.95)], validation=[(0.2, 0.952)], confusion=np.array([[0, 1], [0, 20]]))

    assert "no better than always naming the most frequent class (95.2%)" in _seen(unbalanced)
    assert "1 validation image of cat, 20 of dog" in _seen(unbalanced)
    assert "balanced accuracy is 50.0%" in _seen(unbalanced)
    assert "learning_rate" not in _seen(unbalanced)


def test_classes_that_are_unbalanced_in_training_only_are_seen() -> None:
    good = _summary(training=[(0.3, 0.9)], validation=[(0.3, 0.9)])
    sizes = DatasetRecord("Training", 510, (10, 500), "")

    assert "unbalanced" not in _seen(good)
    seen = _seen(replace(good, datasets=(sizes, DatasetRecord("Validation", 200, (100, 100), ""))))
    assert "The classes of the training images are unbalanced: 10 training images of cat, 500 of dog." in seen


def test_chance_is_the_share_of_the_most_frequent_class() -> None:
    unbalanced = _summary(training=[(0.3, 0.9)], validation=[(0.3, 0.9)], confusion=np.array([[85, 5], [8, 2]]))

    assert chance_accuracy(unbalanced) == 0.9
    assert "the most frequent class (90.0%)" in _seen(unbalanced)


@pytest.mark.parametrize("last", [0.9, math.nan])
def test_a_rising_training_loss_asks_for_a_lower_learning_rate(last: float) -> None:
    rising = _summary(training=[(0.5, 0.88), (last, 0.9)], validation=[(0.30, 0.89), (0.31, 0.90)])

    assert "The training loss rose" in _seen(rising)


def test_a_perfect_score_asks_for_a_look_at_the_datasets() -> None:
    perfect = _summary(training=[(0.1, 1.0)], validation=[(0.1, 1.0)], confusion=np.array([[100, 0], [0, 100]]))

    assert "is in both datasets" in _seen(perfect)


def test_a_weak_class_is_named_with_what_it_is_taken_for() -> None:
    confusion = np.array([[100, 0, 0], [0, 100, 0], [10, 30, 10]])
    weak = _summary(
        training=[(0.4, 0.85)], validation=[(0.4, 0.84)], confusion=confusion, classes=("cat", "dog", "fox")
    )

    assert "The class fox has the lowest recall: 20.0%" in _seen(weak)
    assert "taken for dog" in _seen(weak)


def test_a_class_with_few_images_is_not_called_weak() -> None:
    confusion = np.array([[100, 0, 0], [0, 100, 0], [0, 3, 0]])
    rare = _summary(
        training=[(0.1, 0.98)], validation=[(0.1, 0.985)], confusion=confusion, classes=("cat", "dog", "fox")
    )

    assert "lowest recall" not in _seen(rare)


def test_few_validation_images_make_an_accuracy_uncertain() -> None:
    small = _summary(training=[(0.3, 0.9)], validation=[(0.3, 0.9)], confusion=np.array([[9, 1], [1, 9]]))

    assert "With 20 validation images the accuracy is uncertain" in _seen(small)


def test_one_class_leaves_nothing_to_learn() -> None:
    single = _summary(training=[(0.0, 1.0)], validation=[(0.0, 1.0)], confusion=np.array([[5]]), classes=("cat",))

    assert _seen(single) == "There is only one class. Add images of a second class: a classifier needs at least two."


def _rates(summary: RunSummary) -> str:
    return " ".join(f"{hint.seen} {hint.advice}" for hint in rate_hints(summary))


STRAIGHT = [(1.60, 0.30), (1.45, 0.4), (1.31, 0.5), (1.19, 0.55), (1.13, 0.6)]
BENT = [(1.60, 0.30), (1.00, 0.6), (0.80, 0.7), (0.74, 0.75), (0.72, 0.78)]
FALLING = [(1.5, 0.5), (1.4, 0.6), (1.3, 0.7), (1.25, 0.8), (1.22, 0.9)]


def test_a_loss_that_falls_in_a_straight_line_asks_for_a_higher_learning_rate_with_the_curve() -> None:
    straight = _summary(training=STRAIGHT, validation=FALLING)

    assert "at the same pace to the end (1.600, 1.450, 1.310, 1.190, 1.130; see the loss chart)" in _rates(straight)
    assert "for instance 0.003, or train for more epochs, for instance 10" in _rates(straight)
    assert "still falling" not in _seen(straight)  # which would say the same again


@pytest.mark.parametrize(
    ("training", "validation"),
    [
        (BENT, FALLING),  # it comes near its lowest value
        (STRAIGHT, [*FALLING[:4], (1.30, 0.9)]),  # the validation loss does not follow
        ([(loss, 0.95) for loss, _ in STRAIGHT], FALLING),  # the training images are learned
        (STRAIGHT[:2], FALLING[:2]),  # two points are no curve
        ([(1.6 - 0.001 * epoch, 0.5) for epoch in range(5)], FALLING),  # it hardly moves
    ],
)
def test_nothing_is_said_of_the_learning_rate_where_the_curve_does_not_show_it(
    training: list[tuple[float, float]], validation: list[tuple[float, float]]
) -> None:
    assert _rates(_summary(training=training, validation=validation)) == ""


@pytest.mark.parametrize(("learning_rate", "higher"), [(0.0003, "0.0009"), (0.001, "0.003"), (0.005, "0.01")])
def test_a_short_run_on_given_weights_whose_loss_falls_slowly_asks_for_a_higher_learning_rate(
    learning_rate: float, higher: str
) -> None:
    slow = [(1.06, 0.6), (0.98, 0.7), (0.85, 0.8), (0.73, 0.9), (0.67, 0.95)]
    summary = _summary(training=slow, validation=FALLING, learning_rate=learning_rate)
    assert _rates(summary) == "", "only where steps are bounded a higher rate was measured to be safe"

    bounded = replace(summary, has_bounded_steps=True)

    assert "fell to 63.2% of that of the first epoch (1.060, 0.980, 0.850, 0.730, 0.670; see" in _rates(bounded)
    assert f"for instance {higher}, or train for more epochs, for instance 10" in _rates(bounded)
    assert "still falling" not in _seen(bounded)


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 0.01},  # nearly all steps are shortened already
        {
            "training": [(1.0, 0.6), (0.6, 0.7), (0.3, 0.95)],
            "validation": FALLING[:3],
        },  # it comes near its lowest value
        {"training": STRAIGHT[:2], "validation": FALLING[:2]},  # two points are no curve
        {"epochs": 10},  # patience ended it
    ],
)
def test_a_higher_learning_rate_is_not_advised_where_it_gains_nothing(changes: dict[str, Any]) -> None:
    slow = {"training": [(loss, 0.95) for loss in (1.06, 0.98, 0.85, 0.73, 0.67)], "validation": FALLING}
    assert _rates(replace(_summary(**(slow | changes)), has_bounded_steps=True)) == ""


def test_a_loss_that_falls_only_as_the_rate_decays_asks_for_a_lower_one() -> None:
    unsettled = [(1.2, 0.5), (1.5, 0.4), (1.4, 0.45), (1.1, 0.6), (0.9, 0.7)]

    assert "rose to 1.500 at the full learning rate" in _rates(_summary(training=unsettled, validation=FALLING))
    assert "for instance 0.0003" in _rates(_summary(training=unsettled, validation=FALLING))


def test_a_model_that_is_that_of_before_training_is_explained() -> None:
    flat = _summary(training=[(0.5, 0.88), (0.3, 0.91)], validation=[(0.30, 0.89), (0.31, 0.90)])

    first, *_ = hints(_with_start(flat, 0.29, 0.92, best_epoch=0))
    assert first.seen.startswith("The saved model is the one before training (epoch 0)")
    assert "92.0%, and the epochs had at most 90.0%" in first.seen
    assert first.advice == "Add training images, or train for more epochs, for instance 4."
    rising = replace(
        flat, history=_summary(training=[(0.3, 0.88), (0.5, 0.8)], validation=[(0.3, 0.89), (0.31, 0.9)]).history
    )
    assert rate_hints(_with_start(rising, 0.29, 0.92, best_epoch=0)) == (first,), "one piece of advice on the rate"


def test_the_start_changes_no_advice_on_the_epochs_after_it() -> None:
    falling = _summary(training=[(0.5, 0.88), (0.3, 0.91)], validation=[(0.4, 0.89), (0.3, 0.90)])

    assert hints(_with_start(falling, 0.5, 0.8, best_epoch=2)) == hints(falling)
