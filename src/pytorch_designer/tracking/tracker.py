"""Tracking of training: parameters, metrics and tags of a run.

Tracking never fails a run and never slows it: every call returns at once, and what did not work is one sentence
that `close` returns.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

from pytorch_designer.errors import InterruptedRunError
from pytorch_designer.settings import settings
from pytorch_designer.tracking.destination import destination_from_environment
from pytorch_designer.tracking.mlflow_tracker import MlflowTracker, start_worker, stop_worker

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping

_log = logging.getLogger(__name__)


class Tracker(Protocol):
    """Receiver of a run's parameters, metrics and tags. No method blocks or raises."""

    @property
    def description(self) -> str:
        """Where the run is tracked, as one line without secrets."""
        ...

    def log_parameters(self, parameters: Mapping[str, str | int | float]) -> None:
        """Record what the run was given. Values that are too long are shortened."""
        ...

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Record measurements at `step`; NaN and infinity are allowed."""
        ...

    def set_tag(self, name: str, value: str) -> None:
        """Record a tag of the run, instead of an earlier value."""
        ...

    def close(self, *, failed: bool = False, is_urgent: bool = False) -> str | None:
        """Deliver what is outstanding, for a bounded time, and end the run where it is ours to end.

        Args:
            failed: Whether the run failed.
            is_urgent: Whether somebody waits for the process to end, as after a signal: ten seconds must do then.

        Returns:
            One sentence for the user if tracking did not work, or not fully; None if it did.
        """
        ...


OpenTracker: TypeAlias = Callable[[str], Tracker]


class NullTracker:
    """Tracker that records nothing."""

    @property
    def description(self) -> str:
        """See `Tracker`."""
        return "off"

    def log_parameters(self, parameters: Mapping[str, str | int | float]) -> None:
        """See `Tracker`."""

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """See `Tracker`."""

    def set_tag(self, name: str, value: str) -> None:
        """See `Tracker`."""

    def close(self, *, failed: bool = False, is_urgent: bool = False) -> str | None:
        """See `Tracker`."""
        return None


@contextmanager
def tracked_run(open_tracker: OpenTracker, name: str, parameters: Mapping[str, str | int | float]) -> Iterator[Tracker]:
    """Yield the tracker of a run, with its parameters, and close it at the end; a problem with it is logged once.

    Args:
        open_tracker: Opens the tracker by the name of the run.
        name: Name of the run.
        parameters: What the run was given.
    """
    tracker = open_tracker(name)
    has_failed, was_stopped = True, False
    try:
        tracker.log_parameters(parameters)
        yield tracker
        has_failed = False
    except InterruptedRunError:
        was_stopped = True
        raise
    finally:
        problem = tracker.close(failed=has_failed, is_urgent=was_stopped)
        if problem is not None:
            _log.warning("%s", problem)


@contextmanager
def prepared_tracking() -> Iterator[OpenTracker]:
    """Let MLflow be imported in the background, which takes seconds, while the caller gets ready to train.

    Yields:
        `open_tracker` for this preparation. Nothing is recorded anywhere before it is called.
    """
    worker = None
    if settings().tracking != "off":
        with suppress(OSError):  # if there is no process for it, the tracker will say so
            worker = start_worker()
    try:
        yield partial(open_tracker, worker=worker)
    finally:
        if worker is not None:
            stop_worker(worker)


def open_tracker(run_name: str, *, worker: subprocess.Popen[bytes] | None = None) -> Tracker:
    """The tracker that the settings and MLflow's environment variables ask for. Returns at once.

    Args:
        run_name: Name of the run, where a new one is created.
        worker: The process that tracks, where it has been started already.
    """
    if settings().tracking == "off":
        return NullTracker()
    return MlflowTracker(destination_from_environment(run_name), worker=worker)
