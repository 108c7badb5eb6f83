"""Threads that read rows of a dataset, and that can be seen to be stuck.

Threads and not processes: decoding and resizing release Python's global lock, pixels need no copying between
processes, and `/dev/shm`, which is small in many containers, is not used. Not `concurrent.futures`, because the
interpreter waits for its threads at exit, for ever when a read on a broken mount never returns.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_JOIN_SECONDS = 5.0


class ReadingThreads:
    """A fixed number of threads that call functions on rows, first come, first served.

    Args:
        num_threads: How many.
        on_start: Called by each thread before anything else.

    Attributes:
        is_closed: Whether the threads have been told to end.
    """

    def __init__(self, num_threads: int, *, on_start: Callable[[], None] | None = None) -> None:
        self._num_threads = num_threads
        self._on_start = on_start
        self._tasks: queue.SimpleQueue[tuple[Callable[[int, int], None], int, int] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._running: list[tuple[float, int] | None] = [None] * num_threads
        self.is_closed = False

    def submit(self, read: Callable[[int, int], None], position: int, row: int) -> None:
        """Call `read(position, row)`, which must not raise, in one of the threads; they start with the first call."""
        if self.is_closed:
            raise RuntimeError("the reading threads are closed")
        if not self._threads:
            self._threads = [
                threading.Thread(target=self._work, args=(slot,), name=f"image-reader-{slot}", daemon=True)
                for slot in range(self._num_threads)
            ]
            for thread in self._threads:
                thread.start()
        self._tasks.put((read, position, row))

    def longest_running(self) -> tuple[float, int]:
        """Seconds since the oldest call that has not returned began, and its row; (0, -1) without any."""
        started, row = min((running for running in self._running if running is not None), default=(0.0, -1))
        return (time.monotonic() - started, row) if row >= 0 else (0.0, -1)

    def close(self) -> None:
        """End the threads once each has finished its call; calls that wait are dropped. Safe to repeat."""
        self.is_closed = True
        for _ in self._threads:
            self._tasks.put(None)
        deadline = time.monotonic() + _JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._threads = []

    def _work(self, slot: int) -> None:
        if self._on_start is not None:
            self._on_start()
        while (task := self._tasks.get()) is not None:
            if self.is_closed:
                continue
            read, position, row = task
            self._running[slot] = (time.monotonic(), row)
            read(position, row)
            self._running[slot] = None
