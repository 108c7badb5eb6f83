"""Daemons of a job end with it, also those that left its session, and also when the harness is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytorch_designer.errors import InterruptedRunError
from pytorch_designer.harness.job.job_run import run_job
from pytorch_designer.system.process_trees import start_time
from pytorch_designer.system.stop_requests import StopRequest
from tests.harness.fixture_types import MakeRequest, WriteComponent
from tests.waiting import killed_at_last, wait_until

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")

DOUBLE_FORK = """
import os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
null = os.open(os.devnull, os.O_RDWR)
for descriptor in range(3): os.dup2(null, descriptor)
with open(sys.argv[1] + ".part", "w") as stream: stream.write(str(os.getpid()))
os.replace(sys.argv[1] + ".part", sys.argv[1])
time.sleep(600)
"""
SLEEP = "echo $$ > {0}.part; mv {0}.part {0}; exec sleep 600"
DAEMONS = {
    "own session": f"setsid sh -c '{SLEEP}' &",
    "no hang-up": f"setsid nohup sh -c '{SLEEP}' >/dev/null 2>&1 &",
    "deaf": "setsid sh -c 'trap \"\" TERM HUP; echo $$ > {0}.part; mv {0}.part {0}; while true; do sleep 1; done' &",
    "double fork": "python double_fork.py {0}",
    "of a daemon": f"setsid sh -c 'setsid sh -c \"{SLEEP.replace('$', chr(92) + '$')}\" & sleep 600' &",
    "without environment": f"env -i PATH=$PATH setsid sh -c '{SLEEP}' &",
}


def _wait_for(path: Path) -> int:
    wait_until(path.exists)
    return int(path.read_text())


def _end(pid: int) -> bool:
    """True if the process had ended by itself soon."""
    deadline = time.monotonic() + 120
    while start_time(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    has_ended = start_time(pid) is None
    if not has_ended:
        os.kill(pid, signal.SIGKILL)
    return has_ended


@pytest.fixture
def command(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Starts the daemon, and goes on when it has been seen, which `look` says."""
    (tmp_path / "double_fork.py").write_text(DOUBLE_FORK, encoding="utf-8")
    mark = tmp_path / "pid"
    daemon = DAEMONS[request.param].format(mark).replace("double_fork.py", str(tmp_path / "double_fork.py"))
    return f"{daemon}\nwhile [ ! -e {tmp_path}/seen ]; do sleep 0.02; done"


@pytest.fixture
def look(tmp_path: Path) -> Callable[[int], None]:
    """Receives the memory after each look at the processes; the second one after its start has seen the daemon."""

    def look(_: int) -> None:
        if (tmp_path / "looked").exists():
            (tmp_path / "seen").touch()
        if (tmp_path / "pid").exists():
            (tmp_path / "looked").touch()

    return look


@pytest.mark.slow
@pytest.mark.parametrize("command", DAEMONS, indirect=True)
@pytest.mark.parametrize("exit_code", [0, 3])
def test_a_daemon_ends_with_its_job(
    tmp_path: Path, make_request: MakeRequest, command: str, look: Callable[[int], None], exit_code: int
) -> None:
    result = run_job(make_request(f"{command}; exit {exit_code}"), on_memory=look)

    assert result.exit_code == exit_code
    assert _end(_wait_for(tmp_path / "pid"))


@pytest.mark.slow
@pytest.mark.parametrize("command", ["own session", "deaf", "double fork"], indirect=True)
def test_a_daemon_ends_with_a_job_that_is_stopped(
    tmp_path: Path, make_request: MakeRequest, command: str, look: Callable[[int], None]
) -> None:
    stop = StopRequest()

    def receive(rank: int, line: str) -> None:
        stop.request()

    with pytest.raises(InterruptedRunError):
        run_job(make_request(f"{command}; echo running; sleep 600"), receive, stop, look)

    assert _end(_wait_for(tmp_path / "pid"))


@pytest.mark.slow
@pytest.mark.parametrize("command", ["own session", "deaf", "double fork", "without environment"], indirect=True)
def test_a_daemon_ends_with_a_harness_that_is_killed(tmp_path: Path, command: str) -> None:
    program = f"""
from pathlib import Path
from pytorch_designer.harness.job.child_processes import Child, run_children
from pytorch_designer.system.stop_requests import StopRequest
folder = Path({str(tmp_path)!r})
child = Child(["/bin/bash", "-c", {command + "; touch up; sleep 600"!r}], folder, {dict(os.environ)!r}, folder / "log")
def look(_):
    if (folder / "looked").exists(): (folder / "seen").touch()
    if (folder / "pid").exists(): (folder / "looked").touch()
run_children([child], lambda rank, line: None, StopRequest(), grace_seconds=600, on_memory=look)
"""
    with killed_at_last(subprocess.Popen([sys.executable, "-c", program])) as harness:
        pid = _wait_for(tmp_path / "pid")
        wait_until((tmp_path / "up").exists)
        harness.send_signal(signal.SIGKILL)

    assert _end(pid)


def test_processes_of_others_are_left_alone(make_request: MakeRequest) -> None:
    with killed_at_last(subprocess.Popen(["sleep", "600"], start_new_session=True)) as stranger:
        assert run_job(make_request("setsid sleep 600 & sleep 0.3")).has_succeeded
        assert stranger.poll() is None


@pytest.mark.slow
@pytest.mark.parametrize("clears", [False, True])
def test_what_loses_environment_and_parents_at_once_ends_with_the_command(
    tmp_path: Path, write_component: WriteComponent, clears: bool
) -> None:
    last = 'os.execve("/bin/sleep", ["sleep", "600"], {})' if clears else "time.sleep(600)"
    (tmp_path / "double_fork.py").write_text(DOUBLE_FORK.replace("time.sleep(600)", last), encoding="utf-8")
    path = write_component(f"python {tmp_path}/double_fork.py {tmp_path}/pid; exit 3")

    command = [sys.executable, "-m", "pytorch_designer", "run", str(path), "--no-mlflow"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)

    assert (done.returncode, done.stderr) == (3, "")
    pid = _wait_for(tmp_path / "pid") if (tmp_path / "pid").exists() else None
    assert pid is None or _end(pid)
