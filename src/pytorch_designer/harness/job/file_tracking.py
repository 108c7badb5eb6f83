"""MLflow's file store of one job that may have another MLflow than the harness, and its import into the database.

A database fits one version of MLflow: a newer one changes its tables, which the harness and other jobs then cannot use,
and an older one refuses them. Files are the same for all versions, and need no SQLAlchemy, which mlflow-skinny lacks.

RUN/mlflow/EXPERIMENT/RUN_ID/meta.yaml, metrics/KEY, params/KEY, tags/KEY

Metrics of the job's run are imported each second while it runs, for sweeps and for whoever looks on. Parameters, tags
and further runs are imported at its end. Artifacts are where those of the database are.
"""

from __future__ import annotations

import json
import math
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import yaml

from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.harness.job.run_store import LoggedMetric, LoggedRun
from pytorch_designer.storage.output import writing_errors
from pytorch_designer.system.regular_files import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytorch_designer.harness.job.run_store import RunStore

_META = "meta.yaml"
_IMPORT_SECONDS = 1.0
_STATUS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_MAX_VALUE_BYTES = 1 << 16


class FileTracking:
    """File store of one run of `store`."""

    def __init__(self, store: RunStore, run_id: str, name: str, folder: Path) -> None:
        """Store that is not there yet.

        Args:
            store: The database that the run is in.
            run_id: The run.
            name: Its name.
            folder: Where the files go; a new folder.
        """
        self._store = store
        self._run_id = run_id
        self._name = name
        self._folder = folder
        self._run_folder = folder / str(store.experiment_id) / run_id
        self._offsets: dict[Path, int] = {}

    def variables(self) -> dict[str, str]:
        """The environment variables with which a process joins the run."""
        return {
            **self._store.variables(self._run_id),
            "MLFLOW_TRACKING_URI": self._folder.as_uri(),
            "MLFLOW_ALLOW_FILE_STORE": "true",
        }

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Make the files, and import what is logged while the context lasts and at its end.

        Raises:
            FailedToWriteOutputsError: The files cannot be written.
            UnsupportedEnvironmentError: The database cannot be written.
        """
        self._make()
        ended = threading.Event()
        follower = threading.Thread(target=self._follow, args=(ended,), name="mlflow-import", daemon=True)
        follower.start()
        try:
            yield
        finally:
            ended.set()
            follower.join()
            with suppress(FileNotFoundError):  # the job has removed its files
                self._import_all()

    def _make(self) -> None:
        location = self._store.artifact_location
        experiment = {
            "artifact_location": location,
            "experiment_id": str(self._store.experiment_id),
            "lifecycle_stage": "active",
            "name": self._store.experiment,
        }
        run: dict[str, Any] = {
            "artifact_uri": f"{location}/{self._run_id}/artifacts",
            "end_time": None,
            "entry_point_name": "",
            "experiment_id": str(self._store.experiment_id),
            "lifecycle_stage": "active",
            "run_id": self._run_id,
            "run_name": self._name,
            "run_uuid": self._run_id,
            "source_name": "",
            "source_type": 4,
            "source_version": "",
            "start_time": time.time_ns() // 1_000_000,
            "status": 1,
            "tags": [],
            "user_id": "",
        }
        with writing_errors(self._folder):
            for name in ("metrics", "params", "tags", "artifacts"):  # MLflow knows a run by them
                (self._run_folder / name).mkdir(parents=True)
            (self._folder / ".trash").mkdir()  # several processes of the job would make it at once
            (self._run_folder.parent / _META).write_text(json.dumps(experiment), encoding="utf-8")
            (self._run_folder / _META).write_text(json.dumps(run), encoding="utf-8")

    def _follow(self, ended: threading.Event) -> None:
        while not ended.wait(_IMPORT_SECONDS):
            with suppress(UnsupportedEnvironmentError, OSError):  # the import at the end says so
                metrics, offsets = self._new_metrics(self._run_folder)
                self._store.add_values(LoggedRun(self._run_id, metrics=metrics))
                self._offsets |= offsets  # what could not be stored is read again

    def _import_all(self) -> None:
        for experiment in _folders(self._folder):
            about = _read_meta(experiment)
            for folder in _folders(experiment):
                if folder == self._run_folder:
                    self._store.add_values(self._logged_run(folder))
                elif (run := _read_meta(folder)).get("run_id") == folder.name:
                    self._store.add_run(self._logged_run(folder, run), str(about.get("name", self._store.experiment)))

    def _logged_run(self, folder: Path, about: dict[str, Any] | None = None) -> LoggedRun:
        about = about or {}
        return LoggedRun(
            folder.name,
            metrics=self._new_metrics(folder)[0],
            parameters=_read_values(folder / "params"),
            tags=_read_values(folder / "tags"),
            name=str(about.get("run_name") or folder.name),
            status=_STATUS.get(about.get("status", 1), "RUNNING"),
            start_ms=_whole(about.get("start_time")),
            end_ms=_whole(about.get("end_time")),
            artifact_uri=str(about.get("artifact_uri", "")),
        )

    def _new_metrics(self, run_folder: Path) -> tuple[list[LoggedMetric], dict[Path, int]]:
        """Metrics of the whole lines that are not stored yet, and by file where the last one ends."""
        found: list[LoggedMetric] = []
        offsets: dict[Path, int] = {}
        for path in _files(run_folder / "metrics"):
            with path.open("rb") as stream:
                stream.seek(self._offsets.get(path, 0))
                data = stream.read()
            whole = data[: data.rfind(b"\n") + 1]
            offsets[path] = self._offsets.get(path, 0) + len(whole)
            key = path.relative_to(run_folder / "metrics").as_posix()
            found += [metric for line in whole.splitlines() if (metric := _metric(key, line)) is not None]
        return found, offsets


def _metric(key: str, line: bytes) -> LoggedMetric | None:
    """A line `time value step`; None for what is no such line."""
    words = line.split()
    try:
        return LoggedMetric(key, float(words[1]), int(words[0]), int(words[2]) if len(words) > 2 else 0)
    except (ValueError, IndexError):
        return None


def _read_values(folder: Path) -> dict[str, str]:
    values = {}
    for path in _files(folder):
        with path.open("rb") as stream:
            values[path.relative_to(folder).as_posix()] = stream.read(_MAX_VALUE_BYTES).decode("utf-8", "replace")
    return values


def _read_meta(folder: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(read_regular(folder / _META))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):  # no run, or not whole
        return {}
    return found if isinstance(found, dict) else {}


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and (path / _META).is_file())


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _whole(value: Any) -> int | None:
    return int(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
