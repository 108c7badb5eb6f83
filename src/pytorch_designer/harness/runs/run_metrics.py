"""Metrics and parameters of runs, read from the local MLflow database without importing MLflow, which takes seconds."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.errors import UnsupportedEnvironmentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_BUSY_SECONDS = 5.0
_METRICS = "SELECT key, step, value, is_nan, timestamp FROM metrics WHERE run_uuid = ? ORDER BY step, timestamp"
_PARAMETERS = "SELECT key, value FROM params WHERE run_uuid = ? ORDER BY key"
_LARGEST = 1.7e308  # MLflow keeps infinities as the largest numbers of sqlite


@dataclass(frozen=True)
class MetricPoint:
    """One value of a metric.

    Attributes:
        step: Its step, such as an epoch.
        value: May be NaN or infinite.
        time: Seconds since 1970.
    """

    step: int
    value: float
    time: float


@dataclass(frozen=True)
class RunValues:
    """Parameters and metrics of one MLflow run.

    Attributes:
        metrics: The points of each metric, by step.
        parameters: By name.
    """

    metrics: Mapping[str, tuple[MetricPoint, ...]]
    parameters: Mapping[str, str]

    def last(self) -> dict[str, float]:
        """The last value of each metric."""
        return {name: points[-1].value for name, points in self.metrics.items()}


def read_values(database: Path | None, run_ids: Iterable[str | None]) -> dict[str, RunValues]:
    """Metrics and parameters by run; a run of which nothing is known is absent.

    Args:
        database: The sqlite file; None, or one that is not there: nothing is known.
        run_ids: The runs; None is skipped.

    Raises:
        UnsupportedEnvironmentError: The database cannot be read.
    """
    import sqlite3

    wanted = sorted({run_id for run_id in run_ids if run_id is not None})
    if database is None or not database.is_file() or not wanted:
        return {}
    metrics: dict[str, dict[str, list[MetricPoint]]] = {}
    parameters: dict[str, dict[str, str]] = {}
    try:
        with closing(sqlite3.connect(database, timeout=_BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA query_only = 1")
            for run_id in wanted:
                rows = connection.execute(_METRICS, (run_id,))
                for key, step, value, is_nan, timestamp in rows:
                    point = MetricPoint(int(step), _value(value, bool(is_nan)), timestamp / 1000)
                    metrics.setdefault(run_id, {}).setdefault(key, []).append(point)
                found = dict(connection.execute(_PARAMETERS, (run_id,)))
                if found:
                    parameters[run_id] = found
    except sqlite3.Error as error:
        raise UnsupportedEnvironmentError(
            f"The MLflow database cannot be read: {error}.",
            where=database,
            advice="It is damaged, or of another program; components may have printed their metrics to the logs.",
        ) from error
    return {
        run_id: RunValues(
            {name: tuple(points) for name, points in sorted(metrics.get(run_id, {}).items())},
            parameters.get(run_id, {}),
        )
        for run_id in wanted
        if run_id in metrics or run_id in parameters
    }


def _value(stored: float, is_nan: bool) -> float:
    if is_nan:
        return math.nan
    return math.copysign(math.inf, stored) if abs(stored) > _LARGEST else float(stored)
