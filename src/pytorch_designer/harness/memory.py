"""Memory of a tree of processes, and what is free."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_STATM_PAGES = 1  # the second number of /proc/PID/statm: resident pages
_PROC = Path("/proc")
_CONTROL_GROUP = Path("/sys/fs/cgroup")


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


def free_memory_bytes() -> int | None:
    """What programs can still take without swapping: of the machine, or of the container if that is less.

    None where the platform does not tell (macOS, Windows).
    """
    free = []
    with suppress(OSError, ValueError, IndexError):
        lines = (_PROC / "meminfo").read_text().splitlines()
        free.append(next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")))
    with suppress(OSError, ValueError):  # "max" where there is no limit
        limit = int((_CONTROL_GROUP / "memory.max").read_text())
        free.append(max(limit - int((_CONTROL_GROUP / "memory.current").read_text()), 0))
    return min(free, default=None)


def _page_bytes() -> int:
    import resource

    return resource.getpagesize()
