"""A local MLflow store in sqlite, in which every job is a run that exists before its process starts.

Importing MLflow takes seconds, which a job does not wait for. A new database is a copy of one that MLflow created
(`mlflow_database`). A run is one row in `runs` and a few rows in `tags`, as MLflow's own `create_run` writes them; a
test compares the two. Jobs join the run through the variables that Azure ML sets. Jobs with another MLflow log to files
(`file_tracking`), from which values come here.
"""

from __future__ import annotations

import getpass
import math
import time
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.mlflow_database import (
    ARTIFACTS,
    artifact_root,
    create_database,
    database_uri,
    is_of_installed_version,
    transaction,
)
from pytorch_designer.storage.output import writing_errors
from pytorch_designer.system.special_files import special_kind

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from pathlib import Path

DEFAULT_EXPERIMENT = "local"
_LARGEST = 1.7976931348623157e308  # MLflow keeps infinities as the largest numbers of sqlite


@dataclass(frozen=True)
class LoggedMetric:
    """Logged value of a metric; `time_ms` is in milliseconds since 1970."""

    key: str
    value: float
    time_ms: int
    step: int


@dataclass(frozen=True)
class LoggedRun:
    """What a run has logged elsewhere.

    Attributes:
        run_id: The run.
        metrics: Values that the database does not have yet.
        parameters: By name.
        tags: By name.
        name: Name of a run that the database may not have yet; and so on.
        status: RUNNING, FINISHED, ...
        start_ms: Its start, in milliseconds since 1970.
        end_ms: Its end, or None.
        artifact_uri: The folder of its artifacts.
    """

    run_id: str
    metrics: Sequence[LoggedMetric] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    status: str = "RUNNING"
    start_ms: int | None = None
    end_ms: int | None = None
    artifact_uri: str = ""


@dataclass(frozen=True)
class RunStore:
    """One experiment in a local MLflow database; `open_run_store` makes it. Safe to use from several threads.

    Attributes:
        database: The sqlite file, absolute. Artifacts go to `mlruns` beside it.
        experiment: The experiment's name.
        experiment_id: Its id in the database.
        artifact_location: URI of the folder that holds a folder of artifacts for each run.
    """

    database: Path
    experiment: str
    experiment_id: int
    artifact_location: str

    @property
    def tracking_uri(self) -> str:
        """Tracking URI, for instance for `mlflow ui --backend-store-uri`."""
        return database_uri(self.database)

    @property
    def own_paths(self) -> tuple[Path, ...]:
        """The files and folders that the store consists of."""
        return (
            self.database,
            self.database.with_name(f"{self.database.name}-journal"),
            self.database.parent / ARTIFACTS,
        )

    def made_artifact_folder(self) -> Path:
        """The folder that holds the artifacts of all runs, which is made where there is none.

        Raises:
            FailedToWriteOutputsError: It cannot be made.
        """
        folder = self.database.parent / ARTIFACTS
        with writing_errors(folder):
            folder.mkdir(exist_ok=True)
        return folder

    def variables(self, run_id: str) -> dict[str, str]:
        """The environment variables with which a process joins the run."""
        return {
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "MLFLOW_RUN_ID": run_id,
            "MLFLOW_EXPERIMENT_NAME": self.experiment,
        }

    def start_run(self, name: str, *, parent_run_id: str | None = None, tags: Mapping[str, str] | None = None) -> str:
        """Create a run that is RUNNING, and return its id.

        Args:
            name: What `mlflow ui` calls it.
            parent_run_id: The run that it is shown below.
            tags: More tags.

        Raises:
            UnsupportedEnvironmentError: The database cannot be written.
        """
        run = self._new_run(name, parent_run_id, tags or {})
        with transaction(self.database) as connection:
            _insert_run(connection, run, self.experiment_id)
            _insert_values(connection, run)
        return run.run_id

    def copy_run(self, source_run_id: str, name: str, *, parent_run_id: str, tags: Mapping[str, str]) -> str:
        """Create a run that is FINISHED and has the values of another, and return its id.

        Args:
            source_run_id: The other; it may be in another database, and then gives no values.
            name: As for `start_run`.
            parent_run_id: As for `start_run`.
            tags: As for `start_run`.

        Raises:
            UnsupportedEnvironmentError: The database cannot be written.
        """
        run = replace(self._new_run(name, parent_run_id, tags), status="FINISHED", end_ms=_now_ms())
        with transaction(self.database) as connection:
            _insert_run(connection, run, self.experiment_id)
            _insert_values(connection, run)
            _copy_values(connection, source_run_id, run.run_id)
        return run.run_id

    def _new_run(self, name: str, parent_run_id: str | None, tags: Mapping[str, str]) -> LoggedRun:
        run_id = uuid.uuid4().hex
        all_tags = {"mlflow.runName": name, "mlflow.user": _user(), "mlflow.source.type": "JOB", **tags}
        if parent_run_id is not None:
            all_tags["mlflow.parentRunId"] = parent_run_id
        artifacts = f"{self.artifact_location}/{run_id}/artifacts"
        return LoggedRun(run_id, tags=all_tags, name=name, start_ms=_now_ms(), artifact_uri=artifacts)

    def add_values(self, run: LoggedRun) -> None:
        """Add metrics, parameters and tags to a run of this database.

        Raises:
            UnsupportedEnvironmentError: The database cannot be written.
        """
        if run.metrics or run.parameters or run.tags:
            with transaction(self.database) as connection:
                _insert_values(connection, run)

    def add_run(self, run: LoggedRun, experiment: str) -> None:
        """Add a run with all that it has logged to the experiment of this name.

        Raises:
            UnsupportedEnvironmentError: The database cannot be written.
        """
        experiment_id, _, _ = _find_or_create_experiment(self.database, experiment)
        with transaction(self.database) as connection:
            _insert_run(connection, run, experiment_id)
            _insert_values(connection, run)

    def copy_values(self, source_run_id: str, run_id: str) -> None:
        """Copy the metrics and parameters of a run to another, where this database has them.

        Raises:
            UnsupportedEnvironmentError: The database cannot be written.
        """
        with transaction(self.database) as connection:
            _copy_values(connection, source_run_id, run_id)

    def end_run(self, run_id: str, status: str) -> None:
        """Set the end of a run; `status` is FINISHED, FAILED or KILLED.

        Raises:
            UnsupportedEnvironmentError: The database cannot be written.
        """
        with transaction(self.database) as connection:
            connection.execute(
                "UPDATE runs SET status = ?, end_time = ? WHERE run_uuid = ?", (status, _now_ms(), run_id)
            )


def open_run_store(database: Path, experiment: str = DEFAULT_EXPERIMENT) -> RunStore:
    """Open the MLflow database at `database`, which is created where there is none, and the experiment in it.

    Raises:
        UnsupportedEnvironmentError: The database is not a file, is of another version of MLflow, or cannot be written;
            or the experiment in it was deleted.
    """
    database = database.absolute()
    special = special_kind(database)
    if special is not None:
        raise UnsupportedEnvironmentError(
            f"The MLflow database is {special}, not a file.", where=database, advice="Remove it, or use another folder."
        )
    if not database.exists():
        create_database(database)
    elif not is_of_installed_version(database):
        raise UnsupportedEnvironmentError(
            "The MLflow database was written by another version of MLflow.",
            where=database,
            advice=f"Run `mlflow db upgrade {database_uri(database)}` if it is of an older one, or use another folder.",
        )
    experiment_id, location, stage = _find_or_create_experiment(database, experiment)
    if stage != "active":
        raise UnsupportedEnvironmentError(
            f"The experiment {experiment!r} was deleted from the MLflow database.",
            where=database,
            advice="Restore it with `mlflow experiments restore`, or name another experiment.",
        )
    return RunStore(database, experiment, experiment_id, location)


def _insert_run(connection: sqlite3.Connection, run: LoggedRun, experiment_id: int) -> None:
    connection.execute(
        "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status,"
        " start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id)"
        " VALUES (?, ?, 'UNKNOWN', '', '', ?, ?, ?, ?, '', 'active', ?, ?)",
        (run.run_id, run.name, _user(), run.status, run.start_ms, run.end_ms, run.artifact_uri, experiment_id),
    )


def _insert_values(connection: sqlite3.Connection, run: LoggedRun) -> None:
    for table, values in (("params", run.parameters), ("tags", run.tags)):
        connection.executemany(
            f"INSERT OR REPLACE INTO {table} (key, value, run_uuid) VALUES (?, ?, ?)",  # noqa: S608 (names of tables)
            [(key, value, run.run_id) for key, value in values.items()],
        )
    if not run.metrics:
        return
    columns = "key, value, is_nan, timestamp, step, run_uuid"
    connection.executemany(
        f"INSERT OR IGNORE INTO metrics ({columns}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 (names of columns)
        [(metric.key, *_stored(metric.value), metric.time_ms, metric.step, run.run_id) for metric in run.metrics],
    )
    connection.execute(
        f"INSERT OR REPLACE INTO latest_metrics ({columns}) SELECT {columns} FROM (SELECT {columns}, ROW_NUMBER() OVER"  # noqa: S608 (names of columns)
        " (PARTITION BY key ORDER BY step DESC, timestamp DESC, value DESC) AS place FROM metrics WHERE run_uuid = ?)"
        " WHERE place = 1",
        (run.run_id,),
    )


def _copy_values(connection: sqlite3.Connection, source_run_id: str, run_id: str) -> None:
    for table in ("metrics", "latest_metrics", "params"):
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        chosen = ["?" if name == "run_uuid" else f'"{name}"' for name in columns]
        connection.execute(
            f"INSERT INTO {table} SELECT {', '.join(chosen)} FROM {table} WHERE run_uuid = ?",  # noqa: S608 (names of tables and columns)
            (run_id, source_run_id),
        )


def _stored(value: float) -> tuple[float, bool]:
    """A value as MLflow keeps it: NaN is 0 with a mark."""
    is_nan = math.isnan(value)
    return 0.0 if is_nan else max(min(value, _LARGEST), -_LARGEST), is_nan


def _find_or_create_experiment(database: Path, name: str) -> tuple[int, str, str]:
    select = "SELECT experiment_id, artifact_location, lifecycle_stage FROM experiments WHERE name = ?"
    with transaction(database) as connection:
        connection.execute("BEGIN IMMEDIATE")  # two jobs that start together must not both find none
        found = connection.execute(select, (name,)).fetchone()
        if found is None:
            cursor = connection.execute(
                "INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time)"
                " VALUES (?, '', 'active', ?, ?)",
                (name, _now_ms(), _now_ms()),
            )
            connection.execute(
                "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?",
                (f"{artifact_root(database)}/{cursor.lastrowid}", cursor.lastrowid),
            )
            found = connection.execute(select, (name,)).fetchone()
    return int(found[0]), str(found[1]), str(found[2])


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, ImportError, OSError):  # a container's user without an entry
        return "unknown"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
