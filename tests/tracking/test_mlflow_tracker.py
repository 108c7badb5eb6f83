"""Real MLflow in a real worker process. Starting one takes seconds, so one run shows several things."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytorch_designer.tracking.destination import Destination, destination_from_environment
from pytorch_designer.tracking.mlflow_tracker import LOCAL_STALL_SECONDS, MlflowTracker
from pytorch_designer.tracking.tracker import NullTracker
from pytorch_designer.tracking.tracker_opening import open_tracker, prepared_tracking
from tests.commands import call_in_fork
from tests.waiting import killed_at_last

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conftest import Close

_RUN_UNTIL_KILLED = """
import sys, time
from pytorch_designer.tracking.tracker_opening import open_tracker
tracker = open_tracker("killed")
tracker.log_metrics({"loss": 1.0}, step=1)
print("READY", "mlflow" in sys.modules, flush=True)
time.sleep(600)
"""


linux_only = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes as Linux shows them")


class SilentServer:
    """Accepts a connection and never answers."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._client: socket.socket | None = None
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.has_client = threading.Event()
        self.has_lost_client = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._socket.close()
        if self._client is not None:
            self._client.close()

    def _serve(self) -> None:
        with suppress(OSError):  # closed, or reset by a client that was killed
            self._client, _ = self._socket.accept()
            self.has_client.set()
            while self._client.recv(65536):
                pass
        self.has_lost_client.set()


@pytest.fixture
def silent_server() -> Iterator[SilentServer]:
    server = SilentServer()
    yield server
    server.close()


def _rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return sorted(connection.execute(query).fetchall())


def _wait_for_rows(database: Path, query: str, expected: list[tuple[Any, ...]]) -> None:
    give_up_at = time.monotonic() + 60
    found: list[tuple[Any, ...]] = []
    while found != expected and time.monotonic() < give_up_at:
        time.sleep(0.1)
        with suppress(sqlite3.OperationalError):  # the tables are not there yet
            found = _rows(database, query)
    assert found == expected


def _wait_for_file(folder: Path, pattern: str, *, num_bytes: int) -> Path:
    give_up_at = time.monotonic() + 60
    while time.monotonic() < give_up_at:
        for path in folder.rglob(pattern):
            if "journal" not in path.name and path.stat().st_size >= num_bytes:
                return path
        time.sleep(0.005)
    raise AssertionError(f"no {pattern} in {folder}")


@linux_only
def test_nothing_is_recorded_where_no_tracker_is_opened(tmp_path: Path) -> None:
    before = _children()
    with prepared_tracking():
        assert len(_children() - before) == 1
    assert _children() - before == set()
    assert list(tmp_path.iterdir()) == []


def test_training_goes_untracked_where_no_process_can_be_started(monkeypatch: pytest.MonkeyPatch, close: Close) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with prepared_tracking() as open_prepared:
        sentence = close(open_prepared("flowers", None))
    assert sentence is not None
    assert sentence.startswith("MLflow tracking does not work: its process could not be started")


@pytest.mark.slow
@linux_only
def test_a_local_run_is_recorded_whole_by_the_process_that_was_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], close: Close
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "do-not-store-me")
    before = _children()
    with prepared_tracking() as open_prepared:
        tracker = open_prepared("flowers", None)
        tracker.log_parameters({"epochs": 5, "learning_rate": 0.001, "random_seed": 10**30, "note": "é" * 9000})
        tracker.log_metrics({"loss": 0.5, "accuracy": 0.25}, step=1)
        tracker.log_metrics({"loss": float("nan"), "accuracy": float("inf")}, step=2)
        tracker.set_tag("device", "cpu \udcff \U0001f600")
        assert len(_children() - before) == 1
        assert close(tracker) is None

    database = tmp_path / "mlflow.db"
    assert _rows(database, "select name, status from runs") == [("flowers", "FINISHED")]
    assert _rows(database, "select name, artifact_location from experiments where experiment_id != 0") == [
        ("pytorch-designer", (tmp_path / "mlruns").as_uri())
    ]
    assert _rows(database, "select key, value from params") == [
        ("epochs", "5"),
        ("learning_rate", "0.001"),
        ("note", "é" * 497 + "..."),
        ("random_seed", str(10**30)),
    ]
    assert _rows(database, "select key, step, value, is_nan from metrics") == [
        ("accuracy", 1, 0.25, 0),
        ("accuracy", 2, sys.float_info.max, 0),  # how MLflow stores infinity
        ("loss", 1, 0.5, 0),
        ("loss", 2, 0.0, 1),
    ]
    assert ("device", "cpu \\udcff \U0001f600") in _rows(database, "select key, value from tags")
    assert b"do-not-store-me" not in database.read_bytes()
    said = [line for stream in capfd.readouterr() for line in stream.splitlines()]
    assert [line for line in said if "Waiting for MLflow" not in line] == []  # which a busy machine has to


def _create_run(folder: Path) -> str:
    from mlflow import MlflowClient

    os.chdir(folder)
    client = MlflowClient(tracking_uri="sqlite:///job.db")
    run = client.create_run(client.create_experiment("of the job"))
    client.log_param(run.info.run_id, "epochs", "5")
    return str(run.info.run_id)


@pytest.mark.slow
def test_the_run_of_a_job_is_joined_and_left_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, close: Close
) -> None:
    run_id = call_in_fork(_create_run, tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///job.db")
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    tracker = open_tracker("ignored")
    tracker.log_parameters({"epochs": 6, "batch_size": 16})
    tracker.log_metrics({"loss": 0.5}, step=1)

    sentence = close(tracker, failed=True)

    assert sentence is not None
    assert sentence.startswith("MLflow tracking does not fully work: the parameter epochs could not be recorded")
    database = tmp_path / "job.db"
    assert _rows(database, "select run_uuid, status from runs") == [(run_id, "RUNNING")]
    assert _rows(database, "select key, value from params") == [("batch_size", "16"), ("epochs", "5")]
    assert _rows(database, "select key, value from metrics") == [("loss", 0.5)]
    assert _rows(database, "select name from experiments") == [("Default",), ("of the job",)]
    assert run_id in tracker.description


@pytest.mark.slow
def test_an_unreachable_server_is_reported_once_with_its_reason(monkeypatch: pytest.MonkeyPatch, close: Close) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed_soon:
        address = f"127.0.0.1:{closed_soon.getsockname()[1]}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://user:hush@{address}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracker = open_tracker("flowers")
    tracker.log_metrics({"loss": 0.5}, step=1)

    sentence = close(tracker)

    assert sentence is not None
    assert sentence.startswith(f"MLflow tracking does not work: MlflowException: API request to http://{address}/api")
    assert sentence.endswith("; the run is not affected.")
    assert "hush" not in sentence
    assert close(tracker) is None


@pytest.mark.slow
def test_a_server_that_never_answers_delays_the_end_for_a_bounded_time(
    silent_server: SilentServer, close: Close
) -> None:
    destination = Destination(f"{silent_server.address}/?key=hush", None, "flowers", "pets", None)
    tracker = MlflowTracker(destination, stall_seconds=1.0, limit_seconds=600.0)
    assert silent_server.has_client.wait(60)
    start = time.monotonic()
    tracker.log_metrics({"loss": 0.5}, step=1)
    assert time.monotonic() - start < 30  # it does not wait for an answer, which never comes

    sentence = close(tracker)

    assert time.monotonic() - start < 300
    assert sentence == (
        f"MLflow tracking does not work: {silent_server.address}/ did not answer in time; the run is not affected."
    )
    assert silent_server.has_lost_client.wait(60)  # the worker is gone


@pytest.mark.slow
def test_a_stopped_run_does_not_wait_long_for_a_server_that_never_answers(
    silent_server: SilentServer, monkeypatch: pytest.MonkeyPatch, close: Close
) -> None:
    monkeypatch.setattr("pytorch_designer.tracking.mlflow_tracker.URGENT_SECONDS", 1.5)
    tracker = MlflowTracker(Destination(silent_server.address, None, "flowers", "pets", None), stall_seconds=600.0)
    assert silent_server.has_client.wait(60)
    start = time.monotonic()

    sentence = close(tracker, failed=True, is_urgent=True)

    assert time.monotonic() - start < 300
    assert sentence is not None
    assert sentence.endswith("did not answer in time; the run is not affected.")
    assert silent_server.has_lost_client.wait(60)


@pytest.mark.slow
def test_a_killed_parent_leaves_no_process_behind(silent_server: SilentServer) -> None:
    environment = {**os.environ, "MLFLOW_TRACKING_URI": silent_server.address}
    command = [sys.executable, "-c", _RUN_UNTIL_KILLED]
    with killed_at_last(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"READY False\n"
        assert silent_server.has_client.wait(60)
        assert not silent_server.has_lost_client.is_set()
        parent.kill()

    assert silent_server.has_lost_client.wait(30)


@pytest.mark.slow
def test_the_run_of_a_killed_parent_is_marked_as_killed(tmp_path: Path) -> None:
    with killed_at_last(subprocess.Popen([sys.executable, "-c", _RUN_UNTIL_KILLED], stdout=subprocess.PIPE)) as parent:
        _wait_for_rows(tmp_path / "mlflow.db", "select key, value from metrics", [("loss", 1.0)])
        parent.kill()

    _wait_for_rows(tmp_path / "mlflow.db", "select name, status from runs", [("killed", "KILLED")])


@pytest.mark.slow
@linux_only
def test_a_kill_while_the_tables_are_made_leaves_nothing_that_the_next_runs_cannot_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, close: Close
) -> None:
    cache, first, second = tmp_path / "cache", tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.chdir(first)
    before = _children()
    tracker = MlflowTracker(destination_from_environment("killed"))
    (worker,) = _children() - before
    partial = _wait_for_file(cache, "mlflow-*.partial", num_bytes=2**17)
    os.kill(worker, signal.SIGKILL)
    close(tracker)
    assert partial.exists()
    assert not list(cache.rglob("mlflow-*.db"))
    assert not (first / "mlflow.db").exists()

    following = open_tracker("next")
    following.log_metrics({"loss": 0.5}, step=1)
    assert close(following) is None
    assert _rows(first / "mlflow.db", "select name, status from runs") == [("next", "FINISHED")]
    assert [path.name for path in first.iterdir()] == ["mlflow.db"]
    assert not list(partial.parent.glob(f"{partial.name}*"))  # what the kill left is gone
    (made,) = cache.rglob("mlflow-*.db")
    made_at = made.stat().st_mtime_ns

    monkeypatch.chdir(second)  # gets a copy of the tables, with places of its own
    assert close(open_tracker("failed"), failed=True) is None
    assert _rows(second / "mlflow.db", "select name, status from runs") == [("failed", "FAILED")]
    assert made.stat().st_mtime_ns == made_at
    for folder in (first, second):
        locations = _rows(folder / "mlflow.db", "select artifact_location from experiments where experiment_id = 0")
        assert locations == [((folder / "mlruns" / "0").as_uri(),)]


@pytest.mark.slow
def test_without_a_cache_folder_the_tables_are_made_where_they_are_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, close: Close
) -> None:
    (tmp_path / "cache").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tracker = open_tracker("flowers")
    tracker.log_metrics({"loss": 0.5}, step=1)

    assert close(tracker) is None
    assert _rows(tmp_path / "mlflow.db", "select name from runs") == [("flowers",)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "mlflow.db"]


def _file_in_the_way(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file" / "mlflow.db"


def _pipe(folder: Path) -> Path:
    os.mkfifo(folder / "mlflow.db")
    return folder / "mlflow.db"


def _folder(folder: Path) -> Path:
    (folder / "mlflow.db").mkdir()
    return folder / "mlflow.db"


def _other_file(folder: Path) -> Path:
    (folder / "mlflow.db").write_bytes(b"no database " * 1000)
    return folder / "mlflow.db"


def _read_only_folder(folder: Path) -> Path:
    (folder / "closed").mkdir(mode=0o500)
    return folder / "closed" / "mlflow.db"


def _read_only_file(folder: Path) -> Path:
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        connection.execute("create table t (x)")
    (folder / "mlflow.db").chmod(0o400)
    return folder / "mlflow.db"


for_users = pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_file_in_the_way, "file is not a folder"),
        pytest.param(_pipe, "mlflow.db is not a file", marks=linux_only),
        (_folder, "mlflow.db is not a file"),
        (_other_file, "mlflow.db cannot be used (file is not a database)"),
        pytest.param(_read_only_folder, "closed cannot be written", marks=for_users),
        pytest.param(_read_only_file, "attempt to write a readonly database", marks=for_users),
    ],
)
def test_a_database_that_cannot_be_written_is_said_at_once(
    make: Callable[[Path], Path], reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, close: Close
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{make(tmp_path)}")
    started = time.monotonic()
    tracker = open_tracker("flowers")
    sentence = close(tracker)
    assert time.monotonic() - started < LOCAL_STALL_SECONDS / 2
    assert isinstance(tracker, NullTracker)
    assert tracker.description.startswith("off")
    assert sentence is not None
    assert sentence.startswith("MLflow tracking does not work: ")
    assert reason in sentence


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"MLFLOW_EXPERIMENT_NAME": "a" * 2000}, "MlflowException"),
        ({"MLFLOW_HTTP_REQUEST_TIMEOUT": "soon", "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}, "soon"),
        ({"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db?timeout=soon"}, "soon"),
    ],
)
def test_variables_of_mlflow_that_are_wrong_are_said_once(
    variables: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch, close: Close
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    sentence = close(open_tracker("flowers"))
    assert sentence is not None
    assert sentence.startswith("MLflow tracking does not")
    assert reason in sentence


@pytest.mark.slow
@linux_only
def test_the_worker_has_lowered_priority_from_its_start(silent_server: SilentServer, close: Close) -> None:
    before = _children()
    tracker = MlflowTracker(Destination(silent_server.address, None, "flowers", "pets", None), stall_seconds=0.1)
    (worker,) = _children() - before
    assert os.getpriority(os.PRIO_PROCESS, worker) > os.getpriority(os.PRIO_PROCESS, 0)
    close(tracker)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("no-such-scheme://somewhere", "no-such-scheme"),
        ("file:///tmp/runs", "The filesystem tracking backend"),
    ],
)
def test_a_refused_store_is_reported_and_a_flood_is_dropped(
    address: str, reason: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, close: Close
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    tracker = open_tracker("flowers")
    for step in range(30_000):  # more than the queue holds
        tracker.log_metrics({"loss": 0.5}, step=step)

    sentence = close(tracker)

    assert sentence is not None
    assert reason in sentence
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a shell script stands in for the worker")
def test_what_a_slow_worker_has_no_room_for_is_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, close: Close
) -> None:
    worker = tmp_path / "worker"
    worker.write_text("#!/bin/sh\nsleep 1\ngrep -m 1 close >/dev/null\necho '{\"finished\": true}'\n", encoding="utf-8")
    worker.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(worker))
    tracker = MlflowTracker(destination_from_environment("flowers"))
    for step in range(30_000):
        tracker.log_metrics({"loss": 0.5}, step=step)

    sentence = close(tracker)

    assert sentence is not None
    assert "entries came faster than they could be sent" in sentence


def test_a_worker_that_cannot_be_started_is_reported(monkeypatch: pytest.MonkeyPatch, close: Close) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    tracker = MlflowTracker(destination_from_environment("flowers"))
    tracker.log_metrics({"loss": 0.5}, step=1)

    sentence = close(tracker)

    assert sentence is not None
    assert sentence.startswith("MLflow tracking does not work: its process could not be started")


def test_tracking_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, close: Close) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_TRACKING", "off")
    tracker = open_tracker("flowers")
    tracker.log_parameters({"epochs": 5})
    tracker.log_metrics({"loss": 0.5}, step=1)
    tracker.set_tag("device", "cpu")

    assert isinstance(tracker, NullTracker)
    assert tracker.description == "off"
    assert close(tracker) is None
    assert list(tmp_path.iterdir()) == []


def _children() -> set[int]:
    """The processes that this one has started and that have not been waited for."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended in this moment
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == os.getpid():
                found.add(int(folder.name))
    return found
