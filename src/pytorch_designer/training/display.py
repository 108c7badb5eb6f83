"""What a person sees of a run: a header, progress, a table row an epoch. Live on a terminal, plain lines in a log."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from pytorch_designer.settings import Settings
    from pytorch_designer.training.history import EpochRecord

_log = logging.getLogger(__name__)

_PLAIN_LINE_SECONDS = 30.0
_LIVE_REFRESH_SECONDS = 0.1
_TABLE_HEADER = " epoch   train loss  train top-1   val loss  val top-1  val top-5   img/s    time"


def log_header(title: str, facts: Mapping[str, str]) -> None:
    """Say what is about to run: a title, and a line a fact, aligned."""
    width = max(len(label) for label in facts) + 2
    _log.info("%s", title)
    for label, fact in facts.items():
        _log.info("  %s%s", label.ljust(width), fact)


class Pace:
    """Images a second and time left, from the images seen so far.

    Args:
        num_epochs: Epochs of the run.
        num_training: Training images an epoch.
        num_done: Images that an earlier process has already trained on.
    """

    def __init__(self, num_epochs: int, num_training: int, num_done: int) -> None:
        self._num_total = num_epochs * num_training
        self._num_done = num_done
        self._num_seen = 0
        self._started = time.monotonic()

    def add(self, num_images: int) -> None:
        """Count images."""
        self._num_seen += num_images

    @property
    def images_per_second(self) -> float:
        """Training images a second since the start, validation included in the time."""
        return self._num_seen / max(time.monotonic() - self._started, 1e-9)

    @property
    def seconds_left(self) -> float:
        """Expected time to the end if training is not stopped early."""
        return max(self._num_total - self._num_done - self._num_seen, 0) / max(self.images_per_second, 1e-9)


class EpochTable:
    """The table of epochs in the log, a row each."""

    def __init__(self, num_epochs: int) -> None:
        self._num_epochs = num_epochs
        self._has_header = False

    def add(self, record: EpochRecord) -> None:
        """Log a row, and the header before the first."""
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


class PlainDisplay:
    """Log lines: a row an epoch, and a line now and then within a long epoch."""

    def __init__(self, table: EpochTable, pace: Pace) -> None:
        self._table = table
        self._pace = pace
        self._logged_at = time.monotonic()

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def step_taken(self, *, epoch: int, step: int, num_steps: int, num_images: int, loss: float) -> None:
        """Log a line when the last one is old."""
        self._pace.add(num_images)
        if time.monotonic() - self._logged_at < _PLAIN_LINE_SECONDS:
            return
        _log.info(
            "epoch %d, step %d of %d, loss %.4f, %.0f images a second, %s left",
            epoch,
            step,
            num_steps,
            loss,
            self._pace.images_per_second,
            format_duration(self._pace.seconds_left),
        )
        self._logged_at = time.monotonic()

    def validated(self, *, epoch: int, num_images: int) -> None:
        """Log a line when the last one is old."""
        if time.monotonic() - self._logged_at >= _PLAIN_LINE_SECONDS:
            _log.info("epoch %d, %d images validated", epoch, num_images)
            self._logged_at = time.monotonic()

    def epoch_ended(self, record: EpochRecord) -> None:
        """Log the epoch's row."""
        self._table.add(record)
        self._logged_at = time.monotonic()


class LiveDisplay:
    """A progress line at the bottom of a terminal, with the epochs' rows above it."""

    def __init__(self, num_epochs: int, num_validation: int, table: EpochTable, pace: Pace) -> None:
        self._num_epochs = num_epochs
        self._num_validation = num_validation
        self._table = table
        self._pace = pace
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[facts]}"),
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=None, facts="")
        self._refreshed_at = 0.0

    def __enter__(self) -> LiveDisplay:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def step_taken(self, *, epoch: int, step: int, num_steps: int, num_images: int, loss: float) -> None:
        """Move the bar."""
        self._pace.add(num_images)
        left = format_duration(self._pace.seconds_left)
        facts = f"loss {loss:.4f}  {self._pace.images_per_second:.0f} img/s  {left} left"
        self._show(f"epoch {epoch}/{self._num_epochs}", step, num_steps, facts)

    def validated(self, *, epoch: int, num_images: int) -> None:
        """Move the bar."""
        facts = f"{num_images} of {self._num_validation} images"
        self._show(f"epoch {epoch}/{self._num_epochs} validation", num_images, self._num_validation, facts)

    def epoch_ended(self, record: EpochRecord) -> None:
        """Print the epoch's row above the bar."""
        self._table.add(record)

    def _show(self, description: str, num_done: int, total: int, facts: str) -> None:
        if time.monotonic() - self._refreshed_at < _LIVE_REFRESH_SECONDS and num_done < total:
            return
        self._refreshed_at = time.monotonic()
        self._progress.update(self._task, description=description, completed=num_done, total=total, facts=facts)


def open_display(
    settings: Settings, *, num_epochs: int, num_training: int, num_validation: int, num_done: int
) -> LiveDisplay | PlainDisplay:
    """The display that fits where standard output goes.

    Args:
        settings: Whose `progress` may overrule the choice.
        num_epochs: Epochs of the run.
        num_training: Training images.
        num_validation: Validation images.
        num_done: Images that an earlier process has already trained on.
    """
    table = EpochTable(num_epochs)
    pace = Pace(num_epochs, num_training, num_done)
    is_live = sys.stdout.isatty() if settings.progress == "auto" else settings.progress == "live"
    if is_live:
        return LiveDisplay(num_epochs, num_validation, table, pace)
    return PlainDisplay(table, pace)


def format_duration(seconds: float) -> str:
    """Hours, minutes and seconds, as 1:02:03 or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
