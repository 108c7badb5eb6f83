"""Optimizer, schedule, batch norm, best epoch and patience, against values worked out by hand (CASES 8, 9, 10)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from pytorch_designer.training.history import EpochRecord, Metrics
from pytorch_designer.training.recipe import (
    build_optimizer,
    epochs_without_improvement,
    is_better,
    learning_rate_at,
    stop_reason,
)

from .small_run import BuildRun, norm_of, small_network


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 0.8), (1, 0.8), (4, 0.8), (5, 0.8), (6, 0.64), (7, 0.48), (8, 0.32), (9, 0.16)],
)
def test_learning_rate_is_held_for_half_the_run_and_then_falls_along_a_line(step: int, expected: float) -> None:
    assert learning_rate_at(step, num_steps=10, initial=0.8) == pytest.approx(expected, rel=1e-12)


def test_learning_rate_stays_positive_to_the_last_step() -> None:
    rates = [learning_rate_at(step, num_steps=1000, initial=1.0) for step in range(1000)]
    assert min(rates) > 0
    assert rates == sorted(rates, reverse=True)


def test_smallest_learning_rate_is_no_error() -> None:
    assert learning_rate_at(0, num_steps=3, initial=5e-324) == 5e-324


def test_weights_decay_and_norms_and_biases_do_not() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    optimizer = build_optimizer(network, 0.1)
    decays = {id(parameter): group["weight_decay"] for group in optimizer.param_groups for parameter in group["params"]}
    by_name = {name: decays[id(parameter)] for name, parameter in network.named_parameters()}
    assert by_name == {"0.weight": 1e-4, "0.bias": 0, "1.weight": 0, "1.bias": 0, "3.weight": 1e-4, "3.bias": 0}


def test_two_steps_follow_nesterov_momentum() -> None:
    weight = nn.Parameter(torch.tensor([1.0]))  # one dimension: no decay
    network = nn.Module()
    network.register_parameter("weight", weight)
    optimizer = build_optimizer(network, 0.5)
    for gradient in (2.0, 1.0):
        weight.grad = torch.tensor([gradient])
        optimizer.step()
    # v1 = 2, step 0.5 * (2 + 0.9 * 2) = 1.9; v2 = 0.9 * 2 + 1 = 2.8, step 0.5 * (1 + 0.9 * 2.8) = 1.76
    assert weight.item() == pytest.approx(1.0 - 1.9 - 1.76, rel=1e-6)


def test_what_a_short_run_has_learnt_shows_in_validation_whatever_momentum_the_network_came_with(
    build_run: BuildRun,
) -> None:
    histories = []
    for momentum in (0.0003, 0.1):
        network = small_network()
        norm_of(network).momentum = momentum
        small = build_run(network=network, num_epochs=5, patience=5)
        small.train()
        histories.append([record.validation for record in small.state.history])
    assert histories[0] == histories[1]


def metrics(loss: float, top1: float = 0.5) -> Metrics:
    return Metrics(loss=loss, top1=top1, top5=1.0, num_images=10)


def history(*losses: float, first: int = 1) -> list[EpochRecord]:
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
        for number, loss in enumerate(losses, start=first)
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


@pytest.mark.parametrize(
    ("losses", "patience", "expected"),
    [
        ([5, 6], 1, None),
        ([5, 6, 7], 1, "Stopped after epoch 2: an epoch without a lower validation loss (patience)."),
        ([5, 4, 6, 6], 2, "Stopped after epoch 3: 2 epochs in a row without a lower validation loss (patience)."),
        ([math.nan], 1, None),
        ([math.nan, 6], 1, None),
        ([5], 1, None),
        ([5, 4, 3, 2, 1], 2, "All 4 epochs were trained."),
        ([5, 4, 3, 2, 1], 3, "All 4 epochs were trained, which are too few to stop early with a patience of 3."),
    ],
)
def test_patience_does_not_look_at_the_model_before_training(
    losses: list[float], patience: int, expected: str | None
) -> None:
    assert stop_reason(history(*losses, first=0), num_epochs=4, patience=patience) == expected


def test_reason_says_whether_patience_or_the_epochs_ended_training() -> None:
    assert stop_reason(history(3, 4, 5), num_epochs=3, patience=1) == "All 3 epochs were trained."
    assert stop_reason(history(3), num_epochs=1, patience=1) == "The one epoch was trained."
    assert (
        stop_reason(history(3, 4, 5), num_epochs=9, patience=2)
        == "Stopped after epoch 3: 2 epochs in a row without a lower validation loss (patience)."
    )
    assert stop_reason(history(3, 4), num_epochs=9, patience=2) is None


@pytest.mark.parametrize(("num_epochs", "patience"), [(2, 1), (2, 3), (4, 3)])
def test_reason_says_where_patience_could_not_act(num_epochs: int, patience: int) -> None:
    losses = range(num_epochs)
    reason = stop_reason(history(*losses), num_epochs=num_epochs, patience=patience)
    assert reason == (
        f"All {num_epochs} epochs were trained, which are too few to stop early with a patience of {patience}."
    )


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


def test_several_processes_reach_as_many_times_the_rate_within_the_first_epoch() -> None:
    rates = [learning_rate_at(step, num_steps=40, initial=0.1, num_processes=4, num_warm_up=10) for step in range(40)]
    assert rates[0] == 0.1
    assert rates[5] == pytest.approx(0.25)
    assert rates[10:21] == pytest.approx([0.4] * 11)
    assert rates[30] == pytest.approx(0.2)
    alone = [learning_rate_at(step, num_steps=40, initial=0.1, num_warm_up=10) for step in range(40)]
    assert alone == [learning_rate_at(step, num_steps=40, initial=0.1) for step in range(40)]
