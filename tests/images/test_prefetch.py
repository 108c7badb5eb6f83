"""Many reads are in flight, few images are computed at once, and only reads can be stuck."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

import pytest

from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.images.bad_files import BadFiles, BadImageError
from pytorch_designer.images.decoding.memory_budget import new_budget
from pytorch_designer.images.prefetch import Prefetcher
from tests.images.image_corpus import folder_of
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytorch_designer.images.prefetch import Source

NUM_ROWS = 200
LARGE = 100_000  # bytes


@pytest.fixture(autouse=True)
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytorch_designer.images.prefetch.usable_cores", lambda: 2)


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_READ_TIMEOUT_SECONDS", "1.5")


@pytest.fixture
def bad_files(tmp_path: Path) -> BadFiles:
    return BadFiles(folder_of(tmp_path, [b""] * NUM_ROWS), tolerance=1.0, port="dataset")


@pytest.fixture
def open_prefetcher(tmp_path: Path, bad_files: BadFiles) -> Callable[[int], Prefetcher]:
    dataset = cast("Any", folder_of(tmp_path, [b""] * NUM_ROWS))
    return lambda num_threads: Prefetcher(dataset, bad_files, port="dataset", num_threads=num_threads)


def read_file(_: int) -> bytearray:
    return bytearray(LARGE)


def do_nothing(position: int, row: int, source: Source) -> None:
    pass


class Overlap:
    """Counts how many threads are in a place at the same time."""

    def __init__(self) -> None:
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def stay(self, seconds: float) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(seconds)
        with self._lock:
            self._now -= 1


def test_as_many_reads_are_in_flight_as_there_are_threads_and_one_computation_per_core(
    open_prefetcher: Callable[[int], Prefetcher],
) -> None:
    together = threading.Barrier(8, timeout=120)  # broken, and so an error, unless 8 reads are in flight at once
    computing = Overlap()
    two = threading.Barrier(2, timeout=120)  # and unless 2 images are computed at once

    def read(_: int) -> bytearray:
        together.wait()
        return bytearray(LARGE)

    def compute(*_: object) -> None:
        two.wait()
        computing.stay(0.002)

    with closing(open_prefetcher(8)) as prefetcher:
        prefetcher.wait(prefetcher.start(range(48), read=read, compute=compute))
    assert computing.most == 2


def test_small_images_are_computed_one_at_a_time(open_prefetcher: Callable[[int], Prefetcher]) -> None:
    computing = Overlap()

    def read(row: int) -> bytearray:
        return bytearray(1000)

    with closing(open_prefetcher(8)) as prefetcher:
        prefetcher.wait(prefetcher.start(range(100), read=read, compute=lambda *_: computing.stay(0.0001)))
    assert computing.most == 1


def test_every_place_gets_its_own_row(open_prefetcher: Callable[[int], Prefetcher]) -> None:
    rows = [7, 3, 3, *range(100, 150)]
    found: dict[int, tuple[int, int]] = {}

    def compute(position: int, row: int, source: Source) -> None:
        found[position] = (row, source[0])

    with closing(open_prefetcher(8)) as prefetcher:
        prefetcher.wait(prefetcher.start(rows, read=lambda row: bytearray([row] * LARGE), compute=compute))
    assert [found[position] for position in range(len(rows))] == [(row, row) for row in rows]


def test_what_is_at_hand_is_not_read(open_prefetcher: Callable[[int], Prefetcher]) -> None:
    read_rows: list[int] = []

    def read(row: int) -> bytearray:
        read_rows.append(row)
        return bytearray(1)

    with closing(open_prefetcher(2)) as prefetcher:
        pending = prefetcher.start(
            range(9), read=read, compute=do_nothing, at_hand=lambda row: bytearray(1) if row % 3 else None
        )
        prefetcher.wait(pending)
    assert sorted(read_rows) == [0, 3, 6]


def test_files_that_wait_to_be_decoded_are_bounded(open_prefetcher: Callable[[int], Prefetcher]) -> None:
    released = threading.Event()
    rows: list[int] = []

    def read(row: int) -> bytearray:
        rows.append(row)
        return bytearray(LARGE)

    with closing(open_prefetcher(3)) as prefetcher:
        prefetcher.start(range(NUM_ROWS), read=read, compute=lambda *_: assert_released(released))
        wait_until(lambda: len(rows) >= 3)
        time.sleep(0.1)
        num_read = len(rows)
        released.set()
    assert 3 <= num_read < NUM_ROWS // 2


def assert_released(event: threading.Event) -> None:
    assert event.wait(120)


def test_bad_files_are_registered_and_other_errors_raised(
    open_prefetcher: Callable[[int], Prefetcher], bad_files: BadFiles
) -> None:
    def read(row: int) -> bytearray:
        if row == 1:
            raise BadImageError("unreadable")
        return bytearray(LARGE)

    def compute(position: int, row: int, source: Source) -> None:
        if row == 2:
            raise BadImageError("undecodable")
        if row == 9:
            raise ZeroDivisionError("a bug")

    with closing(open_prefetcher(2)) as prefetcher:
        prefetcher.wait(prefetcher.start(range(8), read=read, compute=compute))
        assert {bad.index: bad.reason for bad in bad_files.listing()} == {1: "unreadable", 2: "undecodable"}
        with pytest.raises(ZeroDivisionError, match="a bug"):
            prefetcher.wait(prefetcher.start([9], read=read, compute=compute))


@pytest.mark.slow
@pytest.mark.usefixtures("short_timeout")
def test_waiting_to_be_computed_and_computing_are_not_a_stuck_read(
    open_prefetcher: Callable[[int], Prefetcher],
) -> None:
    with closing(open_prefetcher(2)) as prefetcher:
        prefetcher.wait(prefetcher.start(range(6), read=read_file, compute=lambda *_: time.sleep(1)))


@pytest.mark.slow
@pytest.mark.usefixtures("short_timeout")
def test_a_read_that_does_not_return_is_named(open_prefetcher: Callable[[int], Prefetcher]) -> None:
    released = threading.Event()

    def read(row: int) -> bytearray:
        if row == 7:
            assert_released(released)
        return bytearray(1)

    with closing(open_prefetcher(2)) as prefetcher:
        pending = prefetcher.start([1, 7, 2], read=read, compute=do_nothing)
        with pytest.raises(InvalidDatasetError, match=r"longer than 1\.5 seconds") as caught:
            prefetcher.wait(pending)
        released.set()
    assert caught.value.examples == ("0007.img",)


def test_nothing_is_computed_while_paused(open_prefetcher: Callable[[int], Prefetcher]) -> None:
    computed: list[int] = []
    is_read = threading.Semaphore(0)

    def read(row: int) -> bytearray:
        is_read.release()
        return bytearray(LARGE)

    with closing(open_prefetcher(2)) as prefetcher:
        prefetcher.wait(prefetcher.start([0], read=read_file, compute=do_nothing))
        prefetcher.pause_computing()
        pending = prefetcher.start(range(5), read=read, compute=lambda _, row, __: computed.append(row))
        for _ in range(5):
            assert is_read.acquire(timeout=120)
        time.sleep(0.02)
        assert computed == []
        prefetcher.wait(pending)
        assert sorted(computed) == [0, 1, 2, 3, 4]


def test_closing_drops_what_waits_in_either_pool(open_prefetcher: Callable[[int], Prefetcher]) -> None:
    released = threading.Event()
    rows: list[int] = []

    def read(row: int) -> bytearray:
        rows.append(row)
        return bytearray(LARGE)

    prefetcher = open_prefetcher(2)
    prefetcher.start(range(NUM_ROWS), read=read, compute=lambda *_: assert_released(released))
    time.sleep(0.05)
    threading.Timer(0.05, released.set).start()
    assert prefetcher.close()
    assert len(rows) < NUM_ROWS // 2


def test_where_no_further_thread_starts_those_that_run_are_ended(
    open_prefetcher: Callable[[int], Prefetcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def start_three(thread: threading.Thread) -> None:
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    prefetcher = open_prefetcher(8)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start_three)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            prefetcher.start([0], read=read_file, compute=do_nothing)
    assert prefetcher.close()
    assert not any(thread.is_alive() for thread in started)


@pytest.mark.slow
@pytest.mark.parametrize("share", [1.0, 0.5, 10.0])
def test_large_files_wait_for_room_until_those_before_them_are_computed(
    open_prefetcher: Callable[[int], Prefetcher], short_timeout: None, share: float
) -> None:
    budget = new_budget()
    size = int(share * budget.num_bytes)
    inside = Overlap()

    with closing(open_prefetcher(8)) as prefetcher:
        held: list[int] = []

        def read(row: int) -> bytearray:
            prefetcher.make_room(size)
            prefetcher.make_room(size)  # the read was tried again
            held.append(row)
            inside.most = max(inside.most, len(held))
            if row == 5:
                held.remove(row)
                raise BadImageError("damaged")
            return bytearray(LARGE)

        def compute(position: int, row: int, source: Source) -> None:
            time.sleep(0.3)  # in all, longer than a read may take
            held.remove(row)

        prefetcher.wait(prefetcher.start(range(12), read=read, compute=compute))
        assert not held
    assert inside.most == (2 if share < 1 else 1)


def test_a_loader_is_closed_while_large_files_wait(open_prefetcher: Callable[[int], Prefetcher]) -> None:
    with closing(open_prefetcher(4)) as prefetcher:

        def read(row: int) -> bytearray:
            prefetcher.make_room(2**60)
            return bytearray(LARGE)

        prefetcher.start(range(8), read=read, compute=do_nothing)
        prefetcher.pause_computing()
        time.sleep(0.05)
    assert prefetcher.close()
