"""Jobs whose MLflow may be another one than the harness's log to files, which come into the database."""

from __future__ import annotations

import importlib.metadata
import math
import sqlite3
import sys
import venv
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.harness.environments.job_python import JobPython, about_python
from pytorch_designer.harness.job.job_run import run_job
from pytorch_designer.harness.job.run_store import LoggedRun, RunStore, open_run_store
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.reuse.reuse_cache import ReuseCache
from pytorch_designer.harness.runs.run_metrics import read_values
from tests.harness.fixture_types import MakeRequest
from tests.harness.pipeline_files import ENVIRONMENT, make_folder, node, text_of, write_pipeline
from tests.waiting import wait_until

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="the jobs are shell scripts")

OWN = "false && pip install mlflow; "
"""A job that may install another MLflow."""

LOG = """
import os, pathlib, sys, time
from urllib.parse import unquote, urlsplit

def log(folder, key, text):
    uri = os.environ["MLFLOW_TRACKING_URI"]
    (run,) = pathlib.Path(unquote(urlsplit(uri).path)).glob("*/" + os.environ["MLFLOW_RUN_ID"])
    path = run / folder / key
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:
        stream.write(text)

def log_metric(key, value, step=0):
    log("metrics", key, f"{time.time_ns() // 1000000} {value} {step}\\n")
"""

WITH_MLFLOW = """
import math, mlflow
with mlflow.start_run():
    mlflow.log_param("epochs", 2)
    mlflow.set_tag("who", "me")
    for step, value in enumerate((3.0, 1.0, 2.0)):
        mlflow.log_metric("loss", value, step=step)
    mlflow.log_metric("a/b", math.nan)
    mlflow.log_metric("high", math.inf)
    open("note.txt", "w").write("n")
    mlflow.log_artifact("note.txt")
    with mlflow.start_run(nested=True, run_name="inner"):
        mlflow.log_metric("x", 1.0)
"""


def _rows(database: Path, query: str, *values: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query, values).fetchall()


@pytest.mark.slow
@posix_only
def test_what_mlflow_logs_to_files_is_in_the_database(tmp_path: Path, make_request: MakeRequest) -> None:
    make_folder(tmp_path / "code", **{"train.py": WITH_MLFLOW})
    store = open_run_store(tmp_path / "mlflow.db")
    request = make_request(f"{OWN}python train.py", spec={"code": str(tmp_path / "code")}, store=store)

    result = run_job(request)

    assert result.has_succeeded, text_of(result.log_files[0])
    found = read_values(store.database, [result.run_id])[result.run_id]
    assert [(point.step, point.value) for point in found.metrics["loss"]] == [(0, 3.0), (1, 1.0), (2, 2.0)]
    assert math.isnan(found.last()["a/b"])
    assert found.last()["high"] == math.inf
    assert found.parameters == {"epochs": "2"}
    latest = _rows(
        store.database, "SELECT value FROM latest_metrics WHERE run_uuid = ? AND key = 'loss'", result.run_id
    )
    assert latest == [(2.0,)]
    assert _rows(store.database, "SELECT value FROM tags WHERE run_uuid = ? AND key = 'who'", result.run_id) == [
        ("me",)
    ]
    inner = _rows(
        store.database,
        "SELECT runs.name, runs.status, metrics.value FROM runs"
        " JOIN tags USING (run_uuid) JOIN metrics USING (run_uuid)"
        " WHERE tags.key = 'mlflow.parentRunId' AND tags.value = ?",
        result.run_id,
    )
    assert inner == [("inner", "FINISHED", 1.0)]
    notes = list((tmp_path / "mlruns").rglob("note.txt"))
    assert [note.parent.parent.name for note in notes] == [result.run_id]


@posix_only
def test_metrics_come_while_the_job_runs(tmp_path: Path, make_request: MakeRequest) -> None:
    body = "log_metric('loss', 0.5)\nfor _ in range(300):\n"
    body += "    time.sleep(0.1)\n    if pathlib.Path(sys.argv[1]).exists(): sys.exit()\nsys.exit(3)"
    make_folder(tmp_path / "code", **{"train.py": LOG + body})
    store = open_run_store(tmp_path / "mlflow.db")
    command = f"{OWN}python train.py {tmp_path / 'seen'}"

    def look(rank: int, line: str) -> None:
        wait_until(lambda: _rows(store.database, "SELECT value FROM metrics") == [(0.5,)])
        (tmp_path / "seen").touch()

    request = make_request(f"echo started; {command}", spec={"code": str(tmp_path / "code")}, store=store)
    assert run_job(request, look).has_succeeded


@posix_only
def test_what_could_not_be_stored_is_stored_later(
    tmp_path: Path, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[LoggedRun] = []

    def add_values(store: RunStore, run: LoggedRun) -> None:
        if run.metrics and not refused:
            refused.append(run)
            raise UnsupportedEnvironmentError("The database is locked.")
        own(store, run)

    own = RunStore.add_values
    monkeypatch.setattr(RunStore, "add_values", add_values)
    body = "log_metric('loss', 0.5)\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.05)"
    make_folder(tmp_path / "code", **{"train.py": LOG + body})
    store = open_run_store(tmp_path / "mlflow.db")

    def look(rank: int, line: str) -> None:
        wait_until(lambda: bool(refused))
        (tmp_path / "seen").touch()

    command = f"echo started; {OWN}python train.py {tmp_path / 'seen'}"
    assert run_job(make_request(command, spec={"code": str(tmp_path / "code")}, store=store), look).has_succeeded
    assert _rows(store.database, "SELECT value FROM metrics") == [(0.5,)]


@posix_only
def test_a_job_may_remove_its_files(tmp_path: Path, make_request: MakeRequest) -> None:
    store = open_run_store(tmp_path / "mlflow.db")
    request = make_request(f'{OWN}rm -r "${{MLFLOW_TRACKING_URI#file://}}"', store=store)
    assert run_job(request).has_succeeded


@posix_only
def test_lines_that_are_no_metrics_are_passed_over(tmp_path: Path, make_request: MakeRequest) -> None:
    text = "not a line\n1 2.5 0 data digest\n5 0.5\n\nx y z\n9 1.5 2\n7 7.5 3"
    body = f"log('metrics', 'loss', {text!r})"
    make_folder(tmp_path / "code", **{"train.py": LOG + body})
    store = open_run_store(tmp_path / "mlflow.db")
    request = make_request(f"{OWN}python train.py", spec={"code": str(tmp_path / "code")}, store=store)

    assert run_job(request).has_succeeded

    values = _rows(store.database, "SELECT value, timestamp, step FROM metrics ORDER BY timestamp")
    assert values == [(2.5, 1, 0), (0.5, 5, 0), (1.5, 9, 2)]  # the last line is not whole


@posix_only
@pytest.mark.parametrize("termination", [None, {"type": "bandit", "slack_factor": 0.1, "evaluation_interval": 1}])
def test_a_sweep_reads_its_objective_from_trials_at_once(tmp_path: Path, termination: dict[str, Any] | None) -> None:
    make_folder(tmp_path / "code", **{"trial.py": LOG + "log_metric('score', -abs(float(sys.argv[1]) - 3))"})
    sweep = {
        "type": "sweep",
        "trial": {
            "code": "code",
            "environment": ENVIRONMENT,
            "command": f"{OWN}python trial.py ${{{{inputs.x}}}}",
            "inputs": {"x": {"type": "integer"}},
        },
        "sampling_algorithm": "grid",
        "search_space": {"x": {"type": "choice", "values": [1, 3, 4]}},
        "objective": {"goal": "maximize", "primary_metric": "score"},
        "limits": {"max_total_trials": 3, "max_concurrent_trials": 3},
        **({} if termination is None else {"early_termination": termination}),
    }
    store = open_run_store(tmp_path / "mlflow.db")
    version = "SELECT version_num FROM alembic_version"
    before = _rows(store.database, version)

    result = run_pipeline(
        write_pipeline(tmp_path, {"tune": sweep}), run_folder=tmp_path / "run", store=store, max_parallel=3
    )

    assert result.has_succeeded
    assert "The outputs are those of trial 1." in text_of(result.nodes["tune"].log_files[0])
    assert _rows(store.database, version) == before


@posix_only
def test_nodes_at_once_and_a_parallel_job_have_stores_of_their_own(tmp_path: Path) -> None:
    score = "import init_log as log\n\ndef init(): log.log_metric('files', 2)\n\ndef run(batch): return list(batch)\n"
    make_folder(tmp_path / "code", **{"init_log.py": LOG, "score.py": score, "setup.sh": f"{OWN}\n", "train.py": LOG})
    make_folder(tmp_path / "data", a="a", b="b")
    train: dict[str, Any] = {"code": "code", "environment": ENVIRONMENT}
    jobs: dict[str, Any] = {
        name: {**train, "command": f"{OWN}python -c \"from train import *; log_metric('{name}', 1)\""}
        for name in ("first", "second")
    }
    jobs["many"] = {
        "type": "parallel",
        "inputs": {"data": {"type": "uri_folder", "path": "data"}},
        "input_data": "${{inputs.data}}",
        "mini_batch_size": "1",
        "task": {"type": "run_function", "code": "code", "entry_script": "score.py", "environment": ENVIRONMENT},
    }
    store = open_run_store(tmp_path / "mlflow.db")

    result = run_pipeline(write_pipeline(tmp_path, jobs), run_folder=tmp_path / "run", store=store, max_parallel=2)

    assert result.has_succeeded, [text_of(node.log_files[0]) for node in result.nodes.values() if node.log_files]
    query = "SELECT DISTINCT runs.name, metrics.key FROM metrics JOIN runs USING (run_uuid) ORDER BY runs.name"
    assert _rows(store.database, query) == [("first", "first"), ("many", "files"), ("second", "second")]


@posix_only
def test_reused_nodes_have_the_values_of_files(tmp_path: Path) -> None:
    make_folder(tmp_path / "code", **{"train.py": LOG + "log_metric('loss', 0.25)\nlog('params', 'epochs', '2')"})
    path = write_pipeline(tmp_path, {"a": node(f"{OWN}python train.py", code=str(tmp_path / "code"))})
    store = open_run_store(tmp_path / "mlflow.db")

    options: Any = {"store": store, "cache": ReuseCache(tmp_path / "kept", 1 << 30)}

    runs = [run_pipeline(path, run_folder=tmp_path / str(number), **options) for number in range(2)]

    assert [run.nodes["a"].state.value for run in runs] == ["completed", "reused"]
    for run in runs:
        found = read_values(store.database, [run.nodes["a"].run_id]).popitem()[1]
        assert (found.last(), found.parameters) == ({"loss": 0.25}, {"epochs": "2"})


@posix_only
@pytest.mark.parametrize(
    ("installed", "is_own"),
    [
        ({}, False),
        ({"mlflow": None, "mlflow-skinny": None}, False),
        ({"mlflow": "9.9"}, True),
        ({"mlflow": "1.26.0", "mlflow-skinny": "1.26.0"}, True),
        ({"mlflow-skinny": None}, True),  # has no SQLAlchemy
    ],
)
def test_the_database_is_used_by_the_same_mlflow_alone(
    tmp_path: Path, make_request: MakeRequest, installed: dict[str, str | None], is_own: bool
) -> None:
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    (packages,) = (tmp_path / "env").glob("lib/python*/site-packages")
    for name, other in installed.items():
        version = other or importlib.metadata.version("mlflow")
        make_folder(
            packages / f"{name.replace('-', '_')}-{version}.dist-info",
            METADATA=f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        )
    python = JobPython(tmp_path / "env" / "bin" / "python")
    about_python.cache_clear()
    store = open_run_store(tmp_path / "mlflow.db")

    result = run_job(replace(make_request("echo $MLFLOW_TRACKING_URI", store=store), python=python))

    uri = (tmp_path / "run" / "mlflow").as_uri() if is_own else store.tracking_uri
    assert text_of(result.log_files[0]).strip() == uri
