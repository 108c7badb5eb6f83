"""Recorder: what a training reports, written to one MLflow run.

Which run that is:

    MLFLOW_RUN_ID                 is joined, and left as it is at the end: whoever created it ends it
    else that of the first start  where the training continues; it is RUNNING again
    else a new one                also where one of these two is gone, which is said

Where an earlier process has recorded to the same run, what is there is not recorded again, so that each curve has each
epoch once. Azure ML is asked for nothing but to take metrics, parameters and tags.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.mlflow_database import create_database, make_tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow import MlflowClient
    from mlflow.entities import Run

    from pytorch_designer.tracking.destination import Destination

    Reply = Callable[[dict[str, Any]], None]

KEY_TAG = "pytorch_designer.run"
MODEL_TAG = "pytorch_designer.model"
REPORT = "report"
_MAX_ENTRIES = 100  # in one request: the least that any of MLflow's stores takes
_TAGS = {"mlflow.source.name": "pytorch-designer", "mlflow.source.type": "JOB"}
_UNKNOWN_RUN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


class Recorder:
    """One MLflow run, written to. What MLflow refuses is reported and left out; the rest goes on.

    Args:
        destination: The run.
        reply: Takes `{"progress": true}` after each step forward, `{"problem": text}`, `{"note": text}` and
            `{"run_id": text}`.
        before_opening: Called in the moment before a run is created, or continued that an earlier process has begun.
    """

    def __init__(
        self, destination: Destination, reply: Reply, before_opening: Callable[[], object] = lambda: None
    ) -> None:
        from mlflow import MlflowClient

        self._destination = destination
        self._reply = reply
        self._before_opening = before_opening
        if destination.database is not None and not destination.database.exists():
            create_database(destination.database, make_tables)
            reply({"progress": True})
        self._client: MlflowClient = MlflowClient(tracking_uri=destination.tracking_uri)
        reply({"progress": True})
        self._known_steps: set[tuple[str, int]] = set()
        self._known_parameters: set[str] = set()
        self._is_own = False
        self._has_past = False
        self._run_id = self._open_run()
        reply({"run_id": self._run_id})

    def record(self, entries: list[dict[str, Any]]) -> bool:
        """Write `entries`; whether more may follow."""
        self._log_metrics([entry for entry in entries if "metrics" in entry])
        for entry in entries:
            if "parameters" in entry:
                self._log_parameters(entry["parameters"])
            elif "tag" in entry:
                self._set_tag(entry["tag"], entry["value"])
            elif "dataset" in entry:
                self._log_dataset(entry)
            elif "model" in entry:
                self._log_result(entry["model"], Path(entry["report"]))
            elif "close" in entry:
                if self._is_own:
                    self._attempt("the end of the run", self._end_run, entry["close"], entry.get("timestamp"))
                return False
        return True

    def _end_run(self, status: str, timestamp: int | None) -> None:
        """Write the run's end; that of a killed training only if no later one has continued the run and ended it."""
        if status == "KILLED" and self._client.get_run(self._run_id).info.status != "RUNNING":
            return
        self._client.set_terminated(self._run_id, status, timestamp)

    def _open_run(self) -> str:
        """The id of the run to record to."""
        destination = self._destination
        if destination.run_id is not None:
            is_same = destination.run_id == destination.earlier_run_id
            if destination.is_azure:
                self._has_past = is_same
                return destination.run_id
            joined = self._find(destination.run_id)
            if joined is not None:
                self._join(joined, is_same=is_same)
                return destination.run_id
            self._reply({"note": f"the run {destination.run_id} (MLFLOW_RUN_ID) is not there; a new run is recorded"})
        elif destination.is_continued:
            earlier = self._find_earlier()
            if earlier is not None:
                self._continue(earlier)
                return str(earlier.info.run_id)
            if destination.earlier_run_id is not None:
                gone = f"the run of the first start, {destination.earlier_run_id}, is gone"
                self._reply({"note": f"{gone}; a new run is recorded"})
        return self._create()

    def _join(self, run: Run, *, is_same: bool) -> None:
        if is_same:
            self._learn_past(run)
        elif run.info.end_time is not None:
            self._reply(
                {"note": f"the run {run.info.run_id} (MLFLOW_RUN_ID) has ended ({run.info.status}); it is added to"}
            )

    def _continue(self, run: Run) -> None:
        self._is_own = True
        if self._destination.is_azure:
            self._has_past = True
        else:
            self._learn_past(run)
        self._before_opening()
        self._client.update_run(run.info.run_id, status="RUNNING")

    def _learn_past(self, run: Run) -> None:
        """Find out what an earlier process has recorded."""
        self._known_parameters = set(run.data.params)
        for name in run.data.metrics:
            history = self._client.get_metric_history(run.info.run_id, name)
            self._known_steps |= {(name, metric.step) for metric in history}
            self._reply({"progress": True})

    def _find(self, run_id: str) -> Run | None:
        """The run, if there is one that is not deleted."""
        from mlflow.exceptions import MlflowException

        try:
            run = self._client.get_run(run_id)
        except MlflowException as error:
            if error.error_code not in _UNKNOWN_RUN:
                raise
            return None
        return run if run.info.lifecycle_stage == "active" else None

    def _find_earlier(self) -> Run | None:
        """The run of the first start: by its id, or by its key where the first process ended before it knew the id."""
        if self._destination.earlier_run_id is not None:
            return self._find(self._destination.earlier_run_id)
        experiment = self._client.get_experiment_by_name(self._destination.experiment)
        if experiment is None or not self._destination.key:
            return None
        runs = self._client.search_runs(
            [experiment.experiment_id], f"tags.`{KEY_TAG}` = '{self._destination.key}'", max_results=1
        )
        return runs[0] if runs else None

    def _create(self) -> str:
        destination = self._destination
        self._is_own = True
        tags = _TAGS | ({KEY_TAG: destination.key} if destination.key else {})
        experiment_id = self._experiment_id()
        self._before_opening()
        run = self._client.create_run(
            experiment_id, start_time=destination.start_ms, tags=tags, run_name=destination.run_name
        )
        return str(run.info.run_id)

    def _experiment_id(self) -> str:
        from mlflow.exceptions import MlflowException

        name = self._destination.experiment
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            try:
                return str(self._client.create_experiment(name, self._destination.artifact_location))
            except MlflowException:  # another run may have created it in this moment
                experiment = self._client.get_experiment_by_name(name)
                if experiment is None:
                    raise
        return str(experiment.experiment_id)

    def _log_metrics(self, entries: list[dict[str, Any]]) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, entry["timestamp"], entry["step"])
            for entry in entries
            if not (self._has_past and entry.get("is_past"))
            for name, value in entry["metrics"].items()
            if (name, entry["step"]) not in self._known_steps
        ]
        for start in range(0, len(metrics), _MAX_ENTRIES):
            chunk = metrics[start : start + _MAX_ENTRIES]
            self._attempt(f"{len(chunk)} metrics", self._client.log_batch, self._run_id, metrics=chunk)

    def _log_parameters(self, parameters: dict[str, str]) -> None:
        from mlflow.entities import Param

        # One at a time: a joined run may have another value already, which MLflow refuses for the whole batch.
        for name, value in parameters.items():
            if name not in self._known_parameters:
                batch = [Param(name, value)]
                self._attempt(f"the parameter {name}", self._client.log_batch, self._run_id, params=batch)

    def _set_tag(self, name: str, value: str) -> None:
        self._attempt(f"the tag {name}", self._client.set_tag, self._run_id, name, value)

    def _log_dataset(self, entry: dict[str, Any]) -> None:
        """Record a dataset as an input of the run. Azure ML does not take that: there it is in the tags alone."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        if self._destination.is_azure:
            return
        dataset = Dataset(
            name=entry["dataset"],
            digest=entry["digest"],
            source_type="local",
            source=json.dumps({"uri": entry["source"]}),
            profile=json.dumps(entry["profile"]),
        )
        inputs = [DatasetInput(dataset, [InputTag("mlflow.data.context", entry["context"])])]
        self._attempt(f"the {entry['context']} images", self._client.log_inputs, self._run_id, inputs)

    def _log_result(self, model: str, report: Path) -> None:
        """In a database on this machine: where the model is, and a copy of its report. Elsewhere paths mean nothing."""
        if self._destination.database is None:
            return
        self._set_tag(MODEL_TAG, model)
        location = str(self._client.get_run(self._run_id).info.artifact_uri)
        if report.is_dir() and location.startswith("file:"):
            self._attempt("the report", self._client.log_artifacts, self._run_id, str(report), REPORT)

    def _attempt(self, what: str, call: Any, *arguments: Any, **keywords: Any) -> None:
        from mlflow.exceptions import MlflowException

        try:
            call(*arguments, **keywords)
        except (MlflowException, OSError) as error:
            self._reply({"problem": f"{what} could not be recorded: {describe_error(error)}"})
        else:
            self._reply({"progress": True})


def describe_error(error: BaseException) -> str:
    """The error's class and the first line of its message."""
    first_line = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first_line}"
