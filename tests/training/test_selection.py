"""Best epoch and patience, against sequences worked out by hand (CASES 8, 9, 10)."""

from __future__ import annotations

import math

import pytest

from pytorch_designer.training.history import EpochRecord, Metrics
from pytorch_designer.training.selection import epochs_without_improvement, is_better, stop_reason


def metrics(loss: float, top1: float = 0.5) -> Metrics:
    return Metrics(loss=loss, top1=top1, top5=1.0, num_images=10)


def history(*losses: float) -> list[EpochRecord]:
    return [
        EpochRecord(
            epoch=number,
            training=metrics(1.0),
            validation=metrics(loss),
            learning_rate=0.1,
            images_per_second=1.0,
            seconds=1.0,
            is_best=False,
        )
        for number, loss in enumerate(losses, start=1)
    ]


def stopping_epoch(losses: list[float], patience: int) -> int:
    """The epoch after which training ends, with as many epochs allowed as there are losses."""
    for number in range(1, len(losses) + 1):
        if stop_reason(history(*losses[:number]), num_epochs=len(losses), patience=patience) is not None:
            return number
    raise AssertionError("training never ends")


@pytest.mark.parametrize(
    ("losses", "patience", "expected"),
    [
        ([6, 5, 6, 5, 5, 5], 3, 5),  # best at 2; epochs 3, 4 and 5 are not lower, the equal ones included
        ([6, 5, 6, 4, 6, 6, 6, 6], 3, 7),  # the count starts again at 4
        ([5, 6, 7, 8], 1, 2),
        ([5, 4, 3, 2], 1, 4),
        ([5, 6, 6], 10, 3),  # patience above the epochs
        ([3, 3, 3, 3], 2, 3),
        ([math.nan, math.nan, math.nan], 2, 2),
        ([math.nan, 5, 6, 7], 2, 4),
        ([math.inf, 5, math.inf, 4, 9], 3, 5),
    ],
)
def test_patience_counts_from_the_lowest_loss(losses: list[float], patience: int, expected: int) -> None:
    assert stopping_epoch(losses, patience) == expected


def test_reason_says_whether_patience_or_the_epochs_ended_training() -> None:
    assert stop_reason(history(3, 4), num_epochs=2, patience=1) == "All 2 epochs were trained."
    assert stop_reason(history(3), num_epochs=1, patience=1) == "The one epoch was trained."
    assert (
        stop_reason(history(3, 4, 5), num_epochs=9, patience=2)
        == "Stopped after epoch 3: 2 epochs in a row without a lower validation loss (patience)."
    )
    assert stop_reason(history(3, 4), num_epochs=9, patience=2) is None


def test_no_epoch_yet_is_no_improvement_missed() -> None:
    assert epochs_without_improvement([]) == 0


@pytest.mark.parametrize(
    ("candidate", "best", "expected"),
    [
        (metrics(0.9, 0.6), metrics(0.1, 0.5), True),  # accuracy first
        (metrics(0.1, 0.5), metrics(0.9, 0.6), False),
        (metrics(0.4, 0.6), metrics(0.5, 0.6), True),  # then the lower loss
        (metrics(0.5, 0.6), metrics(0.5, 0.6), False),  # then the earlier epoch
        (metrics(9.0, 0.0), None, True),
        (metrics(math.nan, 1.0), None, False),
        (metrics(math.inf, 1.0), metrics(9.0, 0.0), False),
    ],
)
def test_best_epoch_has_the_highest_accuracy_then_the_lowest_loss(
    candidate: Metrics, best: Metrics | None, expected: bool
) -> None:
    assert is_better(candidate, best) is expected
