"""The process that talks to MLflow, started by `mlflow_tracker`.

It begins with importing MLflow. Standard input, a JSON object a line: first the fields of a `Destination`, then
entries, then `close`.

    {"parameters": {name: text}}
    {"metrics": {name: number}, "step": 3, "timestamp": 1700000000000, "is_past": false}
    {"tag": name, "value": text}
    {"dataset": name, "context": "training", "source": text, "digest": text, "profile": {name: number}}
    {"model": folder, "report": folder}
    {"close": "FINISHED" or "FAILED", "timestamp": 1700000000000}

Standard output, likewise: `{"progress": true}` after each step forward, `{"run_id": text}` once the run is known,
`{"note": text}`, `{"problem": text}`, with `"is_fatal": true` where it is the last word, `{"dropped": 1}` for an entry
that came too fast, `{"finished": true}`.
The end of standard input without `close` means that the parent was killed: the process ends within
`GRACE_SECONDS`, whatever it is doing. It creates and continues no run any more, since the training may have been
started again: its process would not find the run that is created in this moment, nor expect another end than its own.
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
from functools import partial
from typing import IO, TYPE_CHECKING, Any, NoReturn

from pytorch_designer.errors import DesignerError
from pytorch_designer.imports import quick_import
from pytorch_designer.tracking.destination import Destination, destination_from_environment
from pytorch_designer.tracking.recorder import Recorder, describe_error

if TYPE_CHECKING:
    from types import TracebackType

GRACE_SECONDS = 5.0
_MAX_WAITING = 10_000  # entries


def main() -> NoReturn:
    """Record what comes in until the parent closes or ends."""
    _leave_signals_to_parent()
    replies = _take_standard_output()

    def report_fault(_kind: type[BaseException], error: BaseException, _traceback: TracebackType | None) -> None:
        what = error.what if isinstance(error, DesignerError) else describe_error(error)
        _reply(replies, {"problem": what, "is_fatal": True})
        os._exit(1)

    sys.excepthook = report_fault
    incoming: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    is_orphan = threading.Event()
    threading.Thread(target=_read_parent, args=(incoming, replies, is_orphan), daemon=True).start()
    _import_mlflow()
    _reply(replies, {"progress": True})
    first = incoming.get()
    if "close" in first:  # nothing was to be tracked
        os._exit(0)
    recorder = Recorder(Destination(**first), partial(_reply, replies), partial(_end_if, is_orphan))
    while recorder.record(_take_waiting(incoming)):
        pass
    _reply(replies, {"finished": True})
    # A normal exit would abort, since the reading thread holds the lock of standard input.
    os._exit(0)


def _import_mlflow() -> None:
    """Import what `Recorder` will need, the store of a local database included."""
    with quick_import("mlflow"):
        importlib.import_module("mlflow")
        if destination_from_environment("").is_local:
            importlib.import_module("mlflow.store.tracking.sqlalchemy_store")


def _read_parent(incoming: queue.SimpleQueue[dict[str, Any]], replies: IO[bytes], is_orphan: threading.Event) -> None:
    """Reader that never waits for the server, so that the parent's end is seen at once and memory stays bounded."""
    with suppress(ValueError):  # half a line of a parent that was killed
        for line in sys.stdin.buffer:
            if incoming.qsize() < _MAX_WAITING or b'"close"' in line:
                incoming.put(json.loads(line))
            else:
                _reply(replies, {"dropped": 1})
    is_orphan.set()
    incoming.put({"close": "KILLED"})
    time.sleep(GRACE_SECONDS)
    os._exit(1)


def _end_if(is_orphan: threading.Event) -> None:
    if is_orphan.is_set():
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


def _take_standard_output() -> IO[bytes]:
    """Keep standard output for the replies, and give everything else that prints the null device."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
    return replies


def _leave_signals_to_parent() -> None:
    # Ctrl-C, a job's SIGTERM and a closed terminal's SIGHUP reach every process of the group; the parent still has its
    # last metrics to send.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


if __name__ == "__main__":
    main()
