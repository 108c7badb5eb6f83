"""Display of a run: a progress line, a table row per epoch, and the result."""

from __future__ import annotations

import logging
import math
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.progress import Pace, ProgressLine, format_duration, open_progress_line
from pytorch_designer.settings import settings
from pytorch_designer.training.recipe import stop_reason
from pytorch_designer.training.report.advice import rate_hints
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from pytorch_designer.training.datasets import LabeledDatasets
    from pytorch_designer.training.history import EpochRecord, RunSummary
    from pytorch_designer.training.recipe import Hyperparameters
    from pytorch_designer.training.state import TrainingState

_log = logging.getLogger(__name__)

_TIME_WIDTH = 9  # "12:00:00 ", in front of each line of a log that does not go to a terminal
_LOG_WIDTH = 120
_LARGE = 1e5


@dataclass(frozen=True)
class _Column:
    """Column of the table.

    Attributes:
        title: What the header says.
        width: Characters, with the space before it.
        text: What it says of an epoch.
        rank: Columns of the highest rank are left out first; those of rank 0 never.
        is_of_training: Whether it has nothing to say of epoch 0.
    """

    title: str
    width: int
    text: Callable[[EpochRecord], str]
    rank: int = 0
    is_of_training: bool = False


def _loss(value: float) -> str:
    return f"{value:.4f}" if not math.isfinite(value) or value < _LARGE else f"{value:.3g}"


_COLUMNS: tuple[_Column, ...] = (
    _Column("train loss", 11, lambda record: _loss(record.training.loss), is_of_training=True),
    _Column("top-1", 7, lambda record: f"{record.training.top1:.1%}", rank=2, is_of_training=True),
    _Column("val loss", 10, lambda record: _loss(record.validation.loss)),
    _Column("top-1", 7, lambda record: f"{record.validation.top1:.1%}"),
    _Column("top-5", 7, lambda record: f"{record.validation.top5:.1%}", rank=4),
    _Column("img/s", 7, lambda record: f"{record.images_per_second:.0f}", rank=3, is_of_training=True),
    _Column("time", 8, lambda record: format_duration(record.seconds), rank=1),
    _Column("", 5, lambda record: " best" if record.is_best else ""),
)


class EpochTable:
    """Table of epochs, as wide as the terminal allows, so that no row wraps.

        epoch   train loss  top-1  val loss  top-1  top-5  img/s    time
        1/20        1.9012  41.2%    1.7034  48.0%  92.1%   1204    0:12 best

    Args:
        num_epochs: Epochs of the run.
        width: Characters of a line that are free.
    """

    def __init__(self, num_epochs: int, width: int) -> None:
        self._num_epochs = num_epochs
        self._epoch_width = max(len("epoch"), 2 * len(str(num_epochs)) + 1)
        columns = _COLUMNS
        while self._epoch_width + sum(column.width for column in columns) > width:
            rank = max(column.rank for column in columns)
            if rank == 0:
                break
            columns = tuple(column for column in columns if column.rank < rank)
        self._columns = columns

    def header(self) -> str:
        """The titles of the columns."""
        titles = "".join(column.title.rjust(column.width) for column in self._columns)
        return f"{'epoch'.ljust(self._epoch_width)}{titles}".rstrip()

    def row(self, record: EpochRecord) -> str:
        """The row of an epoch."""
        texts = "".join(
            ("-" if column.is_of_training and not record.epoch else column.text(record)).rjust(column.width)
            for column in self._columns
        )
        return f"{record.epoch}/{self._num_epochs}".ljust(self._epoch_width) + texts.rstrip()


class RunDisplay:
    """A progress line, live or in the log, and the table of epochs in the log; a context manager.

    Args:
        line: Where progress is shown.
        num_epochs: Epochs of the run.
        num_training: Training images.
        num_validation: Validation images.
        num_done: Images that an earlier process has already trained on.
    """

    def __init__(
        self, line: ProgressLine, *, num_epochs: int, num_training: int, num_validation: int, num_done: int
    ) -> None:
        self._line = line
        self._num_epochs = num_epochs
        self._num_validation = num_validation
        self._pace = Pace(num_epochs * num_training, num_done)
        self._table = EpochTable(num_epochs, _free_width())
        self._has_header = False

    def __enter__(self) -> RunDisplay:
        self._line.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.__exit__(kind, error, trace)

    def step_taken(self, *, epoch: int, step: int, num_steps: int, num_images: int, loss: float) -> None:
        """Count the images and move the line."""
        self._pace.add(num_images)
        details = f"loss {loss:.4f}, {self._pace.describe()}"
        self._line.show(f"epoch {epoch}/{self._num_epochs}", step, num_steps, "steps", details)

    def validated(self, *, epoch: int, num_images: int) -> None:
        """Move the line."""
        label = f"epoch {epoch}/{self._num_epochs} validation" if epoch else "validation before training"
        self._line.show(label, num_images, self._num_validation, "images")

    def features_computed(self, *, num_images: int, num_all: int) -> None:
        """Move the line."""
        self._line.show("features for the classifier", num_images, num_all, "images")

    def show_past(self, records: Sequence[EpochRecord]) -> None:
        """Log the rows of the epochs that an earlier process has trained."""
        for record in records:
            self.epoch_ended(record)

    def epoch_ended(self, record: EpochRecord) -> None:
        """Log the epoch's row, and the header before the first."""
        lines = [self._table.row(record)] if self._has_header else [self._table.header(), self._table.row(record)]
        self._has_header = True
        for line in lines:
            _log.info("%s", line)
            self._line.keep(line)


class SilentDisplay:
    """Display of a process whose run another process shows."""

    def step_taken(self, *, epoch: int, step: int, num_steps: int, num_images: int, loss: float) -> None:
        """Show nothing."""

    def validated(self, *, epoch: int, num_images: int) -> None:
        """Show nothing."""

    def features_computed(self, *, num_images: int, num_all: int) -> None:
        """See `TrainingDisplay`."""

    def epoch_ended(self, record: EpochRecord) -> None:
        """Show nothing."""


def open_display(
    hyperparameters: Hyperparameters, datasets: LabeledDatasets, state: TrainingState, *, num_processes: int = 1
) -> RunDisplay:
    """The display that fits where standard output goes, for a run that begins or continues at `state`."""
    num_training = len(datasets.training)
    return RunDisplay(
        open_progress_line(settings()),
        num_epochs=hyperparameters.num_epochs,
        num_training=num_training,
        num_validation=len(datasets.validation),
        num_done=(state.epoch - 1) * num_training + state.step * hyperparameters.batch_size * num_processes,
    )


def log_continuation(state: TrainingState, hyperparameters: Hyperparameters) -> None:
    """Log where a run continues that an earlier process began."""
    if stop_reason(state.history, num_epochs=hyperparameters.num_epochs, patience=hyperparameters.patience):
        _log.info("Continuing from the checkpoint: training was complete, and the model is left to be written.")
    else:
        _log.info("Continuing from the checkpoint: epoch %d, after %d of its steps.", state.epoch, state.step)


def log_result(summary: RunSummary, *, model: Path, report: Path) -> None:
    """Log why training ended, the best epoch, and where model and report are."""
    validation = summary.best.validation
    _log.info("%s", summary.stop_reason)
    _log.info(
        "Best epoch: %s, with validation accuracy %.2f %%, balanced accuracy %.2f %% (mean over classes) and loss %.4f "
        "over %s.",
        summary.best_epoch or "0 (before training)",
        100 * validation.top1,
        100 * summary.balanced_accuracy,
        validation.loss,
        count(validation.num_images, "image"),
    )
    for hint in rate_hints(summary):
        _log.info("%s %s", hint.seen, hint.advice)
    if summary.bad_files:
        files = count(len(summary.bad_files), "image file")
        _log.warning("%s could not be read; left out, and listed in the report.", files)
    _log.info("Model:  %s", model)
    _log.info("Report: %s", report)


def _free_width() -> int:
    """Characters that a line of the log may have so that it does not wrap where standard output goes."""
    columns = shutil.get_terminal_size((_LOG_WIDTH, 24)).columns
    return columns if sys.stdout.isatty() else columns - _TIME_WIDTH
