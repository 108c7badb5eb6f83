"""Processes that a job has left running outside its process groups: daemons with a session of their own.

Every process of a job inherits an environment variable with a token of the job, which Linux shows in /proc. In addition
the descendants of the job's processes are remembered while it runs, for those that have cleared their environment. A
daemon may clear it and lose its parents at once; the command `run` therefore adopts processes that have lost theirs.
Elsewhere than on Linux nothing is found.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.system.process_trees import descendants, start_time

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

MARK_VARIABLE = "DESIGNER_HARNESS_JOB"
_PROC = Path("/proc")
_TERM_SECONDS = 2.0
_KILL_SECONDS = 2.0
_POLL_SECONDS = 0.02
_SET_CHILD_SUBREAPER = 36


class LeftoverProcesses:
    """Search for the processes of one job, and their end.

    Attributes:
        token: Is in the environment of each of them.
    """

    def __init__(self) -> None:
        self.token = uuid.uuid4().hex
        self._seen: dict[int, str] = {}

    def variables(self) -> dict[str, str]:
        """Variables for the job's processes. A job inside a job has the tokens of both."""
        outer = os.environ.get(MARK_VARIABLE)
        return {MARK_VARIABLE: f"{outer}:{self.token}" if outer else self.token}

    def remember(self, pids: Iterable[int]) -> bool:
        """Record the processes of the job that run at the moment; whether there are new ones."""
        new = {pid: started for pid in pids if pid not in self._seen and (started := start_time(pid)) is not None}
        self._seen |= new
        return bool(new)

    def seen(self) -> dict[int, str]:
        """Start times, by number, of the recorded processes that still run."""
        self._seen = {pid: started for pid, started in self._seen.items() if start_time(pid) == started}
        return self._seen

    def ask_to_end(self, groups: Collection[int]) -> None:
        """SIGTERM to those that are in none of these process groups."""
        for pid in self._running():
            with suppress(ProcessLookupError, PermissionError):
                if os.getpgid(pid) not in groups:
                    os.kill(pid, signal.SIGTERM)

    def end(self, grace_seconds: float) -> None:
        """End all that still run: SIGTERM, and SIGKILL after at most two seconds or the grace period."""
        if not self._running():
            return
        self.ask_to_end(())
        self._wait(min(grace_seconds, _TERM_SECONDS))
        deadline = time.monotonic() + _KILL_SECONDS
        while (left := self._running()) and time.monotonic() < deadline:  # one may have started another meanwhile
            for pid in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_POLL_SECONDS)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._running() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def _running(self) -> list[int]:
        found = {*self.seen(), *self._marked()}
        return sorted(pid for pid in descendants(found) if pid != os.getpid())

    def _marked(self) -> Iterator[int]:
        token = self.token.encode()
        with suppress(OSError):
            for entry in os.scandir(_PROC):
                if entry.name.isdecimal():
                    with suppress(OSError):  # another user's, or gone meanwhile
                        if token in (_PROC / entry.name / "environ").read_bytes():
                            yield int(entry.name)


@contextmanager
def adopted_orphans() -> Iterator[None]:
    """Become the parent of processes that lose theirs while the context lasts, and kill them at its end.

    For a process that starts nothing but jobs: children that others start in it meanwhile would be killed too.
    """
    before = {*descendants([os.getpid()])}
    if not _adopts(True):
        yield
        return
    try:
        yield
    finally:
        deadline = time.monotonic() + _KILL_SECONDS
        while (left := _new_descendants(before)) and time.monotonic() < deadline:
            for pid in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_POLL_SECONDS)
        _adopts(False)


def _new_descendants(before: Collection[int]) -> list[int]:
    """Those that still run; what has ended and was adopted is released."""
    left = []
    for pid in descendants([os.getpid()]):
        if pid not in before and pid != os.getpid():
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
            if start_time(pid) is not None:
                left.append(pid)
    return left


def _adopts(is_on: bool) -> bool:
    """True if this process was made the one that adopts, or no longer is."""
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    return bool(ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, int(is_on), 0, 0, 0) == 0)
