"""Threads that read rows of a dataset, and that can be seen to be stuck; and threads that compute with what was read.

    submit -> [ computing threads: about one a core ], which read first, as long as reads do not wait
           -> [ reading threads: many, most of which wait for a mount ] -> [ computing threads ], once they do

Two groups, because a cloud mount wants dozens of reads under way, and decoding no more threads than there are cores:
dozens of them would each touch memory of their own, and fight with the network for the cores. From a local disk, whose
files are in memory for the most part, a read takes less time than handing it from one thread to the other. Computing
threads then read one at a time: each call of a read lets go of Python's lock, and threads that read at once would take
it from each other every few microseconds. For the same reason computations that are short, as with images of 64 pixels,
are done one at a time.

Threads and not processes: decoding and resizing release Python's global lock, pixels need no copying between
processes, and `/dev/shm`, which is small in many containers, is not used. Not `concurrent.futures`, because the
interpreter waits for its threads at exit, for ever when a read on a broken mount never returns.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import TypeAlias

_JOIN_SECONDS = 5.0
_MAX_WAITING = 64  # enough that readers and decoders seldom wait for each other
_MAX_SECONDS_A_READ_WAITS = 0.001  # above it, on average, reading is for the reading threads
_SHARE_OF_LATEST = 0.1  # in the average
_LONGEST_WAIT_COUNTED = 0.005  # seconds: so that one stumble does not look like a mount
_MAX_SECONDS_OF_SHORT = 0.00013  # with longer computations, two threads are faster than one
_NUM_MEASURED = 16  # of which the fourth shortest counts: other threads make some of them seem long
_NUM_BEFORE_MEASURED_ANEW = 64  # long computations; twice as many after each time

Computation: TypeAlias = Callable[[], None]
Read: TypeAlias = Callable[[int, int], Computation | None]
_Task: TypeAlias = tuple[Read, int, int]


class ReadingThreads:
    """Threads that call functions on rows, first come, first served.

    What reading threads have read and is not yet being computed with is bounded: 64 rows.

    Args:
        num_threads: How many read, once reads wait.
        num_computing: How many compute with what was read; 0 where reads return nothing to compute.
        on_start: Called by each computing thread before anything else.

    Attributes:
        is_closed: Whether the threads have been told to end.
    """

    def __init__(self, num_threads: int, *, num_computing: int = 0, on_start: Callable[[], None] | None = None) -> None:
        self._num_reading = num_threads
        self._num_computing = num_computing
        self._on_start = on_start
        self._reads: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._computations: queue.SimpleQueue[_Task | Computation | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(_MAX_WAITING)
        self._may_compute = threading.Event()
        self._may_compute.set()
        self._reads_wait = num_computing == 0
        self._average_wait = 0.0  # seconds of a read
        self._seconds_computed: list[float] = []
        self._num_long_left = 0
        self._next_num_long = _NUM_BEFORE_MEASURED_ANEW
        self._turn = threading.Lock()  # among the computing threads
        self._starting = threading.Lock()
        self._readers: list[threading.Thread] = []
        self._computers: list[threading.Thread] = []
        self._running: list[tuple[float, int] | None] = [None] * (num_threads + num_computing)
        self.is_closed = False

    def submit(self, read: Read, position: int, row: int) -> None:
        """Call `read(position, row)`, and what it returns, if anything, in a computing thread.

        Neither call may raise. Threads start with the first calls, one with each.
        """
        if self.is_closed:
            raise RuntimeError("the reading threads are closed")
        if (number := len(self._computers)) < self._num_computing:
            slot = self._num_reading + number
            self._computers.append(_started(lambda: self._compute(slot), f"image-decoder-{number}"))
        if self._reads_wait:
            self._submit_read((read, position, row))
        else:
            self._computations.put((read, position, row))

    def pause_computing(self) -> None:
        """Begin no further computation; reading in the reading threads goes on."""
        self._may_compute.clear()

    def resume_computing(self) -> None:
        """Go on computing, if it was paused."""
        self._may_compute.set()

    def longest_running(self) -> tuple[float, int]:
        """Seconds since the oldest read that has not returned began, and its row; (0, -1) without any."""
        started, row = min((running for running in self._running if running is not None), default=(0.0, -1))
        return (time.monotonic() - started, row) if row >= 0 else (0.0, -1)

    def close(self) -> bool:
        """End the threads once each has finished its call; calls that wait are dropped. Safe to repeat.

        Returns:
            Whether all have ended; a read that is stuck keeps its thread.
        """
        with self._starting:
            self.is_closed = True
        self._may_compute.set()
        for _ in self._readers:
            self._reads.put(None)
            self._room.release()
        for _ in self._computers:
            self._computations.put(None)
        deadline = time.monotonic() + _JOIN_SECONDS
        threads = [*self._readers, *self._computers]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._readers, self._computers = [], []
        return not any(thread.is_alive() for thread in threads)

    def _submit_read(self, task: _Task) -> None:
        with self._starting:
            if (slot := len(self._readers)) < self._num_reading and not self.is_closed:
                self._readers.append(_started(lambda: self._read(slot), f"image-reader-{slot}"))
        self._reads.put(task)

    def _read(self, slot: int) -> None:
        while (task := self._reads.get()) is not None:
            self._room.acquire()
            computation = None if self.is_closed else self._call(task, slot)
            if computation is None:
                self._room.release()
            else:
                self._computations.put(computation)
            del computation  # and with it what was read, while this thread waits for the next task

    def _compute(self, slot: int) -> None:
        if self._on_start is not None:
            self._on_start()
        while (computation := self._next_long(slot)) is not None:
            self._carry_out(computation)
            del computation  # and with it what was read, while this thread waits for the next one

    def _next_long(self, slot: int) -> Computation | None:
        """Wait for a computation that is for this thread alone; None at the end. Short ones are done before that."""
        with self._turn:
            while (item := self._computations.get()) is not None:
                computation = self._read_first(item, slot) if isinstance(item, tuple) else item
                if computation is item:
                    self._room.release()
                if computation is not None:
                    if self._num_long_left:
                        self._num_long_left -= 1
                        return computation
                    self._measure(computation)
                del item, computation  # likewise
        return None

    def _measure(self, computation: Computation) -> None:
        """Carry out, and tell by the last few of them whether the next ones will be short."""
        self._wait_until_computing()
        started = time.perf_counter()
        self._carry_out(computation)
        self._seconds_computed.append(time.perf_counter() - started)
        if len(self._seconds_computed) == _NUM_MEASURED:
            if sorted(self._seconds_computed)[_NUM_MEASURED // 4 - 1] > _MAX_SECONDS_OF_SHORT:
                self._num_long_left = self._next_num_long
                self._next_num_long *= 2
            self._seconds_computed.clear()

    def _read_first(self, task: _Task, slot: int) -> Computation | None:
        """What is left to do once the read is carried out: here and now, or in a reading thread if reads wait."""
        if self._reads_wait:
            self._submit_read(task)
            return None
        self._wait_until_computing()
        if self.is_closed:
            return None
        started, computed = time.perf_counter(), time.thread_time()
        computation = self._call(task, slot)
        wait = time.perf_counter() - started - (time.thread_time() - computed)
        self._average_wait += _SHARE_OF_LATEST * (min(wait, _LONGEST_WAIT_COUNTED) - self._average_wait)
        self._reads_wait = self._average_wait > _MAX_SECONDS_A_READ_WAITS
        return computation

    def _carry_out(self, computation: Computation) -> None:
        self._wait_until_computing()
        if not self.is_closed:
            computation()

    def _wait_until_computing(self) -> None:
        if not self._may_compute.is_set():  # asked first, since waiting takes a lock that all threads share
            self._may_compute.wait()

    def _call(self, task: _Task, slot: int) -> Computation | None:
        read, position, row = task
        self._running[slot] = (time.monotonic(), row)
        computation = read(position, row)
        self._running[slot] = None
        return computation


def _started(target: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread
