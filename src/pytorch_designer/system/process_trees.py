"""Trees of processes: descendants, start times, resident memory. Linux tells; elsewhere they are empty."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_STATM_PAGES = 1  # the second number of /proc/PID/statm: resident pages
_STAT_STATE = 0  # the fields of /proc/PID/stat after the name, which may hold blanks and brackets
_STAT_START_TIME = 19
_PROC = Path("/proc")


def can_measure_trees() -> bool:
    """True if this platform tells the memory of other processes and who started them: Linux does."""
    return (_PROC / "self" / "statm").exists()


def descendants(root_pids: Iterable[int]) -> list[int]:
    """The processes themselves and all that they, or those, have started and that are still theirs."""
    found: dict[int, None] = {}
    pending = list(root_pids)
    while pending:
        pid = pending.pop()
        if pid in found:
            continue
        found[pid] = None
        pending += children(pid)
    return list(found)


def children(pid: int) -> list[int]:
    """The processes that a process has started and that are still its own, the oldest first."""
    found: list[int] = []
    with suppress(OSError, ValueError):  # it has ended in this moment
        for task in (_PROC / str(pid) / "task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def start_time(pid: int) -> str | None:
    """Start of a process, in clock ticks since that of the machine; None where it has ended.

    Together with its number it names a process for good: numbers are used again.
    """
    try:
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if not fields or fields[_STAT_STATE] in {"Z", "X"} else fields[_STAT_START_TIME]


def memory_bytes(pids: Iterable[int]) -> int:
    """Resident memory of processes; memory that they share counts once for each."""
    total = 0
    for pid in pids:
        with suppress(OSError, ValueError, IndexError):  # it has ended in this moment
            total += int((_PROC / str(pid) / "statm").read_text().split()[_STATM_PAGES]) * _page_bytes()
    return total


def _page_bytes() -> int:
    import resource

    return resource.getpagesize()
