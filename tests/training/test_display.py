"""Table of epochs and other lines of a training run."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest
from torch import nn

from pytorch_designer.progress import PlainLine
from pytorch_designer.training.display import EpochTable, RunDisplay, log_continuation
from pytorch_designer.training.history import EpochRecord, Metrics
from pytorch_designer.training.recipe import build_optimizer
from pytorch_designer.training.state import TrainingState

from .small_run import HYPERPARAMETERS


def record(epoch: int, **changes: Any) -> EpochRecord:
    metrics = Metrics(loss=2.3026, top1=1.0, top5=1.0, num_images=100)
    values: dict[str, Any] = {
        "training": metrics, "validation": metrics, "learning_rate": 0.1, "images_per_second": 12345.6,
        "seconds": 3723.0, "is_best": True,
    }  # fmt: skip
    return EpochRecord(epoch=epoch, **(values | changes))


EXTREME = Metrics(loss=1.234e30, top1=1.0, top5=1.0, num_images=1)
NAN = Metrics(loss=math.nan, top1=math.nan, top5=math.nan, num_images=0)


@pytest.mark.parametrize("width", [71, 60, 51, 42])
@pytest.mark.parametrize("num_epochs", [1, 100, 1000])
@pytest.mark.parametrize("metrics", [EXTREME, NAN])
def test_no_row_is_wider_than_the_terminal(width: int, num_epochs: int, metrics: Metrics) -> None:
    table = EpochTable(num_epochs, width)
    row = table.row(record(num_epochs, training=metrics, validation=metrics))
    assert len(row) <= width
    assert len(table.header()) <= width
    assert row.startswith(f"{num_epochs}/{num_epochs}")
    assert row.endswith(" best")


def test_a_log_of_80_columns_with_the_time_of_day_has_every_column() -> None:
    table = EpochTable(100, 80 - len("12:00:00 "))
    assert table.header().split() == [
        "epoch",
        "train",
        "loss",
        "top-1",
        "val",
        "loss",
        "top-1",
        "top-5",
        "img/s",
        "time",
    ]
    assert table.row(record(7)) == "7/100       2.3026 100.0%    2.3026 100.0% 100.0%  12346 1:02:03 best"


def test_the_row_before_training_has_no_numbers_of_training() -> None:
    table = EpochTable(100, 80 - len("12:00:00 "))
    start = record(0, training=NAN, images_per_second=math.nan)
    assert table.row(start) == "0/100            -      -    2.3026 100.0% 100.0%      - 1:02:03 best"


def test_the_accuracy_of_validation_is_kept_the_longest() -> None:
    assert EpochTable(10, 20).header().split() == ["epoch", "train", "loss", "val", "loss", "top-1"]


def test_a_continued_run_shows_the_epochs_before(caplog: pytest.LogCaptureFixture) -> None:
    display = RunDisplay(PlainLine(), num_epochs=3, num_training=9, num_validation=9, num_done=18)
    with caplog.at_level(logging.INFO), display:
        display.show_past([record(1), record(2, is_best=False)])
        display.epoch_ended(record(3))
    assert [line.split()[0] for line in caplog.messages] == ["epoch", "1/3", "2/3", "3/3"]


def test_a_continued_run_says_where_it_is(caplog: pytest.LogCaptureFixture) -> None:
    network = nn.Linear(2, 2)
    state = TrainingState(network, build_optimizer(network, 0.1), history=[record(1), record(2)], step=4)
    with caplog.at_level(logging.INFO):
        log_continuation(state, HYPERPARAMETERS)
        state.history.append(record(3))
        log_continuation(state, HYPERPARAMETERS)
    middle, complete = caplog.messages
    assert "epoch 3, after 4 of its steps" in middle
    assert "training was complete" in complete
    assert "epoch 4" not in complete
