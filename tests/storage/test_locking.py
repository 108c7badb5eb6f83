"""Locks between processes: they keep others out, die with their owner, and are none where the mount knows none."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from filelock import Timeout

from pytorch_designer.storage.locking import held_lock
from tests.waiting import killed_at_last

if TYPE_CHECKING:
    from pathlib import Path

HOLDER = """
import sys
from pathlib import Path
from pytorch_designer.storage.locking import held_lock
with held_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_others_are_kept_out_until_the_owner_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with killed_at_last(process) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "held\n"
        with pytest.raises(Timeout), held_lock(tmp_path / "lock", timeout_seconds=0):
            pass
        owner.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        owner.wait()
    with held_lock(tmp_path / "lock", timeout_seconds=0):
        pass


@pytest.mark.skipif(os.name != "posix", reason="POSIX locks")
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP])
def test_a_mount_without_locks_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    import fcntl

    def missing(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", missing)
    (tmp_path / "lock").write_text("4711\nanother-node\n")  # as the library leaves it of a node that was preempted
    with held_lock(tmp_path / "lock", timeout_seconds=0), held_lock(tmp_path / "lock", timeout_seconds=0):
        pass


def test_a_lock_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(OSError, match="lock"), held_lock(tmp_path / "lock", timeout_seconds=0):
        pass
