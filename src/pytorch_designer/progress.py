"""What a person sees of a run that takes a while: a header, and how far it is.

On a terminal a line at the bottom moves, and log lines pass above it. Elsewhere there is a log line now and then.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import Self

    from pytorch_designer.settings import Settings

_log = logging.getLogger(__name__)

_PLAIN_LINE_SECONDS = 30.0
_LIVE_REFRESH_SECONDS = 0.1


class ProgressLine(Protocol):
    """A context manager that shows how far a run is; cheap to call at each step."""

    def __enter__(self) -> Self:
        """Start to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""

    def show(self, description: str, num_done: int, total: int, unit: str, facts: str = "") -> None:
        """`num_done` of `total` units are done in the part of the run that `description` names; `facts` say more."""


class LiveLine:
    """A progress line at the bottom of a terminal."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[facts]}"),
            transient=True,
        )
        self._task = self._progress.add_task("starting", total=None, facts="")
        self._refreshed_at = 0.0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, description: str, num_done: int, total: int, unit: str, facts: str = "") -> None:
        """Move the bar, unless it moved just now."""
        if time.monotonic() - self._refreshed_at < _LIVE_REFRESH_SECONDS and num_done < total:
            return
        self._refreshed_at = time.monotonic()
        said = facts or f"{num_done} of {total} {unit}"
        self._progress.update(self._task, description=description, completed=num_done, total=total, facts=said)


class PlainLine:
    """A log line when the last one is old."""

    def __init__(self) -> None:
        self._logged_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def show(self, description: str, num_done: int, total: int, unit: str, facts: str = "") -> None:
        """Log a line, unless there was one in the last half minute."""
        if time.monotonic() - self._logged_at < _PLAIN_LINE_SECONDS:
            return
        _log.info("%s: %d of %d %s%s", description, num_done, total, unit, f", {facts}" if facts else "")
        self._logged_at = time.monotonic()


class Pace:
    """Images a second and time left, from the images seen so far.

    Args:
        num_total: Images of the whole run, each as often as it is seen.
        num_done: Those of them that an earlier process has seen.
    """

    def __init__(self, num_total: int, num_done: int = 0) -> None:
        self._num_total = num_total
        self._num_done = num_done
        self._num_seen = 0
        self._started = time.monotonic()

    def add(self, num_images: int) -> None:
        """Count images."""
        self._num_seen += num_images

    @property
    def images_per_second(self) -> float:
        """Images a second since the start."""
        return self._num_seen / max(time.monotonic() - self._started, 1e-9)

    @property
    def seconds_left(self) -> float:
        """Expected time to the end."""
        return max(self._num_total - self._num_done - self._num_seen, 0) / max(self.images_per_second, 1e-9)

    def describe(self) -> str:
        """The pace for a progress line."""
        return f"{self.images_per_second:.0f} images/s, {format_duration(self.seconds_left)} left"


def open_progress_line(settings: Settings) -> ProgressLine:
    """The line that fits where standard output goes; the setting `progress` may overrule the choice."""
    is_live = sys.stdout.isatty() if settings.progress == "auto" else settings.progress == "live"
    return LiveLine() if is_live else PlainLine()


def log_header(title: str, facts: Mapping[str, str]) -> None:
    """Say what is about to run: a title, and a line a fact, aligned."""
    width = max(len(label) for label in facts) + 2
    _log.info("%s", title)
    for label, fact in facts.items():
        _log.info("  %s%s", label.ljust(width), fact)


def format_duration(seconds: float) -> str:
    """Hours, minutes and seconds, as 1:02:03 or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
