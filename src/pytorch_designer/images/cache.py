"""Decoded pixels in memory, so that a small dataset is read and decoded once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PixelCache:
    """The pixels of the first rows of a dataset, as many as the budget allows.

    Memory is taken as rows are stored. Rows are stored by many threads, each row whole before it is marked.

    Attributes:
        num_rows: How many rows, from 0 on, are kept once they have been stored.
    """

    def __init__(self, num_images: int, height: int, width: int, *, budget_bytes: int) -> None:
        self._shape = (height, width, 3)
        self._row_bytes = height * width * 3
        self.num_rows = min(num_images, budget_bytes // self._row_bytes)
        self._is_stored = np.zeros(num_images, dtype=np.bool_)
        self._pixels: NDArray[np.uint8] | None = None
        self._lock = threading.Lock()

    @property
    def memory(self) -> int:
        """Bytes of pixels that are held at present."""
        return int(np.count_nonzero(self._is_stored)) * self._row_bytes

    @property
    def capacity_bytes(self) -> int:
        """Bytes of pixels that are held once all its rows are stored."""
        return self.num_rows * self._row_bytes

    def holds(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of `rows` can be gathered, bool [n]."""
        return self._is_stored[rows]

    def store(self, row: int, pixels_hwc: NDArray[np.uint8]) -> None:
        """Keep the pixels, uint8 [height, width, 3], of a row, unless it is beyond the budget or of another size."""
        if row < self.num_rows and pixels_hwc.shape == self._shape:
            self._storage()[row] = pixels_hwc
            self._is_stored[row] = True

    def pixels_of(self, row: int) -> NDArray[np.uint8] | None:
        """The pixels of a row that is held, uint8 [height, width, 3], not to be changed; None if it is not held."""
        pixels: NDArray[np.uint8] | None = self._storage()[row] if self._is_stored[row] else None
        return pixels

    def gather(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """A copy of the pixels of rows that are held, uint8 [n, height, width, 3]."""
        # Not torch.index_select: it copies with all cores, and waits long where others use them too.
        return np.take(self._storage(), rows, axis=0)

    def clear(self) -> None:
        """Give the memory back; nothing is held any more."""
        with self._lock:
            self._is_stored[:] = False
            self._pixels = None

    def _storage(self) -> NDArray[np.uint8]:
        with self._lock:
            if self._pixels is None:
                self._pixels = np.empty((self.num_rows, *self._shape), dtype=np.uint8)
            return self._pixels
