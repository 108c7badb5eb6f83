"""The process that talks to MLflow: `python -m pytorch_designer.tracking.worker`, started by `mlflow_tracker`.

It begins with importing MLflow. Standard input, a JSON object a line: first the fields of a `Destination`, then
entries, then `close`.

    {"parameters": {name: text}}
    {"metrics": {name: number}, "step": 3, "timestamp": 1700000000000}
    {"tag": name, "value": text}
    {"close": "FINISHED" or "FAILED"}

Standard output, likewise: `{"progress": true}` after each step forward, `{"problem": text}`, `{"dropped": 1}` for an
entry that came too fast, `{"finished": true}`.
The end of standard input without `close` means that the parent was killed: the process ends within
`GRACE_SECONDS`, whatever it is doing.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, NoReturn

from pytorch_designer.errors import DesignerError
from pytorch_designer.imports import quick_import
from pytorch_designer.mlflow_database import create_database, make_tables
from pytorch_designer.tracking.destination import Destination, destination_from_environment

if TYPE_CHECKING:
    from types import TracebackType

    from mlflow import MlflowClient

GRACE_SECONDS = 5.0
_MAX_ENTRIES = 100  # in one request: the least that any of MLflow's stores takes
_MAX_WAITING = 10_000  # entries
_TAGS = {"mlflow.source.name": "pytorch-designer", "mlflow.source.type": "JOB"}


def main() -> NoReturn:
    """Record what comes in until the parent closes or ends."""
    _leave_signals_to_parent()
    replies = _take_standard_output()

    def report_fault(kind: type[BaseException], error: BaseException, _traceback: TracebackType | None) -> None:
        _reply(replies, {"problem": _describe(error, kind)})
        os._exit(1)

    sys.excepthook = report_fault
    incoming: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read_parent, args=(incoming, replies), daemon=True).start()
    _import_mlflow()
    _reply(replies, {"progress": True})
    first = incoming.get()
    if "close" in first:  # nothing was to be tracked
        os._exit(0)
    recorder = _Recorder(Destination(**first), replies)
    while recorder.record(_take_waiting(incoming)):
        pass
    _reply(replies, {"finished": True})
    # A normal exit would abort, since the reading thread holds the lock of standard input.
    os._exit(0)


def _import_mlflow() -> None:
    """Import what `_Recorder` will need, the store of a local database included."""
    with quick_import("mlflow"):
        importlib.import_module("mlflow")
        if destination_from_environment("").is_local:
            importlib.import_module("mlflow.store.tracking.sqlalchemy_store")


class _Recorder:
    """One MLflow run, written to. What MLflow refuses is reported and left out; the rest goes on."""

    def __init__(self, destination: Destination, replies: IO[bytes]) -> None:
        from mlflow import MlflowClient

        self._replies = replies
        if destination.database is not None and not destination.database.exists():
            create_database(destination.database, make_tables)
            _reply(replies, {"progress": True})
        self._client = MlflowClient(tracking_uri=destination.tracking_uri)
        _reply(replies, {"progress": True})
        self._is_own = destination.run_id is None
        self._run_id = destination.run_id or _create_run(self._client, destination)
        _reply(replies, {"progress": True})

    def record(self, entries: list[dict[str, Any]]) -> bool:
        """Write `entries`; whether more may follow."""
        self._log_metrics([entry for entry in entries if "metrics" in entry])
        for entry in entries:
            if "parameters" in entry:
                self._log_parameters(entry["parameters"])
            elif "tag" in entry:
                self._attempt(
                    f"the tag {entry['tag']}", self._client.set_tag, self._run_id, entry["tag"], entry["value"]
                )
            elif "close" in entry:
                if self._is_own:
                    self._attempt("the end of the run", self._client.set_terminated, self._run_id, entry["close"])
                return False
        return True

    def _log_metrics(self, entries: list[dict[str, Any]]) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, entry["timestamp"], entry["step"])
            for entry in entries
            for name, value in entry["metrics"].items()
        ]
        for start in range(0, len(metrics), _MAX_ENTRIES):
            chunk = metrics[start : start + _MAX_ENTRIES]
            self._attempt(f"{len(chunk)} metrics", self._client.log_batch, self._run_id, metrics=chunk)

    def _log_parameters(self, parameters: dict[str, str]) -> None:
        from mlflow.entities import Param

        # One at a time: a resumed run may have logged another value before, which MLflow refuses for the whole batch.
        for name, value in parameters.items():
            batch = [Param(name, value)]
            self._attempt(f"the parameter {name}", self._client.log_batch, self._run_id, params=batch)

    def _attempt(self, what: str, call: Any, *arguments: Any, **keywords: Any) -> None:
        from mlflow.exceptions import MlflowException

        try:
            call(*arguments, **keywords)
        except (MlflowException, OSError) as error:
            _reply(self._replies, {"problem": f"{what} could not be recorded: {_describe(error)}"})
        else:
            _reply(self._replies, {"progress": True})


def _create_run(client: MlflowClient, destination: Destination) -> str:
    run = client.create_run(_experiment_id(client, destination), run_name=destination.run_name, tags=_TAGS)
    run_id: str = run.info.run_id
    return run_id


def _experiment_id(client: MlflowClient, destination: Destination) -> str:
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(destination.experiment)
    if experiment is None:
        try:
            return str(client.create_experiment(destination.experiment, destination.artifact_location))
        except MlflowException:  # another run may have created it in this moment
            experiment = client.get_experiment_by_name(destination.experiment)
            if experiment is None:
                raise
    return str(experiment.experiment_id)


def _read_parent(incoming: queue.SimpleQueue[dict[str, Any]], replies: IO[bytes]) -> None:
    """Reader that never waits for the server, so that the parent's end is seen at once and memory stays bounded."""
    with suppress(ValueError):  # half a line of a parent that was killed
        for line in sys.stdin.buffer:
            if incoming.qsize() < _MAX_WAITING or b'"close"' in line:
                incoming.put(json.loads(line))
            else:
                _reply(replies, {"dropped": 1})
    incoming.put({"close": "KILLED"})
    time.sleep(GRACE_SECONDS)
    os._exit(1)


def _take_waiting(incoming: queue.SimpleQueue[dict[str, Any]]) -> list[dict[str, Any]]:
    waiting = [incoming.get()]
    with suppress(queue.Empty):
        while "close" not in waiting[-1]:
            waiting.append(incoming.get_nowait())
    return waiting


def _reply(replies: IO[bytes], message: dict[str, Any]) -> None:
    with suppress(OSError):  # the parent is gone; the end of standard input ends this process
        replies.write(json.dumps(message).encode() + b"\n")
        replies.flush()


def _describe(error: BaseException, kind: type[BaseException] | None = None) -> str:
    if isinstance(error, DesignerError):
        return error.what
    first_line = str(error).strip().partition("\n")[0]
    return f"{(kind or type(error)).__name__}: {first_line}"


def _take_standard_output() -> IO[bytes]:
    """Keep standard output for the replies, and give everything else that prints the null device."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
    return replies


def _leave_signals_to_parent() -> None:
    # Ctrl-C and a job's SIGTERM reach every process of the group; the parent still has its last metrics to send.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    main()
