"""Decoded pixels, in memory and on a local disk, so that a dataset is read and decoded once as far as there is room.

rows 0 ... in memory ... | ... on local disk ... | ... read again in every epoch ... num_images - 1
"""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.images.disk_rows import DiskRows

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
    """The pixels of the first rows of a dataset, as many as the budget allows.

    Memory and room on the disk are taken as rows are stored. Rows are stored by many threads, each row whole before
    it is marked.

    Attributes:
        num_rows: How many rows, from 0 on, are kept in memory once they have been stored.
    """

    def __init__(self, num_images: int, size: tuple[int, int] | None, *, budget: CacheBudget) -> None:
        """Prepare to keep images of `size` (height, width); None, where they differ in size: none is kept."""
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
        """What remains of the budget once all rows are stored."""
        return CacheBudget(
            self._budget.memory_bytes - self.num_rows * self._row_bytes,
            self._budget.disk_bytes - len(self._disk.rows) * self._row_bytes,
            self._budget.folder,
        )

    def describe(self) -> str:
        """Where the images of the dataset are kept, in a few words for the log."""
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
        """Which of `rows` can be gathered, bool [n]: those that are held in memory."""
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

    def pixels_of(self, row: int) -> NDArray[np.uint8] | None:
        """The pixels of a row that is held, uint8 [height, width, 3], not to be changed; None if it is not held."""
        if row in self._disk.rows:
            return self._disk.read(row)
        pixels: NDArray[np.uint8] | None = self._storage()[row] if self._is_stored[row] else None
        return pixels

    def gather(self, rows: NDArray[np.int64], *, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """A copy of the pixels of rows that are held in memory, uint8 [n, height, width, 3], in `out` if given."""
        # Not torch.index_select: it copies with all cores, and waits long where others use them too. Rows are within
        # range; a mode that checks it would fill `out` by way of another copy.
        return np.take(self._storage(), rows, axis=0, out=out, mode="clip")

    def clear(self, *, is_in_use: bool = False) -> None:
        """Give memory and disk back; nothing is held any more.

        Args:
            is_in_use: Whether a thread may still store or read; the file is left open for it, empty.
        """
        with self._lock:
            self._is_stored[:] = False
            self._pixels = None
        if is_in_use:
            self._disk.clear()
        else:
            self._disk.close()

    def _storage(self) -> NDArray[np.uint8]:
        with self._lock:
            if self._pixels is None:
                self._pixels = np.empty((self.num_rows, *self._shape), dtype=np.uint8)
            return self._pixels

    def _megabytes(self, num_rows: int) -> str:
        return f"{num_rows * self._row_bytes / 1e6:,.1f} MB"


def _share(number: int, num_images: int) -> str:
    return f"all {number:,} images" if number == num_images else f"{number:,} of {num_images:,} images"


def _num_fitting(num_bytes: int, row_bytes: int, num_rows: int) -> int:
    return min(num_bytes // row_bytes, num_rows) if row_bytes else 0
