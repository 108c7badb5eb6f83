"""The learning rate of each step and what decays, against values computed by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pytorch_designer.training.optimizer import build_optimizer, set_learning_rate
from pytorch_designer.training.schedule import learning_rate_at


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


def test_learning_rate_is_set_for_every_group() -> None:
    optimizer = build_optimizer(nn.Linear(2, 2), 0.1)
    set_learning_rate(optimizer, 0.025)
    assert [group["lr"] for group in optimizer.param_groups] == [0.025, 0.025]
