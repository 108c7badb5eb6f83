"""Trial of a sweep: its values, what has become of it, and its place among the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytorch_designer.harness.schema.specification import Scalar


class TrialState(str, Enum):
    """State of a trial, by the words of trials.json."""

    RUNNING = "running"
    COMPLETED = "completed"
    REUSED = "reused"
    FAILED = "failed"
    TERMINATED = "terminated"  # by the early-termination policy
    TIMED_OUT = "timed out"
    CANCELED = "canceled"

    @property
    def has_succeeded(self) -> bool:
        """True if its outputs are there."""
        return self in {TrialState.COMPLETED, TrialState.REUSED}


@dataclass(frozen=True)
class TrialResult:
    """One trial.

    Attributes:
        number: Counted from 0.
        values: The value of each hyperparameter.
        folder: Its run folder.
        history: The values of the primary metric, in the order of logging.
        metrics: The names of all metrics that it has logged.
        seconds: How long its job took.
        run_id: Its MLflow run.
        outputs: The path of each output.
        error: Why it was ended or has failed, or None.
    """

    number: int
    values: Mapping[str, Scalar]
    folder: Path
    state: TrialState = TrialState.RUNNING
    history: tuple[float, ...] = ()
    metrics: tuple[str, ...] = ()
    seconds: float | None = None
    run_id: str | None = None
    outputs: Mapping[str, Path] = field(default_factory=dict)
    error: str | None = None

    @property
    def name(self) -> str:
        """Its name within the sweep."""
        return trial_name(self.number)

    def objective(self, *, is_maximized: bool) -> float | None:
        """The best value of the primary metric, or None."""
        return (max if is_maximized else min)(self.history, default=None)


def trial_name(number: int) -> str:
    """`trial_0`."""
    return f"trial_{number}"


def ranked(trials: Iterable[TrialResult], *, is_maximized: bool) -> list[TrialResult]:
    """Trials, the best first: those that have succeeded, then those with a value, then the others."""

    def key(trial: TrialResult) -> tuple[bool, bool, float, int]:
        value = trial.objective(is_maximized=is_maximized)
        number = 0.0 if value is None else -value if is_maximized else value
        return (not trial.state.has_succeeded, value is None, number, trial.number)

    return sorted(trials, key=key)


def best_of(trials: Iterable[TrialResult], *, is_maximized: bool) -> TrialResult | None:
    """The best trial that has succeeded and has a value; of equal ones the first."""
    first = next(iter(ranked(trials, is_maximized=is_maximized)), None)
    return first if first is not None and first.state.has_succeeded and first.history else None


def shown_value(value: object) -> str:
    """A value of a hyperparameter or metric for people: numbers with four significant digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
