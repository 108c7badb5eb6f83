"""Resident memory of trees of processes."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_STATM_PAGES = 1  # the second number of /proc/PID/statm: resident pages
_PROC = Path("/proc")


def can_measure_trees() -> bool:
    """Whether this platform tells the memory of other processes and who started them: Linux does."""
    return (_PROC / "self" / "statm").exists()


def tree_memory_bytes(root_pids: list[int]) -> int:
    """Resident memory of the processes and all their descendants; memory that they share counts once for each."""
    total, pending = 0, list(root_pids)
    while pending:
        pid = pending.pop()
        with suppress(OSError, ValueError, IndexError):  # it has ended in this moment
            total += int((_PROC / str(pid) / "statm").read_text().split()[_STATM_PAGES]) * _page_bytes()
            for task in (_PROC / str(pid) / "task").iterdir():
                pending += [int(child) for child in (task / "children").read_text().split()]
    return total


def _page_bytes() -> int:
    import resource

    return resource.getpagesize()
