"""Start of several processes: by the command itself, and by the harness on simulated nodes; nothing is left over."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from pytorch_designer.distributed import launching
from pytorch_designer.distributed.launching import run_in_processes
from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.harness.job.job_run import JobRequest, run_job
from pytorch_designer.harness.schema.component_file import read_component
from pytorch_designer.harness.schema.specification import Distribution, Resources
from pytorch_designer.system.process_trees import children, descendants, start_time
from tests.commands import start, write_small_inputs
from tests.distributed.commands_together import ENVIRONMENT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc"),
]

TOP = Path(__file__).parents[2]
PORTS = ("untrained-model=untrained", "training-dataset=training", "validation-dataset=validation")
COMMAND = ["train-pytorch-model", *(f"--{port}" for port in PORTS), "--batch-size=4", "--trained-model=out"]
END_SECONDS = 90  # see `test_failures`
TEMPORARY = f"tmp-{'x' * 80}"  # with it, the path is longer than that of a socket may be


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("launching")
    write_small_inputs(top, classes=3, training=8, validation=4)
    return top


@pytest.fixture
def workspace(data: Path, tmp_path: Path) -> Path:
    shutil.copytree(data, tmp_path / "work")
    (tmp_path / TEMPORARY).mkdir()
    return tmp_path / "work"


def test_without_a_folder_of_a_short_path_the_variable_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / TEMPORARY).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / TEMPORARY))
    monkeypatch.setattr(launching, "_SHORT_FOLDERS", (str(tmp_path / "absent"),))
    monkeypatch.setenv("PYTORCH_DESIGNER_PROCESSES", "2")
    with pytest.raises(UnsupportedEnvironmentError, match="absent can be written") as raised:
        run_in_processes([])
    assert raised.value.where == "TMPDIR"


def start_together(workspace: Path, *options: str) -> subprocess.Popen[str]:
    variables = ENVIRONMENT | {"PYTORCH_DESIGNER_PROCESSES": "2", "TMPDIR": str(workspace.parent / TEMPORARY)}
    return start(*COMMAND, *options, cwd=workspace, **variables)


def left_in_temporary_folder(workspace: Path) -> list[str]:
    """Names left there, without the user's empty cache folder that importing torch's optimizers creates."""
    paths = (workspace.parent / TEMPORARY).iterdir()
    return [path.name for path in paths if not path.name.startswith("torchinductor_") or any(path.iterdir())]


def processes(model: Path) -> int:
    found: int = json.loads((model / "report/run.json").read_text(encoding="utf-8"))["processes"]
    return found


@pytest.mark.parametrize(
    ("number", "reaches_all"),
    [(signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGHUP, True)],
    ids=["the command is ended", "a service manager ends all of it", "the terminal is closed"],
)
def test_a_stopped_run_of_started_processes_continues_to_its_end(
    number: signal.Signals, reaches_all: bool, workspace: Path
) -> None:
    options = ("--epochs=6", "--patience=6")
    (workspace / "queue.py").write_text("raise SystemExit('taken for a module of Python')", encoding="utf-8")
    with start_together(workspace, *options) as process:
        wait_for_training(workspace, process)
        for pid in sorted(descendants([process.pid])) if reaches_all else [process.pid]:
            os.kill(pid, number)
        stdout, stderr = process.communicate(timeout=END_SECONDS)
    assert process.returncode == 128 + number, stdout + stderr
    assert "Starting 2 processes on this machine." in stdout
    assert stderr.startswith("InterruptedRunError (P003): The run was told to stop"), stderr
    assert stderr.count("InterruptedRunError") == stderr.count("Details:") == 1, stderr
    assert "Traceback" not in stderr
    assert "torch" not in stderr, stderr  # the launcher's own lines
    assert left_in_temporary_folder(workspace) == []

    with start_together(workspace, *options) as process:
        stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stdout + stderr
    assert "Continuing" in stdout
    assert processes(workspace / "out") == 2
    assert not (workspace / "outputs/error_info.json").exists()
    assert left_in_temporary_folder(workspace) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_to_all_while_they_start_is_reported_once(number: signal.Signals, workspace: Path) -> None:
    with start_together(workspace) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        for pid in sorted(descendants([process.pid])):
            with suppress(ProcessLookupError):  # it has ended with another one
                os.kill(pid, number)
        _, stderr = process.communicate(timeout=END_SECONDS)
    assert "Starting 2 processes" in first
    assert process.returncode == 128 + number, stderr
    assert stderr.count("Interrupted") == 1, stderr
    assert "Traceback" not in stderr


def test_a_fault_that_all_meet_is_printed_once(workspace: Path) -> None:
    shutil.rmtree(workspace / "validation/1")
    with start_together(workspace) as process:
        stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 1, stdout + stderr
    assert stderr.startswith("InvalidDatasetError (0018): The classes of the two datasets differ"), stderr
    assert stderr.count("InvalidDatasetError") == stderr.count("Details:") == 1, stderr
    assert "of 2, checking the inputs" in stderr
    info = json.loads((workspace / "outputs/error_info.json").read_text(encoding="utf-8"))
    assert info["name"] == "InvalidDatasetError"


@pytest.mark.parametrize("victim", ["launcher", "process"])
def test_nothing_outlives_a_killed_process(victim: str, workspace: Path) -> None:
    with start_together(workspace, "--epochs=100", "--patience=100") as process:
        wait_for_training(workspace, process)
        all_of_them = [pid for pid in descendants([process.pid]) if pid != process.pid]
        started = {pid: start_time(pid) for pid in all_of_them}
        ranks = [pid for server in children(process.pid) for pid in children(server)]
        os.kill(process.pid if victim == "launcher" else ranks[0], signal.SIGKILL)
        stdout, stderr = process.communicate(timeout=END_SECONDS)
        deadline = time.monotonic() + END_SECONDS
        while any(start_time(pid) == begin for pid, begin in started.items()) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert [pid for pid, begin in started.items() if start_time(pid) == begin] == []
    assert process.returncode == (-signal.SIGKILL if victim == "launcher" else 1), stdout + stderr
    assert stderr.count("LostProcessError (P018)") == 1, stderr
    info = json.loads((workspace / "outputs/error_info.json").read_text(encoding="utf-8"))
    assert info["name"] == "LostProcessError"


def wait_for_training(workspace: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 300
    while not any((workspace / "out/.checkpoint").glob("*.json")):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate(timeout=300)
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("nodes", "per_node", "own", "size"),
    [(1, 2, "auto", 2), (2, 1, "2", 4)],
    ids=["two processes of the platform", "two nodes that start two each"],
)
def test_the_harness_runs_the_component_in_several_processes(
    nodes: int, per_node: int, own: str, size: int, workspace: Path
) -> None:
    spec = replace(
        read_component(TOP / "component.yaml"),
        distribution=Distribution("pytorch", per_node),
        resources=Resources(instance_count=nodes),
    )
    request = JobRequest(
        spec=spec,
        run_folder=workspace / "run",
        inputs={name: workspace / name.split("_")[0] for name in spec.inputs if name.endswith(("_model", "_dataset"))}
        | {"epochs": 1, "batch_size": 6},
        outputs={"trained_model": workspace / "out"},
        environment_variables=ENVIRONMENT | {"PYTORCH_DESIGNER_PROCESSES": own},
    )
    result = run_job(request)
    logs = [path.read_text(encoding="utf-8") for path in result.log_files]
    assert result.exit_code == 0, logs
    assert processes(workspace / "out") == size
    assert logs[0].count("Best epoch: 1") == 1
    assert not any("Best epoch" in log for log in logs[1:])
    if nodes > 1:
        assert "4 on 2 nodes" in logs[0]
        return
    again = run_job(replace(request, run_folder=workspace / "again"))
    logs = [path.read_text(encoding="utf-8") for path in again.log_files]
    assert again.exit_code == 0, logs
    assert "already holds the result of this very run" in logs[0]
