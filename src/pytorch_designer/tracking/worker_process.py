"""The worker's process as its parent sees it: start, what it has said, and end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pytorch_designer.mlflow_database import QUIET_ENVIRONMENT
from pytorch_designer.system.python_process import python_command

if TYPE_CHECKING:
    from collections.abc import Callable

_NICENESS = 10  # with 19 it starves where others keep the cores busy, and the end of the run waits for it
_REAP_SECONDS = 2.0

# Shorter than MLflow's own (7 retries of 120 s); what the user has set wins.
_DEFAULT_ENVIRONMENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
_FORCED_ENVIRONMENT = {**QUIET_ENVIRONMENT, "OMP_NUM_THREADS": "1"}


class WorkerState:
    """Messages of the worker so far, shared between the reader thread and `close`.

    Args:
        take: Called with each line of the worker.
    """

    def __init__(self, take: Callable[[dict[str, Any]], None]) -> None:
        self._take = take
        self._changed = threading.Condition()
        self._progress_at = time.monotonic()
        self._has_begun = False
        self._has_finished = False
        self.has_ended = False
        self.num_dropped = 0

    def follow(self, worker: subprocess.Popen[bytes]) -> None:
        """Take in the worker's lines until it ends."""
        assert worker.stdout is not None
        for line in worker.stdout:
            with suppress(ValueError):  # half a line of a worker that was killed
                reply = json.loads(line)
                with self._changed:
                    self._progress_at = time.monotonic()
                    self._has_begun = True
                    self._has_finished = self._has_finished or reply.get("finished", False)
                    self.num_dropped += reply.get("dropped", 0)
                    self._changed.notify_all()
                with suppress(OSError):  # nobody reads the log any more; the worker's lines are needed still
                    self._take(reply)
        self.end()

    def end(self) -> None:
        """No more lines will come."""
        with self._changed:
            self.has_ended = True
            self._changed.notify_all()

    def has_come_to_end(self, seconds: float) -> bool:
        """True if the worker finishes, or ends, within `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._has_finished or self.has_ended, seconds)

    def wait(self, import_seconds: float, stall_seconds: float, limit_seconds: float) -> bool:
        """True if the worker begins, and finishes within `limit_seconds`, never `stall_seconds` without progress."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._has_begun or self.has_ended, import_seconds):
                return False
            start = time.monotonic()
            while not (self._has_finished or self.has_ended):
                until = min(start + limit_seconds, max(start, self._progress_at) + stall_seconds)
                remaining = until - time.monotonic()
                if remaining <= 0:
                    break
                self._changed.wait(remaining)
            return self._has_finished


def start_worker() -> subprocess.Popen[bytes]:
    """Start the process that talks to MLflow. It imports MLflow, and then waits to be told of a destination.

    Raises:
        OSError: There is no memory or no process left.
    """
    flags = 0
    if sys.platform == "win32":  # elsewhere the worker ignores Ctrl-C itself
        flags = subprocess.BELOW_NORMAL_PRIORITY_CLASS | subprocess.CREATE_NEW_PROCESS_GROUP
    worker = subprocess.Popen(
        python_command("pytorch_designer.tracking.worker"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**_DEFAULT_ENVIRONMENT, **os.environ, **_FORCED_ENVIRONMENT},
        creationflags=flags,
    )
    if sys.platform != "win32":  # from its first moment on, which is when the training images are first read
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, worker.pid, os.getpriority(os.PRIO_PROCESS, 0) + _NICENESS)
    return worker


def stop_worker(worker: subprocess.Popen[bytes]) -> None:
    """End the process at once, if it has not ended. Safe to repeat."""
    end_process(worker)
    close_pipes(worker)


def end_process(worker: subprocess.Popen[bytes], *, wait_seconds: float = 0.0) -> None:
    """End the process, after giving it `wait_seconds` to end by itself; its pipes stay open."""
    with suppress(subprocess.TimeoutExpired):
        worker.wait(wait_seconds)
    worker.kill()
    with suppress(subprocess.TimeoutExpired):
        worker.wait(_REAP_SECONDS)


def close_pipes(worker: subprocess.Popen[bytes]) -> None:
    """Close both pipes of a process that has ended."""
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
