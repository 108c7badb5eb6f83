"""How many threads read images, and how much memory and disk decoded images may take, on the machine at hand.

A container's share is often a small part of what the operating system reports: its control groups are looked up too.
Source: the Linux kernel's documentation of control groups, version 1 (memory, cpu) and 2.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from pytorch_designer.images.cache import CacheBudget
from pytorch_designer.settings import settings

_log = logging.getLogger(__name__)

MAX_READ_THREADS = 64

# Nearly all the time of a read on a cloud mount (5 to 30 ms) is spent waiting, while a core decodes a photo a
# millisecond: this many must be under way to keep a core busy, and a least number where images are small.
_THREADS_PER_CORE = 16
_MIN_READ_THREADS = 32
_CACHE_SHARE = 4
_DISK_CACHE_SHARE = 2
_MEMORY_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs", "devtmpfs"})
_UNKNOWN_MEMORY_BYTES = 4 * 2**30  # where the platform does not tell (Windows)


def default_read_threads(*, num_processes: int = 1) -> int:
    """Threads to read with: the setting `read_threads`, or sixteen a core, but 32 to 64 on the machine.

    Args:
        num_processes: Processes of this run on this machine, which share its cores.
    """
    chosen = settings().read_threads
    on_machine = min(MAX_READ_THREADS, max(_MIN_READ_THREADS, _THREADS_PER_CORE * usable_cores()))
    return chosen or max(1, on_machine // num_processes)


def default_cache_bytes(*, num_processes: int = 1) -> int:
    """Bytes for decoded images: the setting `cache_bytes`, or a quarter of the memory that is free.

    Args:
        num_processes: Processes of this run on this machine, which share its memory.
    """
    chosen = settings().cache_bytes
    return available_memory_bytes() // _CACHE_SHARE // num_processes if chosen is None else chosen


def default_cache_budget() -> CacheBudget:
    """Room for decoded images, in memory and on disk."""
    return CacheBudget(default_cache_bytes(), default_disk_cache_bytes(), default_cache_folder())


def default_cache_folder() -> Path:
    """Where decoded images may be spilled: the setting `cache_folder`, or the system's folder for temporary files."""
    return settings().cache_folder or Path(tempfile.gettempdir())


def default_disk_cache_bytes(*, num_processes: int = 1, root: Path = Path("/")) -> int:
    """Bytes for decoded images on disk: the setting `disk_cache_bytes`, or half of what is free in the cache folder.

    None where that folder is kept in memory, whatever the setting, or cannot be used.

    Args:
        num_processes: Processes of this run on this machine, which share its disk.
        root: Where `proc` is mounted.
    """
    folder, chosen = default_cache_folder(), settings().disk_cache_bytes
    if chosen == 0:
        return 0
    try:
        num_free = shutil.disk_usage(folder).free
    except OSError as error:
        _log.warning("Decoded images cannot be kept in %s: %s.", folder, error.strerror or error)
        return 0
    if _file_system(folder.resolve(), root) in _MEMORY_FILE_SYSTEMS:
        return 0
    return num_free // _DISK_CACHE_SHARE // num_processes if chosen is None else chosen


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


def _file_system(folder: Path, root: Path) -> str:
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
