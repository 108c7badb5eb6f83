"""A local MLflow store in sqlite, in which every job is a run that exists before its process starts.

Importing MLflow takes seconds, which a job does not wait for. A new database is a copy of one that MLflow created
(`mlflow_database`). A run is one row in `runs` and a few rows in `tags`, as MLflow's own `create_run` writes them; a
test compares the two. Jobs join the run through the variables that Azure ML sets.
"""

from __future__ import annotations

import getpass
import time
import uuid
from dataclasses import dataclass
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
from pytorch_designer.system.special_files import special_kind

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DEFAULT_EXPERIMENT = "local"


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
        run_id = uuid.uuid4().hex
        artifacts = f"{self.artifact_location}/{run_id}/artifacts"
        all_tags = {"mlflow.runName": name, "mlflow.user": _user(), "mlflow.source.type": "JOB", **(tags or {})}
        if parent_run_id is not None:
            all_tags["mlflow.parentRunId"] = parent_run_id
        with transaction(self.database) as connection:
            connection.execute(
                "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status,"
                " start_time, source_version, lifecycle_stage, artifact_uri, experiment_id)"
                " VALUES (?, ?, 'UNKNOWN', '', '', ?, 'RUNNING', ?, '', 'active', ?, ?)",
                (run_id, name, _user(), _now_ms(), artifacts, self.experiment_id),
            )
            connection.executemany(
                "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
                [(key, value, run_id) for key, value in all_tags.items()],
            )
        return run_id

    def copy_values(self, source_run_id: str, run_id: str) -> None:
        """Copy the metrics and parameters of a run to another, where this database has them.

        Raises:
            UnsupportedEnvironmentError: The database cannot be written.
        """
        with transaction(self.database) as connection:
            for table in ("metrics", "latest_metrics", "params"):
                columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
                chosen = ["?" if name == "run_uuid" else f'"{name}"' for name in columns]
                connection.execute(
                    f"INSERT INTO {table} SELECT {', '.join(chosen)} FROM {table} WHERE run_uuid = ?",  # noqa: S608 (names of tables and columns)
                    (run_id, source_run_id),
                )

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
            advice=f"Run `mlflow db upgrade {database_uri(database)}`, or name another folder.",
        )
    experiment_id, location, stage = _find_or_create_experiment(database, experiment)
    if stage != "active":
        raise UnsupportedEnvironmentError(
            f"The experiment {experiment!r} was deleted from the MLflow database.",
            where=database,
            advice="Restore it with `mlflow experiments restore`, or name another experiment.",
        )
    return RunStore(database, experiment, experiment_id, location)


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
