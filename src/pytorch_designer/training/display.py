"""Display of a run: a progress line, a table row per epoch, and the result."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pytorch_designer.progress import Pace, ProgressLine, format_duration, open_progress_line
from pytorch_designer.settings import settings
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from pytorch_designer.training.datasets import LabelledDatasets
    from pytorch_designer.training.history import EpochRecord, RunSummary
    from pytorch_designer.training.recipe import Hyperparameters
    from pytorch_designer.training.state import TrainingState

_log = logging.getLogger(__name__)

_TABLE_HEADER = " epoch   train loss  train top-1   val loss  val top-1  val top-5   img/s    time"


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
        self._line.show(f"epoch {epoch}/{self._num_epochs} validation", num_images, self._num_validation, "images")

    def epoch_ended(self, record: EpochRecord) -> None:
        """Log the epoch's row, and the header before the first."""
        if not self._has_header:
            _log.info(_TABLE_HEADER)
            self._has_header = True
        training, validation = record.training, record.validation
        _log.info(
            "%3d/%-3d %11.4f %11.1f%% %10.4f %9.1f%% %9.1f%% %7.0f %7s%s",
            record.epoch,
            self._num_epochs,
            training.loss,
            100 * training.top1,
            validation.loss,
            100 * validation.top1,
            100 * validation.top5,
            record.images_per_second,
            format_duration(record.seconds),
            "  best" if record.is_best else "",
        )


def open_display(hyperparameters: Hyperparameters, datasets: LabelledDatasets, state: TrainingState) -> RunDisplay:
    """The display that fits where standard output goes, for a run that begins or continues at `state`."""
    num_training = len(datasets.training)
    return RunDisplay(
        open_progress_line(settings()),
        num_epochs=hyperparameters.num_epochs,
        num_training=num_training,
        num_validation=len(datasets.validation),
        num_done=len(state.history) * num_training + state.step * hyperparameters.batch_size,
    )


def log_result(summary: RunSummary, *, model: Path, report: Path) -> None:
    """Log why training ended, the best epoch, and where model and report are."""
    validation = summary.best.validation
    _log.info("%s", summary.stop_reason)
    _log.info(
        "Best epoch: %d, with validation accuracy %.2f %%, balanced accuracy %.2f %% (mean over classes) and loss %.4f "
        "over %s.",
        summary.best_epoch,
        100 * validation.top1,
        100 * summary.balanced_accuracy,
        validation.loss,
        count(validation.num_images, "image"),
    )
    if summary.bad_files:
        files = count(len(summary.bad_files), "image file")
        _log.warning("%s could not be read; left out, and listed in the report.", files)
    _log.info("Model:  %s", model)
    _log.info("Report: %s", report)
