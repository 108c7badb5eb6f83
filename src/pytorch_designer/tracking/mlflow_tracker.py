"""MLflow tracker: a pipe to the process that talks to MLflow.

MLflow takes seconds to import, its servers can be slow, down or silent, and its plugins write to the terminal. All of
that happens in `pytorch_designer.tracking.worker`, a process of its own with lowered priority. Here are a bounded queue
and two threads that move lines of JSON:

    training thread -> queue -> writer thread -> stdin of the worker     a destination, then entries, then a close
    close()         <- state <- reader thread <- stdout of the worker    progress, problems, finished
"""

from __future__ import annotations

import json
import math
import os
import queue
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import shorten
from pytorch_designer.mlflow_database import QUIET_ENVIRONMENT
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytorch_designer.tracking.destination import Destination

IMPORT_SECONDS = 60.0  # on a busy machine; no server is to blame for it
STALL_SECONDS = 8.0
LIMIT_SECONDS = 20.0
LOCAL_STALL_SECONDS = 60.0  # making the database takes seconds, on a busy machine many
LOCAL_LIMIT_SECONDS = 120.0
URGENT_SECONDS = 10.0
_NICENESS = 10  # with 19 it starves where others keep the cores busy, and the end of the run waits for it
_QUEUE_SIZE = 10_000
_REAP_SECONDS = 2.0
_MAX_VALUE = 500  # characters of a parameter or tag: the least that any of MLflow's stores takes
_MAX_PROBLEM = 300

# Shorter than MLflow's own (7 retries of 120 s); what the user has set wins.
_DEFAULT_ENVIRONMENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
_FORCED_ENVIRONMENT = {**QUIET_ENVIRONMENT, "OMP_NUM_THREADS": "1"}


class MlflowTracker:
    """A `Tracker` that records to one MLflow run.

    Args:
        destination: The run.
        worker: The process that `start_worker` has started; None: it is started now.
        stall_seconds: How long `close` waits while the worker shows no progress; None: by the kind of destination.
        limit_seconds: How long `close` waits at most once MLflow is imported; None: by the kind of destination.
    """

    def __init__(
        self,
        destination: Destination,
        *,
        worker: subprocess.Popen[bytes] | None = None,
        stall_seconds: float | None = None,
        limit_seconds: float | None = None,
    ) -> None:
        self._destination = destination
        is_local = destination.is_local
        self._import_seconds = stall_seconds or IMPORT_SECONDS
        self._stall_seconds = stall_seconds or (LOCAL_STALL_SECONDS if is_local else STALL_SECONDS)
        self._limit_seconds = limit_seconds or (LOCAL_LIMIT_SECONDS if is_local else LIMIT_SECONDS)
        self._outgoing: queue.Queue[dict[str, Any]] = queue.Queue(_QUEUE_SIZE)
        self._num_dropped = 0
        self._is_closed = False
        self._state = _WorkerState()
        self._worker = worker
        self._threads: tuple[threading.Thread, ...] = ()
        self._send(asdict(destination))
        try:
            self._worker = worker or start_worker()
        except OSError as error:  # no memory, no processes left: training must not mind
            self._state.end(problem=f"its process could not be started ({error})")
            return
        self._threads = tuple(
            threading.Thread(target=target, args=(self._worker,), name="mlflow-tracker", daemon=True)
            for target in (self._write, self._state.follow)
        )
        for thread in self._threads:
            thread.start()

    @property
    def description(self) -> str:
        """Where the run is tracked, as one line without secrets."""
        return self._destination.description

    def log_parameters(self, parameters: Mapping[str, str | int | float]) -> None:
        """Record what the run was given. Values that are too long are shortened."""
        self._send({"parameters": {name: _text(str(value)) for name, value in parameters.items()}})

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Record measurements at `step`, stamped with the present time; NaN and infinity are allowed."""
        values = {name: float(value) for name, value in metrics.items()}
        self._send({"metrics": values, "step": step, "timestamp": time.time_ns() // 1_000_000})

    def set_tag(self, name: str, value: str) -> None:
        """Record a tag of the run, instead of an earlier value."""
        self._send({"tag": name, "value": _text(value)})

    def close(self, *, failed: bool = False, is_urgent: bool = False) -> str | None:
        """Deliver what is outstanding and end the run, if it was created here; see `Tracker`."""
        if self._is_closed:
            return None
        self._is_closed = True
        longest = URGENT_SECONDS / 3 if is_urgent else math.inf  # three waits, one after the other
        import_seconds, stall_seconds, limit_seconds = (
            min(seconds, longest) for seconds in (self._import_seconds, self._stall_seconds, self._limit_seconds)
        )
        with suppress(queue.Full):
            timeout = 0 if self._state.has_ended else stall_seconds
            self._outgoing.put({"close": "FAILED" if failed else "FINISHED"}, timeout=timeout)
        has_finished = self._state.wait(import_seconds, stall_seconds, limit_seconds)
        verdict = self._verdict(has_finished)  # before the kill, which looks like a fault of the worker
        self._stop_worker(at_once=not has_finished)
        return verdict

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._outgoing.put_nowait(message)
        except queue.Full:
            self._num_dropped += 1

    def _write(self, worker: subprocess.Popen[bytes]) -> None:
        assert worker.stdin is not None  # noqa: S101
        with suppress(OSError):  # the worker has ended, and the reader thread knows
            while True:
                message = self._outgoing.get()
                worker.stdin.write(json.dumps(message).encode() + b"\n")
                worker.stdin.flush()
                if "close" in message:
                    return

    def _stop_worker(self, *, at_once: bool) -> None:
        if self._worker is None:
            return
        if not at_once:
            with suppress(subprocess.TimeoutExpired):
                self._worker.wait(_REAP_SECONDS)
        _kill(self._worker)
        for thread in self._threads:  # before the pipes are closed under them
            thread.join(_REAP_SECONDS)
        _close_pipes(self._worker)

    def _verdict(self, has_finished: bool) -> str | None:
        problem = self._state.problem
        if problem is None and not has_finished:
            problem = f"{self._destination.public_uri} did not answer in time"
        num_dropped = self._num_dropped + self._state.num_dropped
        if problem is None and num_dropped:
            problem = f"{count(num_dropped, 'entry', 'entries')} came faster than they could be sent"
        if problem is None:
            return None
        extent = "did not fully work" if has_finished else "did not work"
        reason = shorten(self._destination.redact(problem), _MAX_PROBLEM).rstrip(". ")
        return f"MLflow tracking {extent}: {reason}; the run is not affected."


class _WorkerState:
    """What the worker has said so far, shared between the reader thread and `close`."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._progress_at = time.monotonic()
        self._has_begun = False
        self._has_finished = False
        self.has_ended = False
        self.num_dropped = 0
        self.problem: str | None = None

    def follow(self, worker: subprocess.Popen[bytes]) -> None:
        """Take in the worker's lines until it ends."""
        assert worker.stdout is not None  # noqa: S101
        for line in worker.stdout:
            with self._changed, suppress(ValueError):  # half a line of a worker that was killed
                reply = json.loads(line)
                self._progress_at = time.monotonic()
                self._has_begun = True
                self._has_finished = self._has_finished or reply.get("finished", False)
                self.num_dropped += reply.get("dropped", 0)
                self.problem = self.problem or reply.get("problem")
                self._changed.notify_all()
        self.end(problem=None if self._has_finished else "its process ended early")

    def end(self, problem: str | None) -> None:
        """No more lines will come."""
        with self._changed:
            self.has_ended = True
            self.problem = self.problem or problem
            self._changed.notify_all()

    def wait(self, import_seconds: float, stall_seconds: float, limit_seconds: float) -> bool:
        """Whether the worker begins, and finishes within `limit_seconds`, never `stall_seconds` without progress."""
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
        [sys.executable, "-m", "pytorch_designer.tracking.worker"],
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
    _kill(worker)
    _close_pipes(worker)


def _kill(worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    with suppress(subprocess.TimeoutExpired):
        worker.wait(_REAP_SECONDS)


def _close_pipes(worker: subprocess.Popen[bytes]) -> None:
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()


def _text(value: str) -> str:
    encodable = value.encode("utf-8", "backslashreplace").decode()
    return encodable if len(encodable) <= _MAX_VALUE else encodable[: _MAX_VALUE - 3] + "..."
