"""Logs of a job, read by offset while it runs or later: each part says where the next one begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.errors import UnknownNameError
from pytorch_designer.system.regular_files import open_regular_file

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.harness.job.node import NodeResult

_MAX_BYTES = 1 << 20
_CUT = b"\n\r"


@dataclass(frozen=True)
class LogPart:
    """Part of a log.

    Attributes:
        text: Its text; bytes that are not UTF-8 are replaced. May hold escape sequences, as processes write them.
        offset: Where it begins, in bytes.
        next_offset: Where the next part begins.
        num_bytes: How long the log is at the moment.
    """

    text: str
    offset: int
    next_offset: int
    num_bytes: int


def read_log(node: NodeResult, rank: int = 0, offset: int = 0, max_bytes: int = _MAX_BYTES) -> LogPart:
    """Read a part of the log of one process of a node.

    Args:
        node: The node, of a run that goes on or has ended.
        rank: The process.
        offset: Where to begin, in bytes; negative: that many bytes before the end, at the beginning of a line.
        max_bytes: At most as much. What is not the rest of the log ends with a whole line, if one ends in it.

    Raises:
        UnknownNameError: The node has no process of this rank that has started.
        OSError: The log cannot be read.
    """
    path = _log_file(node.run_folder, rank)
    if path is None:
        raise UnknownNameError(
            f"{node.name} has no log of a process {rank}.",
            where=node.run_folder,
            advice="The first process is 0; a node that has not started has none.",
        )
    num_bytes = path.stat().st_size
    with open_regular_file(path) as stream:
        if offset < 0:
            start = max(num_bytes + offset, 0)
            stream.seek(max(start - 1, 0))
            if start:
                stream.readline()  # the rest of the line that begins before
            offset = stream.tell()
        else:
            stream.seek(offset)
        data = stream.read(max_bytes)
    end = max(data.rfind(_CUT[:1]), data.rfind(_CUT[1:])) + 1
    is_to_be_cut = end and (len(data) == max_bytes or node.state.value == "running")
    if is_to_be_cut:
        data = data[:end]
    return LogPart(data.decode("utf-8", "replace"), offset, offset + len(data), num_bytes)


def _log_file(run_folder: Path, rank: int) -> Path | None:
    names = (f"std_log_process_{rank:02d}.txt", *(("std_log.txt",) if rank == 0 else ()))
    return next((path for path in (run_folder / "user_logs" / name for name in names) if path.is_file()), None)
