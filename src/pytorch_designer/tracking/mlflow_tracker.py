"""MLflow tracker: a pipe to the process that talks to MLflow.

MLflow takes seconds to import, its servers can be slow, down or silent, and its plugins write to the terminal. All of
that happens in `pytorch_designer.tracking.worker`, a process of its own with lowered priority. Here are a bounded queue
and two threads that move lines of JSON:

    training thread -> queue -> writer thread -> stdin of the worker     a destination, then entries, then a close
    close()         <- state <- reader thread <- stdout of the worker    progress, problems, finished
"""

from __future__ import annotations

import json
import logging
import math
import queue
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import shorten
from pytorch_designer.tracking.destination import RunReference
from pytorch_designer.tracking.worker_process import WorkerState, close_pipes, end_process, start_worker
from pytorch_designer.wording import count

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from pathlib import Path

    from pytorch_designer.tracking.destination import Destination
    from pytorch_designer.tracking.tracker import TrackedDataset

_log = logging.getLogger(__name__)

IMPORT_SECONDS = 60.0  # on a busy machine; no server is to blame for it
STALL_SECONDS = 8.0
LIMIT_SECONDS = 20.0
LOCAL_STALL_SECONDS = 30.0  # making the database takes seconds, on a busy machine many
LOCAL_LIMIT_SECONDS = 60.0
URGENT_SECONDS = 10.0
_SILENT_SECONDS = 3.0  # a longer wait is announced
_QUEUE_SIZE = 10_000
_REAP_SECONDS = 2.0
_MAX_VALUE = 500  # characters of a parameter or tag: the least that any of MLflow's stores takes
_MAX_DIGEST = 36  # characters of a dataset's digest: what MLflow takes
_MAX_PROBLEM = 300


class MlflowTracker:
    """A `Tracker` that records to one MLflow run. A failure is logged once, as soon as it is known.

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
        self._has_warned = threading.Event()
        self.run = RunReference(destination.key, destination.earlier_run_id)
        self._state = WorkerState(self._take)
        self._worker = worker
        self._threads: tuple[threading.Thread, ...] = ()
        self._send(asdict(destination))
        try:
            self._worker = worker or start_worker()
        except OSError as error:  # no memory, no processes left: training must not mind
            self._state.end()
            self._warn(f"its process could not be started ({error})", is_fatal=True)
            return
        self._threads = tuple(
            threading.Thread(target=target, args=(self._worker,), name="mlflow-tracker", daemon=True)
            for target in (self._write, self._state.follow)
        )
        for thread in self._threads:
            thread.start()

    @property
    def description(self) -> str:
        """Place where the run is tracked, as one line without secrets."""
        return self._destination.description

    def log_parameters(self, parameters: Mapping[str, str | int | float]) -> None:
        """Record what the run was given. Values that are too long are shortened."""
        self._send({"parameters": {name: _text(str(value)) for name, value in parameters.items()}})

    def log_metrics(self, metrics: Mapping[str, float], step: int, *, is_past: bool = False) -> None:
        """Record measurements at `step`, stamped with the present time; see `Tracker`."""
        values = {name: float(value) for name, value in metrics.items()}
        self._send({"metrics": values, "step": step, "timestamp": _now_ms(), "is_past": is_past})

    def set_tag(self, name: str, value: str) -> None:
        """Record a tag of the run, instead of an earlier value."""
        self._send({"tag": name, "value": _text(value)})

    def log_dataset(self, dataset: TrackedDataset) -> None:
        """Record images that the run works with."""
        profile = {"num_rows": dataset.num_images, "num_classes": dataset.num_classes}  # `num_rows` is MLflow's name
        self._send(
            {
                "dataset": _text(dataset.name),
                "context": dataset.context,
                "source": _text(dataset.source),
                "digest": dataset.fingerprint[:_MAX_DIGEST],
                "profile": profile,
            }
        )

    def log_result(self, model: Path, report: Path) -> None:
        """Record where the model is, and a copy of its report, where MLflow's database is on this machine."""
        self._send({"model": _text(str(model.absolute())), "report": str(report.absolute())})

    def close(self, *, failed: bool = False, is_urgent: bool = False) -> None:
        """Deliver what is outstanding and end the run, if it was created here; see `Tracker`."""
        if self._is_closed:
            return
        self._is_closed = True
        longest = URGENT_SECONDS / 3 if is_urgent else math.inf  # three waits, one after the other
        import_seconds, stall_seconds, limit_seconds = (
            min(seconds, longest) for seconds in (self._import_seconds, self._stall_seconds, self._limit_seconds)
        )
        with suppress(queue.Full):
            timeout = 0 if self._state.has_ended else stall_seconds
            self._outgoing.put({"close": "FAILED" if failed else "FINISHED", "timestamp": _now_ms()}, timeout=timeout)
        if not is_urgent and not self._state.has_come_to_end(_SILENT_SECONDS):
            _log.info("Waiting for MLflow to take the last values, %.0f s at most.", limit_seconds)
        has_finished = self._state.wait(import_seconds, stall_seconds, limit_seconds)
        self._warn_at_end(has_finished)  # before the kill, which looks like a fault of the worker
        self._stop_worker(at_once=not has_finished)

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._outgoing.put_nowait(message)
        except queue.Full:
            self._num_dropped += 1

    def _write(self, worker: subprocess.Popen[bytes]) -> None:
        assert worker.stdin is not None
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
        end_process(self._worker, wait_seconds=0 if at_once else _REAP_SECONDS)
        for thread in self._threads:  # before the pipes are closed under them
            thread.join(_REAP_SECONDS)
        close_pipes(self._worker)

    def _take(self, reply: dict[str, Any]) -> None:
        """Act on a line of the worker; on the reader's thread."""
        if "run_id" in reply:
            self.run.run_id = reply["run_id"]
        if "note" in reply:
            _log.warning("MLflow: %s.", self._shown(reply["note"]))
        if "problem" in reply:
            self._warn(reply["problem"], is_fatal=reply.get("is_fatal", False))

    def _warn_at_end(self, has_finished: bool) -> None:
        num_dropped = self._num_dropped + self._state.num_dropped
        if self._state.has_ended and not has_finished:
            self._warn("its process ended early", is_fatal=True)
        elif not has_finished:
            self._warn(f"{self._destination.public_uri} did not answer in time", is_fatal=True)
        elif num_dropped:
            self._warn(f"{count(num_dropped, 'entry', 'entries')} came faster than they could be sent", is_fatal=False)

    def _warn(self, problem: str, *, is_fatal: bool) -> None:
        if self._has_warned.is_set():
            return
        self._has_warned.set()
        extent = "does not work" if is_fatal else "does not fully work"
        _log.warning("MLflow tracking %s: %s; the run is not affected.", extent, self._shown(problem))

    def _shown(self, text: str) -> str:
        return shorten(self._destination.redact(text).rstrip(". "), _MAX_PROBLEM)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _text(value: str) -> str:
    encodable = value.encode("utf-8", "backslashreplace").decode()
    return encodable if len(encodable) <= _MAX_VALUE else encodable[: _MAX_VALUE - 3] + "..."
