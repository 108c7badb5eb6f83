"""Reads that wait do so in many threads, what was read is computed in few, and only reads can be stuck."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pytorch_designer.images.reading_threads import ReadingThreads

if TYPE_CHECKING:
    from pytorch_designer.images.reading_threads import Computation, Read


def read_rows(threads: ReadingThreads, read: Read, num_rows: int, done: threading.Semaphore) -> None:
    """Submit the rows, and wait until `done` has been released for each."""
    for row in range(num_rows):
        threads.submit(read, 0, row)
    for _ in range(num_rows):
        assert done.acquire(timeout=10)


def threads_whose_reads_wait(num_threads: int, *, num_computing: int) -> ReadingThreads:
    """Threads that have seen reads which take 10 ms, as on a mount."""
    threads, done = ReadingThreads(num_threads, num_computing=num_computing), threading.Semaphore(0)

    def read(_: int, row: int) -> Computation:
        time.sleep(0.01)
        return done.release

    read_rows(threads, read, 4 * num_computing, done)
    return threads


def names_of_threads_that_read(threads: ReadingThreads, num_reads: int) -> set[str]:
    names, done = set(), threading.Semaphore(0)

    def read(_: int, row: int) -> Computation:
        names.add(threading.current_thread().name.rpartition("-")[0])
        return done.release

    read_rows(threads, read, num_reads, done)
    return names


def test_short_reads_take_no_thread_of_their_own() -> None:
    with closing(ReadingThreads(8, num_computing=2)) as threads:
        assert names_of_threads_that_read(threads, 20) == {"image-decoder"}


class Overlap:
    """Notes whether calls ran at the same time."""

    def __init__(self) -> None:
        self.has_met: list[bool] = []
        self._lock = threading.Lock()

    def pause(self, seconds: float) -> None:
        is_alone = self._lock.acquire(blocking=False)
        time.sleep(seconds)  # lets another thread run
        self.has_met.append(not is_alone)
        if is_alone:
            self._lock.release()


def test_short_reads_and_short_computations_take_turns_and_long_computations_do_not() -> None:
    reads, short_ones, done = Overlap(), Overlap(), threading.Semaphore(0)
    together = threading.Barrier(4, timeout=10)  # broken, and so an error, unless 4 computations are under way at once

    def read(_: int, row: int) -> Computation:
        reads.pause(0.00005)
        return lambda: compute(row)

    def compute(row: int) -> None:
        if row < 16:  # by these it is told that computations are long
            time.sleep(0.001)
        elif row < 16 + 64:
            together.wait()
        else:  # by the first of these that they are short now
            short_ones.pause(0)
        done.release()

    with closing(ReadingThreads(8, num_computing=4)) as threads:
        read_rows(threads, read, 300, done)
    assert reads.has_met == [False] * 300
    assert short_ones.has_met == [False] * (300 - 16 - 64)


def test_computations_that_go_on_being_long_are_measured_ever_more_seldom() -> None:
    measured, done = Overlap(), threading.Semaphore(0)
    together = threading.Barrier(4, timeout=10)  # broken where one of them is measured, which is done alone

    def read(_: int, row: int) -> Computation:
        return lambda: compute(row)

    def compute(row: int) -> None:
        if row < 16 or 16 + 64 <= row < 16 + 64 + 16:
            measured.pause(0.001)
        else:
            together.wait()
        done.release()

    with closing(ReadingThreads(8, num_computing=4)) as threads:
        read_rows(threads, read, 16 + 64 + 16 + 2 * 64, done)
    assert measured.has_met == [False] * 32


def test_reads_that_wait_are_moved_to_the_reading_threads() -> None:
    with closing(threads_whose_reads_wait(8, num_computing=2)) as threads:
        assert names_of_threads_that_read(threads, 20) == {"image-reader"}


def test_reads_are_under_way_in_all_threads_and_computations_in_few() -> None:
    together = threading.Barrier(8, timeout=10)  # broken, and so an error, unless 8 reads are under way at once
    lock, done = threading.Lock(), threading.Semaphore(0)
    num_computing, most = 0, 0

    def read(_: int, row: int) -> Computation:
        together.wait()
        return compute

    def compute() -> None:
        nonlocal num_computing, most
        with lock:
            num_computing += 1
            most = max(most, num_computing)
        time.sleep(0.002)
        with lock:
            num_computing -= 1
        done.release()

    with closing(threads_whose_reads_wait(8, num_computing=2)) as threads:
        read_rows(threads, read, 24, done)
    assert most <= 2


def test_what_was_read_and_waits_is_bounded() -> None:
    released = threading.Event()
    rows: list[int] = []

    def read(_: int, row: int) -> Computation:
        rows.append(row)
        return lambda: assert_released(released)

    with closing(threads_whose_reads_wait(3, num_computing=1)) as threads:
        for row in range(200):
            threads.submit(read, 0, row)
        time.sleep(0.1)
        num_read = len(rows)
        released.set()
    assert 3 <= num_read <= 64 + 1  # and the one that is computed with


def assert_released(event: threading.Event) -> None:
    assert event.wait(10)


def test_waiting_to_be_computed_with_and_computing_are_no_stuck_read() -> None:
    released, is_read = threading.Event(), threading.Semaphore(0)

    def read(_: int, row: int) -> Computation:
        is_read.release()
        return lambda: assert_released(released)

    with closing(threads_whose_reads_wait(2, num_computing=1)) as threads:
        for row in range(9):
            threads.submit(read, 0, row)
        for _ in range(3):
            assert is_read.acquire(timeout=10)
        time.sleep(0.05)
        assert threads.longest_running() == (0.0, -1)
        released.set()


@pytest.mark.parametrize("reads_wait", [False, True])
def test_a_read_that_does_not_return_is_seen_with_its_row(reads_wait: bool) -> None:
    released = threading.Event()

    def read(_: int, row: int) -> None:
        if row == 7:
            assert_released(released)

    make = threads_whose_reads_wait if reads_wait else ReadingThreads
    with closing(make(2, num_computing=1)) as threads:
        for row in (7, 1, 2):
            threads.submit(read, 0, row)
        time.sleep(0.05)
        seconds, row = threads.longest_running()
        released.set()
    assert row == 7
    assert 0.01 < seconds < 10


def test_closing_drops_what_waits_in_either_queue() -> None:
    released = threading.Event()
    rows: list[int] = []

    def read(_: int, row: int) -> Computation:
        rows.append(row)
        return lambda: assert_released(released)

    threads = threads_whose_reads_wait(2, num_computing=1)
    for row in range(200):
        threads.submit(read, 0, row)
    time.sleep(0.05)
    threading.Timer(0.05, released.set).start()
    assert threads.close()
    assert len(rows) <= 64 + 1


def test_no_more_threads_are_started_than_there_are_calls() -> None:
    before = threading.active_count()
    done = threading.Event()
    with closing(ReadingThreads(30, num_computing=4)) as threads:
        threads.submit(lambda _, __: done.set, 0, 0)
        assert done.wait(10)
        assert threading.active_count() == before + 1
