"""A local MLflow store in sqlite, in which every job is a run that exists before its process starts.

Importing MLflow takes seconds, creating its tables seconds more; a job must not wait for that. So an empty database is
made once for each version of MLflow, by MLflow itself in a process of its own (`empty_run_store`), kept in the user's
cache folder, and copied. A run is then one row in `runs` and a few in `tags`, which is all that MLflow's own
`create_run` writes; a test compares the two. Jobs join the run through the variables that Azure ML sets.
"""

from __future__ import annotations

import getpass
import importlib.metadata
import logging
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import uuid
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

from pytorch_designer.directories.locking import held_lock
from pytorch_designer.errors import UnsupportedEnvironmentError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_logger = logging.getLogger(__name__)

DATABASE_FILE = "mlflow.db"
DEFAULT_EXPERIMENT = "local"
_ARTIFACTS = "mlruns"
PROGRAM = "pytorch-designer"
_BUSY_SECONDS = 30.0


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
        """What MLflow is given, for instance as `mlflow ui --backend-store-uri`."""
        return f"sqlite:///{self.database.as_posix()}"

    @property
    def own_paths(self) -> tuple[Path, ...]:
        """The files and folders that the store consists of."""
        return (
            self.database,
            self.database.with_name(f"{self.database.name}-journal"),
            self.database.parent / _ARTIFACTS,
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
        with _connection(self.database) as connection:
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
        with _connection(self.database) as connection:
            for table in ("metrics", "latest_metrics", "params"):
                columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
                chosen = ["?" if name == "run_uuid" else f'"{name}"' for name in columns]
                connection.execute(
                    f"INSERT INTO {table} SELECT {', '.join(chosen)} FROM {table} WHERE run_uuid = ?",  # noqa: S608
                    (run_id, source_run_id),
                )

    def end_run(self, run_id: str, status: str) -> None:
        """Set the end of a run; `status` is FINISHED, FAILED or KILLED.

        Raises:
            UnsupportedEnvironmentError: The database cannot be written.
        """
        with _connection(self.database) as connection:
            connection.execute(
                "UPDATE runs SET status = ?, end_time = ? WHERE run_uuid = ?", (status, _now_ms(), run_id)
            )


def open_run_store(database: Path, experiment: str = DEFAULT_EXPERIMENT) -> RunStore:
    """Open the MLflow database at `database`, which is created where there is none, and the experiment in it.

    Raises:
        UnsupportedEnvironmentError: The database is of another version of MLflow, cannot be written, or the experiment
            in it was deleted.
    """
    database = database.absolute()
    template = _template()
    if not database.exists():
        _copy_template(template, database)
    elif _schema_version(database) != _schema_version(template):
        raise UnsupportedEnvironmentError(
            "The MLflow database was written by another version of MLflow.",
            where=database,
            advice=f"Run `mlflow db upgrade sqlite:///{database.as_posix()}`, or name another folder.",
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
    with _connection(database) as connection:
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
                (f"{_artifact_root(database)}/{cursor.lastrowid}", cursor.lastrowid),
            )
            found = connection.execute(select, (name,)).fetchone()
    return int(found[0]), str(found[1]), str(found[2])


def _template() -> Path:
    """An empty database of the installed MLflow, made on first use."""
    template = user_cache_path(PROGRAM, appauthor=False) / f"mlflow-{importlib.metadata.version('mlflow')}.db"
    if template.exists():
        return template
    try:
        template.parent.mkdir(parents=True, exist_ok=True)
        with held_lock(template.with_suffix(".lock")):
            if not template.exists():
                _make_template(template)
    except OSError as error:
        raise UnsupportedEnvironmentError(
            f"The cache folder cannot be written: {error.strerror or error}.",
            where=template.parent,
            advice="Set XDG_CACHE_HOME to a folder that can be written, or run without MLflow.",
        ) from error
    return template


def _make_template(template: Path) -> None:
    _logger.info("MLflow prepares an empty database, once for this version; this takes seconds.")
    partial = template.with_name(f".{template.name}.{uuid.uuid4().hex}")  # where there are no locks, several make one
    command = [sys.executable, "-m", "pytorch_designer.harness.empty_run_store", str(partial)]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if made.returncode != 0:
            raise UnsupportedEnvironmentError(
                "MLflow could not create a database.", where=partial, examples=made.stderr.splitlines()[-3:]
            )
        partial.replace(template)
    finally:
        partial.unlink(missing_ok=True)


def _copy_template(template: Path, database: Path) -> None:
    partial = database.with_name(f".{database.name}.{uuid.uuid4().hex}")
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(template, partial)
        with _connection(partial) as connection:
            connection.execute("UPDATE experiments SET artifact_location = ?", (f"{_artifact_root(database)}/0",))
        try:
            # Unlike a rename, a link never replaces what another job has created in this moment.
            os.link(partial, database)
        except FileExistsError:
            partial.unlink()
        except OSError:  # a file system without links
            partial.replace(database)
        else:
            partial.unlink()
    except OSError as error:
        raise UnsupportedEnvironmentError(
            f"The MLflow database cannot be created: {error.strerror or error}.", where=database
        ) from error


def _schema_version(database: Path) -> str | None:
    try:
        with closing(sqlite3.connect(database, timeout=_BUSY_SECONDS)) as connection:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:  # no database, or not MLflow's
        return None
    return None if found is None else str(found[0])


@contextmanager
def _connection(database: Path) -> Iterator[sqlite3.Connection]:
    """A transaction that is committed at the end."""
    try:
        with closing(sqlite3.connect(database, timeout=_BUSY_SECONDS)) as connection, connection:
            yield connection
    except sqlite3.Error as error:
        raise UnsupportedEnvironmentError(
            f"The MLflow database cannot be used: {error}.", where=database, advice="Name another folder for it."
        ) from error


def _artifact_root(database: Path) -> str:
    return (database.parent / _ARTIFACTS).as_uri()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, ImportError, OSError):  # a container's user without an entry
        return "unknown"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
