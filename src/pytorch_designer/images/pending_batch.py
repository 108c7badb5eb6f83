"""A batch on its way: threads fill in its images, one of them is waiting until all are there."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class PendingBatch:
    """A batch whose images are being read.

    Attributes:
        rows: int64 [n], the images' rows in the dataset.
        pixels: uint8 [n, height, width, 3], filled in by the computing threads; None where nothing is to be kept.
        missing: int64 [num_reads], the positions in `rows` that are read.
        done: Set once all of them are read or known to be bad.
        is_cancelled: Nobody waits any more: what has not been read is not read.
        error: What went wrong, apart from bad files.
    """

    def __init__(self, rows: NDArray[np.int64], pixels: NDArray[np.uint8] | None, missing: NDArray[np.int64]) -> None:
        self.rows = rows
        self.pixels = pixels
        self.missing = missing
        self.num_reads = len(missing)
        self.done = threading.Event()
        self.is_cancelled = False
        self.error: BaseException | None = None
        self._num_left = self.num_reads
        self._lock = threading.Lock()
        if not self.num_reads:
            self.done.set()

    def count_down(self) -> None:
        """One image less to wait for."""
        with self._lock:
            self._num_left -= 1
            is_last = self._num_left == 0
        if is_last:
            self.done.set()
