"""Recorder of runs, with a real MLflow database in this process."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.mlflow_database import artifact_root, database_uri
from pytorch_designer.tracking.destination import Destination
from pytorch_designer.tracking.recorder import MODEL_TAG, Recorder
from pytorch_designer.tracking.worker_process import close_pipes, start_worker

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # MLflow's import takes seconds, and warns

KEY = "0" * 31 + "a"


@pytest.fixture
def fresh(tmp_path: Path) -> Destination:
    """A run to be created in a database that is not there yet."""
    database = tmp_path / "mlflow.db"
    return Destination(database_uri(database), None, "flowers", "pets", artifact_root(database), key=KEY, start_ms=1000)


def record(destination: Destination, *entries: dict[str, Any]) -> list[dict[str, Any]]:
    """Record the entries and close; returns what was replied, without signs of progress."""
    replies: list[dict[str, Any]] = []
    recorder = Recorder(destination, replies.append)
    assert not recorder.record([*entries, {"close": "FINISHED", "timestamp": 41_000}])
    return [reply for reply in replies if reply != {"progress": True}]


def epoch(step: int, loss: float, *, is_past: bool = False) -> dict[str, Any]:
    return {"metrics": {"loss": loss, "speed": 7.0}, "step": step, "timestamp": step, "is_past": is_past}


def client(destination: Destination) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=destination.tracking_uri)


def runs(destination: Destination) -> list[Any]:
    experiments = [experiment.experiment_id for experiment in client(destination).search_experiments()]
    return list(client(destination).search_runs(experiments))


def losses(destination: Destination, run_id: str) -> Counter[tuple[int, float]]:
    return Counter((metric.step, metric.value) for metric in client(destination).get_metric_history(run_id, "loss"))


def test_a_run_lasts_from_its_start_to_its_end(fresh: Destination) -> None:
    record(fresh)
    (run,) = runs(fresh)
    assert (run.info.start_time, run.info.end_time, run.info.status) == (1000, 41_000, "FINISHED")


@pytest.mark.parametrize("is_id_known", [True, False])
def test_a_training_that_continues_adds_what_is_missing(fresh: Destination, is_id_known: bool) -> None:
    (reply,) = record(fresh, {"parameters": {"device": "cuda:0"}}, epoch(1, 0.9), epoch(2, 0.8))
    run_id = reply["run_id"]
    again = replace(fresh, is_continued=True, earlier_run_id=run_id if is_id_known else None, start_ms=50_000)
    replies = record(
        again,
        {"parameters": {"device": "cuda:1", "added": "1"}},
        *(epoch(1, 0.9, is_past=True), epoch(3, 0.7, is_past=True)),  # the third was lost when the first was killed
        *(epoch(2, 0.8), epoch(4, 0.6)),  # the second was recorded, and not in the checkpoint
    )
    assert replies == [{"run_id": run_id}]
    (run,) = runs(fresh)
    assert losses(fresh, run_id) == Counter([(1, 0.9), (2, 0.8), (3, 0.7), (4, 0.6)])
    assert run.data.params == {"device": "cuda:0", "added": "1"}
    assert (run.info.start_time, run.info.status) == (1000, "FINISHED")


def test_while_a_training_continues_its_run_is_running(fresh: Destination) -> None:
    (reply,) = record(fresh)
    Recorder(replace(fresh, is_continued=True, earlier_run_id=reply["run_id"]), lambda reply: None)
    assert [run.info.status for run in runs(fresh)] == ["RUNNING"]


def test_a_killed_training_ends_its_run_unless_a_later_one_has(fresh: Destination) -> None:
    replies: list[dict[str, Any]] = []
    killed = Recorder(fresh, replies.append)
    assert not killed.record([{"close": "KILLED"}])
    assert [run.info.status for run in runs(fresh)] == ["KILLED"]

    run_id = next(reply["run_id"] for reply in replies if "run_id" in reply)
    record(replace(fresh, is_continued=True, earlier_run_id=run_id))
    assert not killed.record([{"close": "KILLED"}])  # its process was slow to see that its parent was killed
    (run,) = runs(fresh)
    assert (run.info.end_time, run.info.status) == (41_000, "FINISHED")


def _delete(destination: Destination, run_id: str) -> str:
    client(destination).delete_run(run_id)
    return run_id


GONE = {
    "deleted": _delete,
    "of another store": lambda destination, run_id: "f" * 32,
    "no run id at all": lambda destination, run_id: "../../x",
}


@pytest.mark.parametrize("gone", GONE.values(), ids=GONE)
def test_where_the_run_of_the_first_start_is_gone_a_new_one_has_all_epochs(fresh: Destination, gone: Any) -> None:
    (reply,) = record(fresh, epoch(1, 0.9))
    again = replace(fresh, is_continued=True, earlier_run_id=gone(fresh, reply["run_id"]))
    note, created = record(again, epoch(1, 0.9, is_past=True), epoch(2, 0.8))
    assert "is gone; a new run is recorded" in note["note"]
    assert created["run_id"] != reply["run_id"]
    assert losses(fresh, created["run_id"]) == Counter([(1, 0.9), (2, 0.8)])


@pytest.mark.parametrize("gone", GONE.values(), ids=GONE)
def test_where_a_run_to_join_is_not_there_a_new_one_is_recorded(fresh: Destination, gone: Any) -> None:
    (reply,) = record(fresh)
    note, created = record(replace(fresh, run_id=gone(fresh, reply["run_id"])), epoch(1, 0.9))
    assert "(MLFLOW_RUN_ID) is not there; a new run is recorded" in note["note"]
    assert losses(fresh, created["run_id"]) == Counter([(1, 0.9)])


def test_a_run_to_join_that_has_ended_is_added_to_and_that_is_said(fresh: Destination) -> None:
    (reply,) = record(fresh, epoch(1, 0.9))
    note, joined = record(replace(fresh, run_id=reply["run_id"]), epoch(1, 0.5))
    assert note["note"].endswith("(MLFLOW_RUN_ID) has ended (FINISHED); it is added to")
    assert joined == reply
    assert losses(fresh, reply["run_id"]) == Counter([(1, 0.9), (1, 0.5)])  # of another training, whose epoch it is


def test_a_training_that_continues_in_the_same_joined_run_adds_what_is_missing(fresh: Destination) -> None:
    (reply,) = record(fresh, epoch(1, 0.9))
    again = replace(fresh, run_id=reply["run_id"], is_continued=True, earlier_run_id=reply["run_id"])
    assert record(again, epoch(1, 0.9, is_past=True), epoch(2, 0.8)) == [reply]
    assert losses(fresh, reply["run_id"]) == Counter([(1, 0.9), (2, 0.8)])


def test_a_training_that_continues_in_another_joined_run_gives_it_all_epochs(fresh: Destination) -> None:
    (first,) = record(fresh, epoch(1, 0.9))
    (second,) = record(replace(fresh, key=""))
    again = replace(fresh, run_id=second["run_id"], is_continued=True, earlier_run_id=first["run_id"])
    record(again, epoch(1, 0.9, is_past=True), epoch(2, 0.8))
    assert losses(fresh, second["run_id"]) == Counter([(1, 0.9), (2, 0.8)])


def test_images_report_and_model_are_recorded(fresh: Destination, tmp_path: Path) -> None:
    report = tmp_path / "trained" / "report"
    report.mkdir(parents=True)
    (report / "loss.svg").write_text("<svg/>", encoding="utf-8")
    images = {"dataset": "digits", "context": "training", "source": "/d", "digest": "abc", "profile": {"num_rows": 9}}
    record(fresh, images, {"model": str(tmp_path / "trained"), "report": str(report)})
    (run,) = runs(fresh)
    assert run.data.tags[MODEL_TAG] == str(tmp_path / "trained")
    assert [file.path for file in client(fresh).list_artifacts(run.info.run_id, "report")] == ["report/loss.svg"]
    ((dataset, tags),) = [(recorded.dataset, recorded.tags) for recorded in run.inputs.dataset_inputs]
    assert (dataset.name, dataset.digest, tags[0].value) == ("digits", "abc", "training")


class AzureMl:
    """A client of Azure ML: all calls but the safe ones fail."""

    def __init__(self, tracking_uri: str) -> None:
        self.calls: list[tuple[str, str]] = []

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
        self.calls += [(run_id, f"{value.key} {getattr(value, 'step', '')}".strip()) for value in (*metrics, *params)]

    def set_tag(self, run_id: str, name: str, value: str) -> None:
        self.calls.append((run_id, name))


@pytest.mark.parametrize("is_same", [True, False])
def test_azure_ml_is_asked_for_nothing_but_to_take_values(
    is_same: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("mlflow.MlflowClient", AzureMl)
    earlier = "job" if is_same else "job-before"
    destination = Destination(
        "azureml://w", "job", "trained", "pets", None, key=KEY, is_continued=True, earlier_run_id=earlier
    )
    replies: list[dict[str, Any]] = []
    recorder = Recorder(destination, replies.append)
    images = {"dataset": "d", "context": "training", "source": "/d", "digest": "abc", "profile": {}}
    entries: list[dict[str, Any]] = [{"parameters": {"epochs": "2"}}, {"tag": "compute", "value": "cpu"}, images]
    entries += [epoch(1, 0.9, is_past=True), epoch(2, 0.8)]
    recorder.record([*entries, {"model": str(tmp_path), "report": str(tmp_path)}, {"close": "FINISHED"}])
    past = [] if is_same else ["loss 1", "speed 1"]
    expected = [*past, "loss 2", "speed 2", "epochs", "compute"]
    assert recorder._client.calls == [("job", call) for call in expected]
    assert [reply for reply in replies if reply != {"progress": True}] == [{"run_id": "job"}]


def test_a_worker_whose_parent_was_killed_creates_no_run_any_more(fresh: Destination) -> None:
    record(fresh)
    worker = start_worker()
    assert worker.stdin is not None
    worker.stdin.write(json.dumps(asdict(fresh)).encode() + b"\n")
    worker.stdin.close()  # as the parent's death does, while MLflow is imported
    worker.wait(60)
    close_pipes(worker)

    assert len(runs(fresh)) == 1
