"""Log of a project's documents that were renamed, removed and brought back.

    STATE/projects/KEY/moves.jsonl    one record per line, appended and flushed

Runs name the document as it was called when they started; the log says what it is called now. A line that a killed
process has left torn is left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import FailedToWriteOutputsError
from pytorch_designer.system.regular_files import read_regular
from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    from pathlib import Path

_RENAMED, _REMOVED, _BACK = "renamed", "removed", "back"


@dataclass(frozen=True)
class RemovedDocument:
    """A document that was removed, and can be brought back.

    Attributes:
        path: Where it was, relative to the project.
        version: The version of its text in its journal.
        mode: The permissions of its file.
        time: When, in seconds since 1970.
    """

    path: str
    version: str
    mode: int
    time: float

    @property
    def removal(self) -> str:
        """The identifier of this removal."""
        return f"{self.time!r}-{self.version}"


@dataclass(frozen=True)
class _Rename:
    source: str
    target: str
    time: float


class MoveLog:
    """Log of one project.

    Args:
        project: The project's folder.
        state_folder: The user's folder for the state of programs.
    """

    def __init__(self, project: Path, state_folder: Path) -> None:
        key = hashlib.sha256(os.fsencode(resolved(project))).hexdigest()[:24]
        self._file = state_folder / "projects" / key / "moves.jsonl"
        self._stamp: tuple[int, int] | None = None
        self._renames: list[_Rename] = []
        self._removed: dict[str, RemovedDocument] = {}

    def add_rename(self, source: str, target: str) -> None:
        """Record that a document has another name."""
        self._append(_RENAMED, asdict(_Rename(source, target, time.time())))

    def take_back(self, source: str, target: str) -> None:
        """Record that a document was not renamed after all, if that was recorded."""
        self._read()
        if self._renames and (self._renames[-1].source, self._renames[-1].target) == (source, target):
            self.add_rename(target, source)

    def add_removal(self, path: str, version: str, mode: int) -> RemovedDocument:
        """Record that a document is about to be removed."""
        removed = RemovedDocument(path, version, mode, time.time())
        self._append(_REMOVED, asdict(removed))
        return removed

    def add_return(self, removed: RemovedDocument) -> None:
        """Record that a document is there again."""
        self._append(_BACK, {"removal": removed.removal})

    def removed(self) -> list[RemovedDocument]:
        """The documents that were removed and not brought back, the latest first."""
        self._read()
        return sorted(self._removed.values(), key=lambda removed: removed.time, reverse=True)

    def path_now(self, path: str, since: float) -> str:
        """What the document is called now that was called `path` at a time."""
        self._read()
        for rename in self._renames:
            if rename.time >= since and rename.source == path:
                path = rename.target
        return path

    def latest_path(self, path: str) -> str:
        """What the last document is called now that was called `path`; `path` where none was renamed."""
        self._read()
        times = [rename.time for rename in self._renames if rename.source == path]
        return self.path_now(path, times[-1]) if times else path

    def _append(self, kind: str, facts: dict[str, Any]) -> None:
        line = json.dumps({"kind": kind, **facts}, sort_keys=True).encode() + b"\n"
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("ab") as stream:
                stream.write(b"\n" + line if self._is_torn() else line)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise FailedToWriteOutputsError(
                f"The change could not be recorded: {error.strerror or error}.",
                where=self._file,
                advice="Make the folder writable, or set XDG_STATE_HOME to one that is.",
                reason="no_state_folder",
            ) from error

    def _is_torn(self) -> bool:
        with self._file.open("rb") as stream:
            return stream.seek(0, os.SEEK_END) > 0 and stream.seek(-1, os.SEEK_END) >= 0 and stream.read(1) != b"\n"

    def _read(self) -> None:
        try:
            status = self._file.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp == self._stamp:
                return
            lines = read_regular(self._file).splitlines()
        except OSError:  # there is none yet
            return
        self._stamp, self._renames, self._removed = stamp, [], {}
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            kind = record.pop("kind")
            if kind == _RENAMED:
                self._renames.append(_Rename(**record))
            elif kind == _REMOVED:
                removed = RemovedDocument(**record)
                self._removed[removed.removal] = removed
            elif kind == _BACK:
                self._removed.pop(record["removal"], None)
        except (ValueError, TypeError, KeyError, AttributeError):
            return
