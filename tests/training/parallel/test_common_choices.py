"""Choices that processes make together, and warnings about batches."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest
from torch import nn

from pytorch_designer.distributed.world import Membership, OneProcess, World
from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.training.parallel.common_choices import (
    choose_compute_together,
    normalizes_by_batches,
    refuse_different_runs,
    warn_of_batch,
)
from tests.distributed.worlds import run_world
from tests.training.small_run import COMPUTE, HYPERPARAMETERS, PREPROCESSING, small_network


def _in_world_of(size: int) -> World:
    world = OneProcess()
    world.membership = Membership(size=size)
    return world


def choose(world: World) -> dict[str, Any]:
    import os

    os.environ["PYTORCH_DESIGNER_NUM_THREADS"] = str(3 - world.rank)
    found: dict[str, Any] = {"threads": choose_compute_together(PREPROCESSING, world).num_threads}
    refuse_different_runs("the same", dict, world)
    parts = {"parameters": "the same", "training images": f"of {world.rank // 2}"}
    try:
        refuse_different_runs(f"of {world.rank // 2}", lambda: parts, world)
    except UnsupportedEnvironmentError as error:
        found |= error.to_dict()
    return found


@pytest.mark.slow
def test_all_compute_with_as_many_threads_and_the_same_inputs() -> None:
    for found in run_world(3, choose):
        assert found["threads"] == 1
        assert found["where"] == "rank 2"
        assert "1 process of 3 would train something else" in found["what"]
        assert found["examples"] == ["not the same: training images"]


@pytest.mark.parametrize(
    ("size", "batch_size", "network", "warnings"),
    [
        (2, 16, small_network(), []),
        (1, 8, small_network(), []),
        (1, 4, small_network(), ["The network normalizes by the statistics of 4 images (batch norm)"]),
        (2, 4, small_network(), ["Each process normalizes by the statistics of 4 images of its own part"]),
        (2, 4, nn.Linear(2, 2), []),
        (64, 256, small_network(), ["16,384 images"]),
    ],
)
def test_batches_that_are_too_small_or_too_large_are_named(
    size: int, batch_size: int, network: nn.Module, warnings: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    predictor = Predictor(network, PREPROCESSING, COMPUTE)
    assert normalizes_by_batches(predictor) == (not isinstance(network, nn.Linear))
    with caplog.at_level(logging.WARNING):
        warn_of_batch(predictor, replace(HYPERPARAMETERS, batch_size=batch_size), _in_world_of(size))
    assert len(caplog.messages) == len(warnings)
    assert all(text in message for text, message in zip(warnings, caplog.messages, strict=True))


def test_batch_norm_that_keeps_given_statistics_is_not_named() -> None:
    assert not normalizes_by_batches(Predictor(small_network(), PREPROCESSING, COMPUTE, keeps_statistics=True))
