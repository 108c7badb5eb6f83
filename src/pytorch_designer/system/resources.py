"""Cores and memory that this process may use, and the type of a file system.

A container's share is often a small part of what the operating system reports: its control groups are looked up too.
Source: the Linux kernel's documentation of control groups, version 1 (memory, cpu) and 2.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

_ROOT = Path("/")
_UNKNOWN_MEMORY_BYTES = 4 * 2**30  # where the platform does not tell (Windows)


def usable_cores(*, root: Path = _ROOT) -> int:
    """Cores that this process may use: its affinity, cut down to the quota of its control group, at least 1.

    Args:
        root: Where `proc` and `sys` are mounted.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    num_cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min([num_cores, *(int(quota) for quota in _cpu_quotas(root))]))


def cores_per_process(num_processes: int) -> int:
    """Cores for each of several processes that share this machine, at least 1."""
    return max(1, usable_cores() // num_processes)


def available_memory_bytes(*, root: Path = _ROOT) -> int:
    """Bytes of memory that this process can still take: on the machine, in its control group, in its address space.

    Args:
        root: Where `proc` and `sys` are mounted.
    """
    return max(0, min([_machine_memory(root), *_group_memory(root), *_address_space(root)]))


def address_space_limit(*, root: Path = _ROOT) -> int | None:
    """Bytes of address space that this process may have (`ulimit -v`); None where it is not limited.

    A line of limits: `Max address space         unlimited            unlimited            bytes`.

    Args:
        root: Where `proc` is mounted.
    """
    for line in _read(root / "proc/self/limits").splitlines():
        if line.startswith("Max address space"):
            limit = line.split()[3]
            return int(limit) if limit.isdecimal() else None
    return None


def file_system_type(folder: Path, *, root: Path = _ROOT) -> str:
    """The type of the file system that a folder is on, as Linux names it; empty where the platform does not tell.

    A line of mountinfo: `36 35 98:0 /of/device /mount/point rw,noatime master:1 - ext4 /dev/sda rw`. Of several mounts
    at one point, the last hides the others.
    """
    found = (Path("/"), "")
    for line in _read(root / "proc/self/mountinfo").splitlines():
        place, _, source = line.partition(" - ")
        point = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), place.split()[4]))
        if folder.is_relative_to(point) and len(point.parts) >= len(found[0].parts):
            found = (point, source.split()[0])
    return found[1]


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


def _address_space(root: Path) -> list[int]:
    limit = address_space_limit(root=root)
    if limit is None:
        return []
    sizes = [line.split()[1] for line in _read(root / "proc/self/status").splitlines() if line.startswith("VmSize:")]
    return [limit - int(size) * 1024 for size in sizes]


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
