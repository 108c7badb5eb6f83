"""What training says about itself while it runs, and to whom.

Tracking never fails a run and never slows it: every call returns at once, and what did not work is one sentence
that `close` returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pytorch_designer.settings import settings
from pytorch_designer.tracking.destination import destination_from_environment
from pytorch_designer.tracking.mlflow_tracker import MlflowTracker

if TYPE_CHECKING:
    from collections.abc import Mapping


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
        """Record a fact about the run, in place of an earlier value."""
        ...

    def close(self, *, failed: bool = False) -> str | None:
        """Deliver what is outstanding, waiting some seconds at most, and end the run where it is ours to end.

        Args:
            failed: Whether the run failed.

        Returns:
            One sentence for the user if tracking did not work, or not fully; None if it did.
        """
        ...


class NullTracker:
    """Tracks nothing."""

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

    def close(self, *, failed: bool = False) -> str | None:
        """See `Tracker`."""
        return None


def open_tracker(run_name: str) -> Tracker:
    """The tracker that the settings and MLflow's environment variables ask for. Returns at once.

    Args:
        run_name: Name of the run, where a new one is created.
    """
    if settings().tracking == "off":
        return NullTracker()
    return MlflowTracker(destination_from_environment(run_name))
