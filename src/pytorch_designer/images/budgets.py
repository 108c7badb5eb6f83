"""Defaults for this machine: threads that read images, memory and disk for decoded images."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.images.cache import CacheBudget
from pytorch_designer.settings import settings
from pytorch_designer.system.out_of_memory import out_of_memory_error
from pytorch_designer.system.resources import available_memory_bytes, file_system_type, usable_cores
from pytorch_designer.system.special_files import resolved
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from pytorch_designer.directories.preprocessing import Preprocessing

_log = logging.getLogger(__name__)

MAX_READ_THREADS = 64

# Nearly all the time of a read on a cloud mount (5 to 30 ms) is spent waiting, while a core decodes one photo per
# millisecond: so many reads must be in flight to keep a core busy, and a least number where images are small.
_THREADS_PER_CORE = 16
_MIN_READ_THREADS = 32
_BATCH_BYTES_PER_PIXEL = 3 * 3 + 2 * 12  # three batches of uint8 are ahead; of one, float32 as is and normalized
_CACHE_SHARE = 4
_DISK_CACHE_SHARE = 2
_MEMORY_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs", "devtmpfs"})


def default_read_threads(*, num_processes: int = 1) -> int:
    """Threads to read with: the setting `read_threads`, or sixteen per core, but 32 to 64 on the machine.

    Args:
        num_processes: Processes of this run on this machine, which share its cores.
    """
    chosen = settings().read_threads
    on_machine = min(MAX_READ_THREADS, max(_MIN_READ_THREADS, _THREADS_PER_CORE * usable_cores()))
    return chosen or max(1, on_machine // num_processes)


def default_cache_bytes(*, num_processes: int = 1) -> int:
    """Bytes for decoded images of a process: the setting `cache_bytes`, or a quarter of the memory that is free.

    Args:
        num_processes: Processes of this run on this machine, which share its memory.
    """
    chosen = settings().cache_bytes
    return available_memory_bytes() // _CACHE_SHARE // num_processes if chosen is None else chosen


def check_batch_memory(
    sizing: Preprocessing, num_images: int, *, where: str, advice: str, num_processes: int = 1
) -> None:
    """Refuse a batch that does not fit into the memory that is free, before anything is read.

    What the network itself needs is not counted: it depends on the device.

    Args:
        sizing: The size of the images of a batch.
        num_images: Images per batch.
        where: The port or the parameter that determines the size.
        advice: What to do.
        num_processes: Processes of this run on this machine, which share its memory.

    Raises:
        ModuleOutOfMemoryError: Batches of such images do not fit.
    """
    num_bytes = num_images * sizing.crop_height * sizing.crop_width * _BATCH_BYTES_PER_PIXEL
    free = available_memory_bytes() // num_processes
    if num_bytes > free:
        raise out_of_memory_error(
            f"Batches of {count(num_images, 'image')} of {sizing.crop_width}x{sizing.crop_height} pixels take at least "
            f"{num_bytes / 1e9:.1f} GB of memory; {describe_free_memory(free, num_processes)}.",
            where=where,
            advice=advice,
        )


def describe_free_memory(num_bytes: int, num_processes: int) -> str:
    """The memory that a process can have, as a clause: `2.0 GB are free for each of 4 processes`."""
    share = f" for each of {num_processes} processes" if num_processes > 1 else ""
    return f"{num_bytes / 1e9:.1f} GB are free{share}"


def default_cache_budget(*, num_processes: int = 1) -> CacheBudget:
    """Room for decoded images, in memory and on disk.

    Args:
        num_processes: Processes of this run on this machine, which share both.
    """
    return CacheBudget(
        default_cache_bytes(num_processes=num_processes),
        default_disk_cache_bytes(num_processes=num_processes),
        default_cache_folder(),
    )


def default_cache_folder() -> Path:
    """Folder for spilled images: the setting `cache_folder`, or the system's folder for temporary files."""
    return settings().cache_folder or Path(tempfile.gettempdir())


def default_disk_cache_bytes(*, num_processes: int = 1, root: Path = Path("/")) -> int:
    """Bytes for decoded images on disk: the setting `disk_cache_bytes`, or half of what is free in the cache folder.

    0 where that folder is kept in memory, whatever the setting, or cannot be used.

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
    if file_system_type(resolved(folder), root=root) in _MEMORY_FILE_SYSTEMS:
        return 0
    return num_free // _DISK_CACHE_SHARE // num_processes if chosen is None else chosen
