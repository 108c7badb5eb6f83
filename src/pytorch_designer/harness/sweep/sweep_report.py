"""Report of a sweep: a table for the log, trials.json, and a page with parallel coordinates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytorch_designer.harness.sweep.sweep_page import sweep_page
from pytorch_designer.harness.sweep.trial import TrialState, ranked, shown_value
from pytorch_designer.storage.output import write_atomically, writing_errors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytorch_designer.harness.node_kinds.sweep_settings import SweepSettings
    from pytorch_designer.harness.sweep.trial import TrialResult

TRIALS_FILE = "trials.json"
PAGE_FILE = "sweep.html"


def trial_line(settings: SweepSettings, trial: TrialResult, *, is_best: bool) -> str:
    """The end of a trial in one line."""
    took = "" if trial.seconds is None or trial.state is TrialState.REUSED else f" after {trial.seconds:.1f} s"
    value = trial.objective(is_maximized=settings.is_maximized)
    metric = "" if value is None else f": {settings.primary_metric} = {shown_value(value)}"
    best = " (best so far)" if is_best else ""
    why = "" if trial.error is None else f"; {trial.error}"
    return f"Trial {trial.number} {trial.state.value}{took}{metric}{best}{why}"


def trial_table(settings: SweepSettings, trials: Sequence[TrialResult]) -> list[str]:
    """The lines of a table of trials, the best first."""
    names = [parameter.name for parameter in settings.search_space]
    rows = [["Trial", "State", settings.primary_metric, *names, "Seconds"]]
    for trial in ranked(trials, is_maximized=settings.is_maximized):
        value = trial.objective(is_maximized=settings.is_maximized)
        rows.append(
            [
                str(trial.number),
                trial.state.value,
                "" if value is None else shown_value(value),
                *(shown_value(trial.values[name]) for name in names),
                "" if trial.seconds is None else f"{trial.seconds:.1f}",
            ]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def write_report(folder: Path, name: str, settings: SweepSettings, trials: Sequence[TrialResult]) -> None:
    """Write trials.json and sweep.html into the run folder of a sweep.

    Raises:
        FailedToWriteOutputsError: They cannot be written.
    """
    with writing_errors(folder):
        text = json.dumps(_plain(settings, trials), indent=2)
        write_atomically(folder / TRIALS_FILE, f"{text}\n".encode())
        write_atomically(folder / PAGE_FILE, sweep_page(name, settings, trials).encode())


def _plain(settings: SweepSettings, trials: Sequence[TrialResult]) -> dict[str, Any]:
    return {
        "primary_metric": settings.primary_metric,
        "goal": "maximize" if settings.is_maximized else "minimize",
        "sampling": settings.sampling.type,
        "trials": [
            {
                "number": trial.number,
                "state": trial.state.value,
                "values": dict(trial.values),
                "objective": trial.objective(is_maximized=settings.is_maximized),
                "history": list(trial.history),
                "seconds": trial.seconds,
                "run_id": trial.run_id,
                "error": trial.error,
                "run_folder": str(trial.folder),
            }
            for trial in trials
        ],
    }
