"""Mark of a folder that the harness made, and in which it may therefore remove what it has left there.

`.pytorch-designer` holds one line that says what the folder is. Other programs write files called `run.json`, `outputs`
or `entries`, the training report of this project among them; nothing else writes this line.
"""

from __future__ import annotations

import shutil
import time
from enum import Enum
from typing import TYPE_CHECKING

from pytorch_designer.storage.output import write_atomically

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

MARK_FILE = ".pytorch-designer"
_ATTEMPTS, _WAIT_SECONDS = 5, 0.05
_MAX_BYTES = 200
_UNFINISHED = f".{MARK_FILE}.partial"  # what a kill inside `write_atomically` leaves


class FolderKind(Enum):
    """Kind of a marked folder, by the line in its mark."""

    JOB = "pytorch-designer: the run folder of a job"
    PIPELINE = "pytorch-designer: the run folder of a pipeline"
    CACHE = "pytorch-designer: kept results of pipeline nodes"

    def marks(self, folder: Path) -> bool:
        """True if `folder` has this mark."""
        path = folder / MARK_FILE
        if path.is_symlink() or not path.is_file():
            return False
        try:
            with path.open("rb") as stream:
                return stream.read(_MAX_BYTES) == self._line
        except OSError:
            return False

    def mark(self, folder: Path) -> None:
        """Write the mark, if it is not there yet.

        Raises:
            OSError: It cannot be written.
        """
        for attempts_left in reversed(range(_ATTEMPTS)):
            if self.marks(folder):
                return
            try:
                write_atomically(folder / MARK_FILE, self._line)
            except (FileExistsError, FileNotFoundError):  # others mark it at this moment, by the same temporary name
                if not attempts_left:
                    raise
                time.sleep(_WAIT_SECONDS)

    @property
    def _line(self) -> bytes:
        return f"{self.value}\n".encode()


def foreign_entries(folder: Path, expected: Collection[Path] = ()) -> list[str]:
    """The names of what is in an unmarked `folder`, sorted.

    Args:
        folder: The folder.
        expected: Absolute paths that may be there; what is beside them is found.

    Raises:
        OSError: A folder cannot be listed.
    """
    found = []
    pending = [folder]
    while pending:
        for entry in pending.pop().iterdir():
            if any(entry in path.parents for path in expected):
                pending.append(entry)
            elif entry not in expected and entry.name not in {MARK_FILE, _UNFINISHED}:
                found.append(str(entry.relative_to(folder)))
    return sorted(found)


def remove_own(path: Path) -> None:
    """Remove a file or folder of a marked folder; of a link, the link alone.

    Raises:
        OSError: It cannot be removed.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
