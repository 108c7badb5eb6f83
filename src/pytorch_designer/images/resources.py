"""How many threads read images and how much memory decoded images may take, on the machine at hand.

A container's share is often a small part of what the operating system reports: its control groups are looked up too.
Source: the Linux kernel's documentation of control groups, version 1 (memory, cpu) and 2.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from pytorch_designer.settings import settings

MAX_DECODE_THREADS = 32

_THREADS_PER_CORE = 4  # most of the time of a read on a cloud mount is spent waiting
_CACHE_SHARE = 4
_UNKNOWN_MEMORY_BYTES = 4 * 2**30  # where the platform does not tell (Windows)


def default_decode_threads(*, num_processes: int = 1) -> int:
    """Threads to read and decode with: the setting `decode_threads`, or four a core and at most 32.

    Args:
        num_processes: Processes of this run on this machine, which share its cores.
    """
    chosen = settings().decode_threads
    return chosen or max(1, min(MAX_DECODE_THREADS, _THREADS_PER_CORE * usable_cores() // num_processes))


def default_cache_bytes(*, num_processes: int = 1) -> int:
    """Bytes for decoded images: the setting `cache_bytes`, or a quarter of the memory that is free.

    Args:
        num_processes: Processes of this run on this machine, which share its memory.
    """
    chosen = settings().cache_bytes
    return available_memory_bytes() // _CACHE_SHARE // num_processes if chosen is None else chosen


def usable_cores(*, root: Path = Path("/")) -> int:
    """Cores that this process may use: its affinity, cut down to the quota of its control group, at least 1.

    Args:
        root: Where `proc` and `sys` are mounted.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    num_cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min([num_cores, *(int(quota) for quota in _cpu_quotas(root))]))


def available_memory_bytes(*, root: Path = Path("/")) -> int:
    """Bytes of memory that this process can still take: free on the machine, and free in its control group.

    Args:
        root: Where `proc` and `sys` are mounted.
    """
    return max(0, min([_machine_memory(root), *_group_memory(root)]))


def _cpu_quotas(root: Path) -> list[float]:
    quotas = []
    for folder in _group_folders(root, "cpu"):
        quota, _, period = _read(folder / "cpu.max").partition(" ")  # version 2: "150000 100000" or "max 100000"
        if not quota:
            quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        if quota.isdecimal() and period.isdecimal() and int(period) > 0:
            quotas.append(int(quota) / int(period))
    return quotas


def _group_memory(root: Path) -> list[int]:
    free = []
    for folder in _group_folders(root, "memory"):
        limit = _read(folder / "memory.max") or _read(folder / "memory.limit_in_bytes")
        used = _read(folder / "memory.current") or _read(folder / "memory.usage_in_bytes")
        if limit.isdecimal() and used.isdecimal():
            free.append(int(limit) - int(used) + _file_cache(folder))
    return free


def _file_cache(folder: Path) -> int:
    """Bytes that count as used but hold copies of files, which the kernel drops when memory is asked for."""
    lines = [line.split() for line in _read(folder / "memory.stat").splitlines()]
    values = {fields[0]: int(fields[1]) for fields in lines if len(fields) == 2 and fields[1].isdecimal()}
    return values.get("total_inactive_file", values.get("inactive_file", 0))


def _group_folders(root: Path, controller: str) -> list[Path]:
    """The folders of this process's control group and of those that contain it, of version 2 and of version 1."""
    folders = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / (controller if controllers else "")
        inner = mount / group.lstrip("/")
        folders += [folder for folder in (inner, *inner.parents) if folder.is_relative_to(mount)]
    return folders


def _machine_memory(root: Path) -> int:
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    with suppress(AttributeError, ValueError, OSError):  # macOS tells the total; half of it is taken to be free
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return _UNKNOWN_MEMORY_BYTES


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="utf-8").strip()
    return ""
