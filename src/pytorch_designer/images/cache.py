"""Cache of decoded pixels, in memory and on a local disk.

    rows 0 ... in memory ... | ... on local disk ... | ... read again in every epoch ... num_images - 1

The file on disk holds one row after the other, each `height * width * 3` bytes. It has no name from the start, so that
nothing is left behind when the process is killed. It is not mapped into memory: a full disk would end the process with
a signal, where calls report an error. At the first error that the disk reports it is given up with a warning, and the
images are read from their source again. A run never fails because of it.
"""

from __future__ import annotations

import errno
import logging
import os
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from pytorch_designer.wording import count

if TYPE_CHECKING:
    from numpy.typing import NDArray

_log = logging.getLogger(__name__)

_CAN_USE_DISK = hasattr(os, "pwrite") and hasattr(os, "preadv")  # not on Windows


@dataclass(frozen=True)
class CacheBudget:
    """Room for decoded images.

    Attributes:
        memory_bytes: In memory; 0 for none.
        disk_bytes: On the disk that `folder` is on; 0 for none.
        folder: An existing folder; None: the system's folder for temporary files.
    """

    memory_bytes: int = 0
    disk_bytes: int = 0
    folder: Path | None = None


NO_CACHE = CacheBudget()


class PixelCache:
    """Cache of the first rows of a dataset, as many as the budget allows. May be used by many threads.

    Memory and room on the disk are taken as rows are stored.

    Attributes:
        num_rows: Rows, from 0 on, that are kept in memory once they have been stored.
    """

    def __init__(self, num_images: int, size: tuple[int, int] | None, *, budget: CacheBudget) -> None:
        """Prepare to keep images of `size` (height, width); None where sizes differ: no image is kept."""
        self._shape = (*(size or (0, 0)), 3)
        self._row_bytes = int(np.prod(self._shape))
        self._budget = budget
        self.num_rows = _num_fitting(budget.memory_bytes, self._row_bytes, num_images)
        end = self.num_rows + _num_fitting(budget.disk_bytes, self._row_bytes, num_images - self.num_rows)
        folder = budget.folder or Path(tempfile.gettempdir())
        self._disk = DiskRows(range(self.num_rows, end), self._shape, folder)
        self._is_stored = np.zeros(num_images, dtype=np.bool_)  # in memory
        self._pixels: NDArray[np.uint8] | None = None
        self._lock = threading.Lock()

    @property
    def memory(self) -> int:
        """Bytes of pixels that are held in memory at present."""
        return int(np.count_nonzero(self._is_stored)) * self._row_bytes

    @property
    def left(self) -> CacheBudget:
        """Rest of the budget once all rows are stored."""
        return CacheBudget(
            self._budget.memory_bytes - self.num_rows * self._row_bytes,
            self._budget.disk_bytes - len(self._disk.rows) * self._row_bytes,
            self._budget.folder,
        )

    def describe(self) -> str:
        """Places of the cached images, for the log."""
        num_images, num_on_disk = len(self._is_stored), len(self._disk.rows)
        parts = []
        if self.num_rows:
            parts.append(f"{_share(self.num_rows, num_images)} in memory ({self._megabytes(self.num_rows)})")
        if num_on_disk:
            size = self._megabytes(num_on_disk)
            parts.append(f"{_share(num_on_disk, num_images)} on local disk in {self._disk.folder} ({size})")
        if not parts:
            return "cache: off, every image is read again in every epoch"
        if num_left := num_images - self.num_rows - num_on_disk:
            parts.append(f"{num_left:,} read again in every epoch")
        return f"cache: {', '.join(parts)}"

    def holds(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Mask of those of `rows` that can be gathered, bool [n]: those that are held in memory."""
        return self._is_stored[rows]

    def store(self, row: int, pixels_hwc: NDArray[np.uint8]) -> None:
        """Keep the pixels, uint8 [height, width, 3], of a row, unless it is beyond the budget or of another size."""
        if pixels_hwc.shape != self._shape:
            return
        if row < self.num_rows:
            self._storage()[row] = pixels_hwc
            self._is_stored[row] = True
        elif row in self._disk.rows:
            self._disk.store(row, pixels_hwc)

    def in_memory(self, row: int) -> NDArray[np.uint8] | None:
        """The pixels of a row, uint8 [height, width, 3], not to be changed; None if they are not held in memory."""
        pixels: NDArray[np.uint8] | None = self._storage()[row] if self._is_stored[row] else None
        return pixels

    def on_disk(self, row: int) -> NDArray[np.uint8] | None:
        """The pixels of a row, uint8 [height, width, 3]; None if they are not held on the local disk."""
        return self._disk.read(row) if row in self._disk.rows else None

    def gather(self, rows: NDArray[np.int64], *, out: NDArray[np.uint8]) -> None:
        """Copy the pixels of rows into `out`, uint8 [n, height, width, 3]; of rows that are not held, anything."""
        # Not torch.index_select: it copies with all cores, and waits long where others use them too. Rows are within
        # range; a mode that checks it would fill `out` by way of another copy.
        np.take(self._storage(), rows, axis=0, out=out, mode="clip")

    def close(self, *, is_in_use: bool = False) -> None:
        """Give memory and disk back; nothing is held any more. Safe to repeat.

        Args:
            is_in_use: Whether a thread may still store or read; the file is left open for it, empty.
        """
        with self._lock:
            self._is_stored[:] = False
            self._pixels = None
        self._disk.close(is_in_use=is_in_use)

    def _storage(self) -> NDArray[np.uint8]:
        with self._lock:
            if self._pixels is None:
                self._pixels = np.empty((self.num_rows, *self._shape), dtype=np.uint8)
            return self._pixels

    def _megabytes(self, num_rows: int) -> str:
        return f"{num_rows * self._row_bytes / 1e6:,.1f} MB"


class DiskRows:
    """The pixels of a range of rows, on disk. May be used by many threads, but for `close`.

    Attributes:
        rows: The rows that are kept once they have been stored.
        folder: The folder of the file.
    """

    def __init__(self, rows: range, shape: tuple[int, int, int], folder: Path) -> None:
        """Prepare to store rows of `shape` uint8; no file is made before the first one."""
        self.rows = rows if _CAN_USE_DISK else range(0)
        self.folder = folder
        self._shape = shape
        self._row_bytes = int(np.prod(shape))
        self._is_stored = np.zeros(len(rows), dtype=np.bool_)
        self._file: IO[bytes] | None = None
        self._is_given_up = False
        self._lock = threading.Lock()

    def store(self, row: int, pixels_hwc: NDArray[np.uint8]) -> None:
        """Keep the pixels, uint8 [height, width, 3], of a row of `rows`, unless the disk has failed."""
        index = row - self.rows.start
        if self._is_given_up or self._is_stored[index]:
            return
        try:
            content = np.ascontiguousarray(pixels_hwc).data.cast("B")
            num_written = os.pwrite(self._descriptor(), content, index * self._row_bytes)
            if num_written < self._row_bytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._give_up(error)
        else:
            self._is_stored[index] = True

    def read(self, row: int) -> NDArray[np.uint8] | None:
        """The pixels of a row of `rows`, uint8 [height, width, 3]; None if it is not held."""
        index = row - self.rows.start
        if not self._is_stored[index]:
            return None
        pixels = np.empty(self._shape, dtype=np.uint8)
        try:
            num_read = os.preadv(self._descriptor(), [pixels.data], index * self._row_bytes)
        except OSError as error:
            self._give_up(error)
            return None
        # The file may have been truncated in the meantime.
        return None if self._is_given_up or num_read < self._row_bytes else pixels

    def close(self, *, is_in_use: bool = False) -> None:
        """Give the room on the disk back; nothing is held or stored any more. Safe to repeat.

        Args:
            is_in_use: Whether another thread may still store or read; the file is left open for it, empty.
        """
        with self._lock:
            self._drop()
            if self._file is not None and not is_in_use:
                self._file.close()

    def _give_up(self, error: OSError) -> None:
        with self._lock:
            if self._is_given_up:
                return
            self._drop()
        _log.warning(
            "The local disk in %s cannot be used to keep decoded images: %s. They are read again in every epoch.",
            self.folder,
            error.strerror or error,
        )

    def _drop(self) -> None:
        # In this order: whoever reads while the file is truncated sees afterwards that what was read does not count.
        self._is_given_up = True
        self._is_stored[:] = False
        if self._file is not None and not self._file.closed:
            try:
                os.truncate(self._file.fileno(), 0)
            except OSError:
                _log.debug("%s: the file of decoded images keeps its room until the run ends.", self.folder)

    def _descriptor(self) -> int:
        with self._lock:
            if self._file is None:
                self._file = tempfile.TemporaryFile(  # noqa: SIM115 (`close` closes it)
                    buffering=0, dir=self.folder, prefix="pytorch-designer-"
                )
            return self._file.fileno()


def _share(number: int, num_images: int) -> str:
    images = count(num_images, "image")
    return f"all {images}" if number == num_images else f"{number:,} of {images}"


def _num_fitting(num_bytes: int, row_bytes: int, num_rows: int) -> int:
    return min(num_bytes // row_bytes, num_rows) if row_bytes else 0
