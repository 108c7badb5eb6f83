"""Event log of a pipeline run: numbered lines of JSON, appended while it goes on.

RUN/events.jsonl    {"number": 1, "time": 1764325749.1, "event": "run_started", ...}

    run_started     `pipeline`, `run_id`, `process_id`, and `nodes`: what each `needs` and its `num_processes`
    node_changed    `node`, and what pipeline.json says of it: state, error, fault, outputs ...
    node_sampled    `node`, its `memory_bytes` now, and `log_bytes`, how long the log of each process is
    run_ended       `state`, `seconds`, `outputs`

Numbers start at 1 and have no gaps; a second run in the same folder goes on counting. `time` is in seconds since 1970.
The lines that nodes print are in their logs (`runs.log_reading`), not here. A kill at any byte leaves whole lines and
at most one torn one, which readers do not see and the next writer removes.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytorch_designer.storage.output import writing_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

EVENTS_FILE = "events.jsonl"


@dataclass(frozen=True)
class RunEvent:
    """One event.

    Attributes:
        number: Its place in the log, from 1.
        time: Seconds since 1970.
        kind: `run_started`, `node_changed`, `node_sampled` or `run_ended`.
        fields: What else it says; see the module.
    """

    number: int
    time: float
    kind: str
    fields: Mapping[str, Any]


class EventLog:
    """Writer of the events of one run. For one thread of one process at a time.

    Args:
        run_folder: The run folder, which exists.

    Raises:
        FailedToWriteOutputsError: The log cannot be written.
    """

    def __init__(self, run_folder: Path) -> None:
        self._path = run_folder / EVENTS_FILE
        with writing_errors(self._path):
            self._file = self._path.open("ab", buffering=0)
            try:
                reader = EventReader(run_folder)
                self._number = max((event.number for event in reader.read()), default=0)
                self._file.truncate(reader.offset)
            except BaseException:
                self._file.close()
                raise
        self._num_bytes = reader.offset

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def write(self, kind: str, **fields: Any) -> None:
        """Append one event, all of it or nothing.

        Raises:
            FailedToWriteOutputsError: It cannot be written.
        """
        line = {"number": self._number + 1, "time": time.time(), "event": kind, **fields}
        data = (json.dumps(line) + "\n").encode()
        with writing_errors(self._path):
            try:
                if self._file.write(data) != len(data):
                    raise OSError("The disk is full")
            except OSError:
                self._file.truncate(self._num_bytes)
                raise
        self._number += 1
        self._num_bytes += len(data)


class EventReader:
    """Reader of the events of a run, which may go on meanwhile.

    Args:
        run_folder: The run folder.
        after: The number of the last event that is known already; 0: from the first.

    Attributes:
        offset: How many bytes of the log have been read: all whole events before it.
    """

    def __init__(self, run_folder: Path, after: int = 0) -> None:
        self._path = run_folder / EVENTS_FILE
        self._after = after
        self._number = 0
        self.offset = 0

    def read(self) -> Iterator[RunEvent]:
        """The events since the last call; none where there is no log.

        Raises:
            OSError: The log cannot be read.
        """
        if not self._path.is_file():
            return
        with self._path.open("rb") as stream:
            stream.seek(self.offset)
            for line in stream:
                event = _event(line, self._number + 1)
                if event is None:  # torn by a kill, or being written
                    return
                self._number = event.number
                self.offset += len(line)
                if event.number > self._after:
                    yield event


def log_sizes(files: tuple[Path, ...]) -> list[int]:
    """Number of bytes in each log; 0 where there is none yet."""
    return [path.stat().st_size if path.exists() else 0 for path in files]


def _event(line: bytes, number: int) -> RunEvent | None:
    if not line.endswith(b"\n"):
        return None
    try:
        fields = json.loads(line)
        if fields.pop("number") != number:
            return None
        return RunEvent(number, float(fields.pop("time")), str(fields.pop("event")), fields)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
