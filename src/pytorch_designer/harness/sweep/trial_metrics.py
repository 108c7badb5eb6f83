"""Metrics of the trials of a sweep, read from the MLflow database while they run, and kept beside their logs.

A trial that is reused has the metrics of the run that made it. They are in its run folder, since the database may be
another one by then.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import TYPE_CHECKING

from pytorch_designer.mlflow_database import transaction
from pytorch_designer.storage.output import write_atomically
from pytorch_designer.system.regular_files import read_regular

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.harness.job.run_store import RunStore

_FILE = "user_logs/metrics.json"


def logged_metrics(store: RunStore, parent_run_id: str, name: str) -> dict[str, list[float]]:
    """The finite values of every metric of the run of this name below a parent run, in the order of logging.

    Raises:
        UnsupportedEnvironmentError: The database cannot be read.
    """
    with transaction(store.database) as connection:
        rows = connection.execute(
            "SELECT metrics.key, metrics.value FROM metrics"
            " JOIN runs ON runs.run_uuid = metrics.run_uuid"
            " JOIN tags ON tags.run_uuid = metrics.run_uuid"
            " WHERE tags.key = 'mlflow.parentRunId' AND tags.value = ? AND runs.name = ? AND NOT metrics.is_nan"
            " ORDER BY metrics.timestamp, metrics.step",
            (parent_run_id, name),
        ).fetchall()
    found: dict[str, list[float]] = {}
    for key, value in rows:
        if abs(value) < _LARGEST:  # MLflow writes infinity as the largest number
            found.setdefault(str(key), []).append(float(value))
    return found


_LARGEST = 1.7976931348623157e308


def keep_metrics(run_folder: Path, metrics: dict[str, list[float]]) -> None:
    """Write the metrics of a trial into its run folder.

    Raises:
        OSError: They cannot be written.
    """
    write_atomically(run_folder / _FILE, json.dumps(metrics).encode())


def kept_metrics(run_folder: Path) -> dict[str, list[float]]:
    """Metrics that `keep_metrics` has written; empty if there is nothing, or it is damaged."""
    with suppress(OSError, ValueError, TypeError, AttributeError, RecursionError):
        found = json.loads(read_regular(run_folder / _FILE))
        kept = {str(key): [float(value) for value in values] for key, values in found.items()}
        return {key: values for key, values in kept.items() if all(map(math.isfinite, values))}
    return {}
