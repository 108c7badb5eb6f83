"""Against the real MLflow: what is written without it must be what it writes."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mlflow import MlflowClient

from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.harness.job.job_run import run_job
from pytorch_designer.harness.job.run_store import open_run_store
from pytorch_designer.mlflow_database import create_database

if TYPE_CHECKING:
    from tests.harness.fixture_types import MakeRequest

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own

_OWN_TO_A_RUN = {"run_uuid", "start_time", "end_time", "artifact_uri"}


def _row(database: Path, table: str, column: str, value: str) -> dict[str, Any]:
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        return dict(connection.execute(f"SELECT * FROM {table} WHERE {column} = ?", (value,)).fetchone())


@pytest.mark.slow
def test_a_run_is_what_mlflow_itself_would_have_written(tmp_path: Path) -> None:
    store = open_run_store(tmp_path / "mlflow.db", "pets")
    client = MlflowClient(tracking_uri=store.tracking_uri)
    run_id = store.start_run("train", tags={"a": "b"})
    theirs = client.create_run(str(store.experiment_id), run_name="train", tags={"a": "b"})

    ours, reference = (_row(store.database, "runs", "run_uuid", run) for run in (run_id, theirs.info.run_id))

    assert ours.keys() == reference.keys()
    comparable = ours.keys() - _OWN_TO_A_RUN - {"user_id"}
    assert {key: ours[key] for key in comparable} == {key: reference[key] for key in comparable}
    assert ours["artifact_uri"] == reference["artifact_uri"].replace(theirs.info.run_id, run_id)
    assert client.get_run(run_id).data.tags.items() >= theirs.data.tags.items()


@pytest.mark.slow
def test_an_experiment_is_what_mlflow_itself_would_have_written(tmp_path: Path) -> None:
    store = open_run_store(tmp_path / "mlflow.db", "pets")
    client = MlflowClient(tracking_uri=store.tracking_uri)
    client.create_experiment("cars", artifact_location="file:///x")

    ours, reference = (_row(store.database, "experiments", "name", name) for name in ("pets", "cars"))

    own = {"experiment_id", "name", "artifact_location", "creation_time", "last_update_time"}
    assert {key: ours[key] for key in ours.keys() - own} == {key: reference[key] for key in reference.keys() - own}
    assert ours["artifact_location"] == (tmp_path / "mlruns" / str(ours["experiment_id"])).as_uri()
    assert client.get_experiment("0").artifact_location == (tmp_path / "mlruns" / "0").as_uri()


@pytest.mark.slow
def test_mlflow_can_log_to_a_run_and_find_its_children(tmp_path: Path) -> None:
    store = open_run_store(tmp_path / "mlflow.db", "pets")
    client = MlflowClient(tracking_uri=store.tracking_uri)
    parent = store.start_run("pipeline")
    child = store.start_run("node", parent_run_id=parent)

    client.log_metric(child, "loss", 0.5, step=3)
    client.log_param(child, "epochs", 2)
    (tmp_path / "note.txt").write_text("n", encoding="utf-8")
    client.log_artifact(child, str(tmp_path / "note.txt"))
    store.end_run(child, "FINISHED")
    store.end_run(parent, "FAILED")

    children = client.search_runs([str(store.experiment_id)], f"tags.mlflow.parentRunId = '{parent}'")
    assert [run.info.run_id for run in children] == [child]
    assert children[0].data.metrics == {"loss": 0.5}
    assert children[0].data.params == {"epochs": "2"}
    assert children[0].info.status == "FINISHED"
    assert children[0].info.end_time >= children[0].info.start_time
    assert client.get_run(parent).info.status == "FAILED"
    assert (tmp_path / "mlruns" / str(store.experiment_id) / child / "artifacts" / "note.txt").exists()


def test_a_database_is_opened_again_with_its_experiments(tmp_path: Path) -> None:
    first = open_run_store(tmp_path / "mlflow.db", "pets")

    assert open_run_store(tmp_path / "mlflow.db", "pets") == first
    assert open_run_store(tmp_path / "mlflow.db", "cars").experiment_id != first.experiment_id


def test_many_jobs_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: open_run_store(tmp_path / "new" / "mlflow.db", "pets"), range(16)))
        run_ids = set(pool.map(lambda store: store.start_run("r"), stores))

    assert len({store.experiment_id for store in stores}) == 1
    assert len(run_ids) == 16
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["mlflow.db"]


@pytest.mark.slow
def test_the_empty_database_is_made_by_mlflow_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    open_run_store(tmp_path / "one.db")
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.db")}
    open_run_store(tmp_path / "two.db")

    assert len(made) == 1
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.db")} == made


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write")
def test_a_folder_that_cannot_be_written_is_named_before_mlflow_tries_for_minutes() -> None:
    def make(_: Path) -> None:
        pytest.fail("MLflow was asked")

    with pytest.raises(UnsupportedEnvironmentError, match="cannot be created"):
        create_database(Path("/proc/mlflow.db"), make)


@pytest.mark.slow
def test_without_a_cache_folder_the_tables_are_made_where_they_are_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    store = open_run_store(tmp_path / "mlflow.db")

    assert open_run_store(tmp_path / "mlflow.db") == store
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "mlflow.db"]


def test_a_database_of_another_version_is_refused(tmp_path: Path) -> None:
    store = open_run_store(tmp_path / "mlflow.db")
    with closing(sqlite3.connect(store.database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'older'")

    with pytest.raises(UnsupportedEnvironmentError, match="another version of MLflow"):
        open_run_store(store.database)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"not a database" * 1000)

    with pytest.raises(UnsupportedEnvironmentError):
        open_run_store(tmp_path / "mlflow.db")


@pytest.mark.slow
def test_a_deleted_experiment_is_refused(tmp_path: Path) -> None:
    store = open_run_store(tmp_path / "mlflow.db", "pets")
    MlflowClient(tracking_uri=store.tracking_uri).delete_experiment(str(store.experiment_id))

    with pytest.raises(UnsupportedEnvironmentError, match="was deleted"):
        open_run_store(store.database, "pets")


@pytest.mark.parametrize(("command", "status"), [("true", "FINISHED"), ("exit 3", "FAILED")])
def test_a_job_is_a_run(tmp_path: Path, make_request: MakeRequest, command: str, status: str) -> None:
    store = open_run_store(tmp_path / "mlflow.db", "pets")
    parent = store.start_run("pipeline")
    show = "echo $MLFLOW_TRACKING_URI $MLFLOW_RUN_ID $MLFLOW_EXPERIMENT_NAME"
    request = make_request(f"{show}; {command}", store=store, parent_run_id=parent, run_name="my node")

    result = run_job(request)

    log = (result.run_folder / "user_logs" / "std_log.txt").read_text(encoding="utf-8")
    assert log.split() == [store.tracking_uri, result.run_id, "pets"]
    run = MlflowClient(tracking_uri=store.tracking_uri).get_run(result.run_id)
    assert (run.info.run_name, run.info.status) == ("my node", status)
    assert run.data.tags["mlflow.parentRunId"] == parent
