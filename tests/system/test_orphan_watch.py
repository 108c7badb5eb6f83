"""A harness that is killed, and cannot clean up, leaves no process of its jobs behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytorch_designer.system.orphan_watch import OrphanWatch
from pytorch_designer.system.process_trees import start_time
from tests.waiting import is_running, killed_at_last, wait_until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="process groups")

TOKEN = "0123456789abcdef"  # of no process
HARNESS = """
import sys
from pathlib import Path
from pytorch_designer.harness.job.child_processes import Child, run_children
from pytorch_designer.system.stop_requests import StopRequest
folder = Path(sys.argv[1])
command = "trap '' TERM; sleep 600 & echo $! > rank{0}.part; mv rank{0}.part rank{0}; wait; sleep 600"
children = [
    Child(["/bin/sh", "-c", command.format(rank)], folder, {"PATH": "/usr/bin:/bin"}, folder / f"log{rank}")
    for rank in range(2)
]
run_children(children, lambda rank, line: None, StopRequest(), grace_seconds=600)
"""


def test_what_a_killed_harness_has_started_ends_with_it(tmp_path: Path) -> None:
    marks = [tmp_path / "rank0", tmp_path / "rank1"]
    with killed_at_last(subprocess.Popen([sys.executable, "-c", HARNESS, str(tmp_path)])) as harness:
        wait_until(lambda: all(mark.exists() for mark in marks))
        time.sleep(0.1)
        harness.send_signal(signal.SIGKILL)
    sleepers = [int(mark.read_text()) for mark in marks]
    deadline = time.monotonic() + 60
    while any(map(is_running, sleepers)) and time.monotonic() < deadline:
        time.sleep(0.02)
    left = [pid for pid in sleepers if is_running(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []


def test_groups_that_have_ended_are_left_alone(tmp_path: Path) -> None:
    with killed_at_last(subprocess.Popen(["sleep", "600"], start_new_session=True)) as stranger:
        with OrphanWatch(TOKEN) as watch:
            watch.add(stranger.pid)
            watch.remove(stranger.pid)
        assert stranger.poll() is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_what_was_seen_is_killed_unless_its_number_is_anothers_by_now() -> None:
    sleep = ["sleep", "600"]
    with killed_at_last(subprocess.Popen(sleep)) as child, killed_at_last(subprocess.Popen(sleep)) as stranger:
        started = start_time(child.pid)
        assert started is not None
        with OrphanWatch(TOKEN) as watch:
            watch.add(child.pid)  # no group of its own: nobody has this number
            watch.set_seen({child.pid: started, stranger.pid: "1"})
        assert child.wait(60) == -signal.SIGKILL
        assert stranger.poll() is None


def test_a_group_that_is_still_there_at_the_end_of_the_pipe_is_killed() -> None:
    with killed_at_last(subprocess.Popen(["sleep", "600"], start_new_session=True)) as child:
        with OrphanWatch(TOKEN) as watch:
            watch.add(child.pid)
        assert child.wait(60) == -signal.SIGKILL
