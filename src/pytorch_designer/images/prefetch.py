"""Prefetching of image files: many threads read, few decode.

    start -> [ reading threads: dozens, most of which wait for a mount ] -> [ computing threads: one per core ] -> done

Two pools, because a cloud mount needs dozens of reads in flight, and decoding no more threads than there are cores.
Threads and not processes: decoding and resizing release Python's global lock, pixels are not copied between processes,
and `/dev/shm`, which is small in many containers, is not used. Not `concurrent.futures`: the interpreter waits for its
threads at exit, forever if a read on a broken mount never returns.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.images.bad_files import BadFiles, BadImageError
from pytorch_designer.images.decoding.memory_budget import new_budget
from pytorch_designer.settings import settings
from pytorch_designer.system.out_of_memory import is_out_of_memory, out_of_memory_error
from pytorch_designer.system.resources import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pytorch_designer.directories.image_directory import ImageDirectory

Source: TypeAlias = "bytearray | NDArray[np.uint8]"
"""The content of a file, or pixels that were decoded earlier."""
S = TypeVar("S", bound=Source)

_MAX_FILES_WAITING = 64  # read and not yet decoded, so that memory stays bounded
_SMALL_BYTES = 4096  # most of the time of such an image is Python's, and two threads would only wait for its lock
_JOIN_SECONDS = 5.0
_ROOM_SECONDS = 1.0


class PendingImages:
    """Images that are being read and computed.

    Attributes:
        num_images: How many.
        done: Set once every image is computed or known to be bad.
        is_cancelled: Nobody waits any longer: images that are not yet read, or computed, are skipped.
        error: What went wrong, apart from bad files.
    """

    def __init__(
        self, num_images: int, read: Callable[[int], Source], compute: Callable[[int, int, Any], None]
    ) -> None:
        self.read = read
        self.compute = compute
        self.num_images = num_images
        self.done = threading.Event()
        self.is_cancelled = False
        self.error: BaseException | None = None
        self._num_left = num_images
        self._lock = threading.Lock()
        if not num_images:
            self.done.set()

    def count_down(self) -> None:
        """Count one image as done."""
        with self._lock:
            self._num_left -= 1
            is_last = self._num_left == 0
        if is_last:
            self.done.set()


_Task: TypeAlias = tuple[PendingImages, int, int]
_ReadTask: TypeAlias = tuple[PendingImages, int, int, Source, int]  # the last: bytes held for a large file


class Prefetcher:
    """Two pools of threads for the images of one dataset: one reads files, the other computes with their content.

    Attributes:
        is_closed: Whether the threads have been told to end.
    """

    def __init__(
        self,
        dataset: ImageDirectory,
        bad_files: BadFiles,
        *,
        port: str,
        num_threads: int,
        num_cores: int | None = None,
        on_start: Callable[[], None] | None = None,
    ) -> None:
        """Prepare to read; threads start with the first images.

        Args:
            dataset: Where images are read from.
            bad_files: Where bad files are registered.
            port: Name of the dataset in messages.
            num_threads: Threads that read.
            num_cores: Threads that compute, but no more than those that read; None: one per core of this process.
            on_start: Called by each computing thread before anything else.
        """
        self._dataset = dataset
        self._bad_files = bad_files
        self._port = port
        self._timeout_seconds = settings().read_timeout_seconds
        self._on_start = on_start
        self._to_read: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._to_compute: queue.SimpleQueue[_ReadTask | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(_MAX_FILES_WAITING)
        self._large_files = new_budget()  # and so that large ones are fewer
        self._held_bytes = [0] * num_threads
        self._this_thread = threading.local()
        self._may_compute = threading.Event()
        self._turn = threading.Lock()  # among the computing threads
        self._reading: list[tuple[float, int] | None] = [None] * num_threads
        self._num_computing = min(num_threads, num_cores or usable_cores())
        self._threads: list[threading.Thread] = []
        self.is_closed = False

    def start(
        self,
        rows: Sequence[int],
        *,
        read: Callable[[int], S],
        compute: Callable[[int, int, S], None],
        at_hand: Callable[[int], S | None] | None = None,
    ) -> PendingImages:
        """Read the images of some rows, and compute with them.

        Args:
            rows: Rows of the dataset.
            read: What a reading thread does with a row. May raise `BadImageError`, as `compute` may.
            compute: What a computing thread does with a place in `rows`, the row there, and what was read.
            at_hand: What need not be read; None for a row that must be.
        """
        if self.is_closed:
            raise RuntimeError("the loader is closed")
        if rows and not self._threads:
            self._start_threads()
        pending = PendingImages(len(rows), read, compute)
        for position, row in enumerate(rows):
            source = at_hand(row) if at_hand else None
            if source is None:
                self._to_read.put((pending, position, row))
            else:
                self._to_compute.put((pending, position, row, source, 0))
        return pending

    def make_room(self, num_bytes: int) -> None:
        """Wait, in a reading thread, until large files have left room for one that takes `num_bytes`."""
        slot = self._this_thread.slot
        if self._held_bytes[slot]:  # its read is tried again
            return
        reading, self._reading[slot] = self._reading[slot], None  # a read that waits for memory is not stuck
        while not self._held_bytes[slot]:
            if self.is_closed:
                raise RuntimeError("the loader is closed")
            self._held_bytes[slot] = self._large_files.acquire(num_bytes, timeout_seconds=_ROOM_SECONDS)
        self._reading[slot] = None if reading is None else (time.monotonic(), reading[1])

    def wait(self, pending: PendingImages, deadline: float = math.inf) -> None:
        """Wait until all of `pending` is done, or the deadline (in monotonic seconds) has passed.

        Raises:
            InvalidDatasetError: A single read takes too long.
        """
        self._may_compute.set()
        while (left := deadline - time.monotonic()) > 0:
            if self.is_closed:
                raise RuntimeError("the loader was closed while its batches were in use")
            seconds, row = self._longest_read()
            if seconds >= self._timeout_seconds:
                raise self._stuck_error(row)
            if pending.done.wait(min(left, self._timeout_seconds - seconds)):
                break
        if pending.error is not None:
            raise pending.error

    def pause_computing(self) -> None:
        """Begin no further computation until the next `wait`; reading goes on."""
        self._may_compute.clear()

    def resume_computing(self) -> None:
        """Go on computing, if it was paused."""
        self._may_compute.set()

    def close(self) -> bool:
        """End the threads once each has finished its image; images that wait are dropped. Safe to repeat.

        Returns:
            Whether all have ended; a read that is stuck keeps its thread.
        """
        self.is_closed = True
        self._may_compute.set()
        for _ in self._threads:
            self._to_read.put(None)
            self._to_compute.put(None)
            self._room.release()
        deadline = time.monotonic() + _JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _start_threads(self) -> None:
        self._may_compute.set()
        threads = [
            threading.Thread(target=self._read, args=(slot,), name="image-reader", daemon=True)
            for slot in range(len(self._reading))
        ]
        threads += [
            threading.Thread(target=self._compute, name="image-decoder", daemon=True)
            for _ in range(self._num_computing)
        ]
        for thread in threads:  # there may be no memory for another one, and only those that run are joined
            thread.start()
            self._threads.append(thread)

    def _longest_read(self) -> tuple[float, int]:
        """Seconds since the oldest read in flight began, and its row; (0, -1) without any."""
        started, row = min((reading for reading in self._reading if reading), default=(math.inf, -1))
        return max(0.0, time.monotonic() - started), row

    def _stuck_error(self, row: int) -> InvalidDatasetError:
        return InvalidDatasetError(
            f"Reading an image of {self._port} took longer than {self._timeout_seconds:g} seconds.",
            where=self._dataset.source,
            examples=[self._dataset.described(row)],
            advice="Check that the storage it lies on is reachable, then run again; where it is only slow, raise the "
            "environment variable PYTORCH_DESIGNER_READ_TIMEOUT_SECONDS.",
            reason="read_timeout",
        )

    def _read(self, slot: int) -> None:
        self._this_thread.slot = slot
        while (task := self._to_read.get()) is not None:
            self._read_image(slot, *task)

    def _read_image(self, slot: int, pending: PendingImages, position: int, row: int) -> None:
        self._room.acquire()
        source: Source | None = None
        if not self._is_dropped(pending):
            self._reading[slot] = (time.monotonic(), row)
            try:
                source = pending.read(row)
            except BaseException as error:  # noqa: BLE001 (`wait` raises it)
                self._note_fault(error, pending, row)
            self._reading[slot] = None
        if not isinstance(source, bytearray):  # only the contents of files take room
            self._room.release()
        num_held, self._held_bytes[slot] = self._held_bytes[slot], 0
        if source is None:
            if num_held:
                self._large_files.give_back(num_held)
            pending.count_down()
        else:
            self._to_compute.put((pending, position, row, source, num_held))

    def _compute(self) -> None:
        if self._on_start is not None:
            self._on_start()
        while self._compute_next():
            pass

    def _compute_next(self) -> bool:
        """Compute the next large image, and in turn with the other threads all small ones before it."""
        with self._turn:
            while (task := self._to_compute.get()) is not None and _num_bytes(task[3]) < _SMALL_BYTES:
                self._compute_image(*task)
        if task is not None:
            self._compute_image(*task)
        return task is not None

    def _compute_image(self, pending: PendingImages, position: int, row: int, source: Source, num_held: int) -> None:
        if isinstance(source, bytearray):
            self._room.release()
        self._may_compute.wait()
        if not self._is_dropped(pending):
            try:
                pending.compute(position, row, source)
            except BaseException as error:  # noqa: BLE001 (`wait` raises it)
                self._note_fault(error, pending, row)
        if num_held:
            self._large_files.give_back(num_held)
        pending.count_down()

    def _is_dropped(self, pending: PendingImages) -> bool:
        return pending.is_cancelled or self.is_closed

    def _note_fault(self, error: BaseException, pending: PendingImages, row: int) -> None:
        if isinstance(error, BadImageError):
            self._bad_files.add(row, error.reason)
        elif is_out_of_memory(error):
            what = f"There is too little free memory to read an image of {self._port}."
            pending.error = out_of_memory_error(what, where=f"{self._dataset.source}, {self._dataset.described(row)}")
            pending.error.__cause__ = error
        else:
            pending.error = error


def _num_bytes(source: Source) -> int:
    return len(source) if isinstance(source, bytearray) else source.nbytes
