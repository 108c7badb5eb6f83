"""Progress display: a header, and a progress bar or periodic log lines.

On a terminal, a bar at the bottom advances while log lines scroll above it. Elsewhere, a log line appears every half
minute. The Python API shows progress in places of its own (`shown_by`).
"""

from __future__ import annotations

import logging
import sys
import time
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from pytorch_designer.settings import Settings

_log = logging.getLogger(__name__)

_PLAIN_LINE_SECONDS = 30.0
_LIVE_REFRESH_SECONDS = 0.1


class ProgressLine(Protocol):
    """Progress display as a context manager; `show` is cheap enough to call at each step."""

    def __enter__(self) -> Self:
        """Start the display."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the display."""

    def show(self, description: str, num_done: int, total: int, unit: str, details: str = "") -> None:
        """Show progress.

        Args:
            description: The current phase of the run.
            num_done: Units completed in this phase.
            total: Units of this phase.
            unit: What is counted: images, steps.
            details: Additional text.
        """

    def keep(self, text: str) -> None:
        """Show a line that stays, where the log, which has it too, is not seen."""


class LiveLine:
    """Progress bar at the bottom of a terminal."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[details]}"),
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=None, details="")
        self._refreshed_at = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, description: str, num_done: int, total: int, unit: str, details: str = "") -> None:
        """Update the bar, at most ten times per second."""
        if time.monotonic() - self._refreshed_at < _LIVE_REFRESH_SECONDS and num_done < total:
            return
        self._refreshed_at = time.monotonic()
        shown = details or f"{num_done} of {total} {unit}"
        self._progress.update(self._task, description=description, completed=num_done, total=total, details=shown)

    def keep(self, text: str) -> None:
        """Show nothing: the log scrolls above the bar."""


class SilentLine:
    """Progress that is not shown."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def show(self, description: str, num_done: int, total: int, unit: str, details: str = "") -> None:
        """Show nothing."""

    def keep(self, text: str) -> None:
        """Show nothing."""


class PlainLine(SilentLine):
    """Periodic log lines; the log has what is kept."""

    def __init__(self) -> None:
        self._logged_at = time.monotonic()

    def show(self, description: str, num_done: int, total: int, unit: str, details: str = "") -> None:
        """Log a line, at most one per half minute."""
        if time.monotonic() - self._logged_at < _PLAIN_LINE_SECONDS:
            return
        _log.info("%s: %d of %d %s%s", description, num_done, total, unit, f", {details}" if details else "")
        self._logged_at = time.monotonic()


class Pace:
    """Throughput in images per second, and remaining time.

    Args:
        num_total: Images of the whole run, counted once per epoch.
        num_done: Images that an earlier process has completed.
    """

    def __init__(self, num_total: int, num_done: int = 0) -> None:
        self._num_total = num_total
        self._num_done = num_done
        self._num_seen = 0
        self._started = time.monotonic()

    def add(self, num_images: int) -> None:
        """Add completed images."""
        self._num_seen += num_images

    @property
    def images_per_second(self) -> float:
        """Images per second since the start."""
        return self._num_seen / max(time.monotonic() - self._started, 1e-9)

    @property
    def seconds_left(self) -> float:
        """Estimated remaining time."""
        return max(self._num_total - self._num_done - self._num_seen, 0) / max(self.images_per_second, 1e-9)

    def describe(self) -> str:
        """Throughput and remaining time as text for a progress line."""
        return f"{self.images_per_second:.0f} images/s, {format_duration(self.seconds_left)} left"


_opener: ContextVar[Callable[[], ProgressLine] | None] = ContextVar("opener", default=None)


@contextmanager
def shown_by(opener: Callable[[], ProgressLine]) -> Iterator[None]:
    """Let `open_progress_line` open what `opener` opens, in this thread and while the context lasts."""
    token = _opener.set(opener)
    try:
        yield
    finally:
        _opener.reset(token)


def open_progress_line(settings: Settings) -> ProgressLine:
    """The progress display for this process's standard output, unless the setting `progress` names one."""
    opener = _opener.get()
    if settings.progress == "off":
        return SilentLine()
    if opener is not None and settings.progress != "plain":
        return opener()
    is_live = sys.stdout.isatty() if settings.progress == "auto" else settings.progress == "live"
    return LiveLine() if is_live else PlainLine()


def log_header(title: str, metadata: Mapping[str, str]) -> None:
    """Log the title of a run, then its metadata, one aligned line per entry."""
    width = max(len(label) for label in metadata) + 2
    _log.info("%s", title)
    for label, value in metadata.items():
        _log.info("  %s%s", label.ljust(width), value)


def format_duration(seconds: float) -> str:
    """Hours, minutes and seconds, as 1:02:03 or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
