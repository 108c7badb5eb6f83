"""Tracking of training: parameters, metrics and tags of a run.

Tracking never fails a run and never slows it: every call returns at once, and what does not work is logged once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from pytorch_designer.errors import InterruptedRunError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pytorch_designer.tracking.destination import RunReference


@dataclass(frozen=True)
class TrackedDataset:
    """Images that a run works with, as a tracker records them.

    Attributes:
        name: Name of the folder or archive.
        source: Its path.
        context: `training` or `validation`.
        num_images: How many.
        num_classes: Classes of their labels.
        fingerprint: Hash of what they are, as hexadecimal text.
    """

    name: str
    source: str
    context: str
    num_images: int
    num_classes: int
    fingerprint: str


class Tracker(Protocol):
    """Receiver of a run's parameters, metrics and tags. No method but `close` waits, and none raises."""

    @property
    def run(self) -> RunReference | None:
        """The run, for checkpoints; its id appears there once it is known. None where nothing is tracked."""
        ...

    @property
    def description(self) -> str:
        """Place where the run is tracked, as one line without secrets."""
        ...

    def log_parameters(self, parameters: Mapping[str, str | int | float]) -> None:
        """Record what the run was given. Values that are too long are shortened."""
        ...

    def log_metrics(self, metrics: Mapping[str, float], step: int, *, is_past: bool = False) -> None:
        """Record measurements at `step`; NaN and infinity are allowed.

        Args:
            metrics: Values by name.
            step: Number of the epoch.
            is_past: Whether an earlier process of this training has measured them, and may have recorded them.
        """
        ...

    def set_tag(self, name: str, value: str) -> None:
        """Record a tag of the run, instead of an earlier value."""
        ...

    def log_dataset(self, dataset: TrackedDataset) -> None:
        """Record images that the run works with."""
        ...

    def log_result(self, model: Path, report: Path) -> None:
        """Record where the trained model is, and a copy of its report, where the tracker is on this machine."""
        ...

    def close(self, *, failed: bool = False, is_urgent: bool = False) -> None:
        """Deliver what is outstanding, for a bounded time, and end the run where it is ours to end.

        Args:
            failed: Whether the run failed.
            is_urgent: Whether somebody waits for the process to end, as after a signal: ten seconds must do then.
        """
        ...


OpenTracker: TypeAlias = Callable[[str, "RunReference | None"], Tracker]
"""Opens the tracker of a run by its name, and by the reference that an earlier process of the run has left."""


@dataclass(frozen=True)
class NullTracker:
    """Tracker that records nothing.

    Attributes:
        description: Why.
    """

    description: str = "off"

    @property
    def run(self) -> None:
        """See `Tracker`."""

    def log_parameters(self, parameters: Mapping[str, str | int | float]) -> None:
        """See `Tracker`."""

    def log_metrics(self, metrics: Mapping[str, float], step: int, *, is_past: bool = False) -> None:
        """See `Tracker`."""

    def set_tag(self, name: str, value: str) -> None:
        """See `Tracker`."""

    def log_dataset(self, dataset: TrackedDataset) -> None:
        """See `Tracker`."""

    def log_result(self, model: Path, report: Path) -> None:
        """See `Tracker`."""

    def close(self, *, failed: bool = False, is_urgent: bool = False) -> None:
        """See `Tracker`."""


@contextmanager
def tracked_run(open_tracker: OpenTracker, name: str, reference: RunReference | None = None) -> Iterator[Tracker]:
    """Yield the tracker of a run, and close it at the end.

    Args:
        open_tracker: Opens the tracker.
        name: Name of the run.
        reference: What an earlier process of the run has left; None: the run begins.
    """
    tracker = open_tracker(name, reference)
    has_failed, was_stopped = True, False
    try:
        yield tracker
        has_failed = False
    except InterruptedRunError:
        was_stopped = True
        raise
    finally:
        tracker.close(failed=has_failed, is_urgent=was_stopped)
