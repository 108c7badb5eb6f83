"""Rows on a local disk come back as they were written, or not at all; a failing disk never fails a run."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytorch_designer.images.cache import DiskRows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

pytestmark = pytest.mark.skipif(not hasattr(os, "pwrite"), reason="this platform cannot use the disk")

SHAPE = (20, 30, 3)
ROW_BYTES = 1800


def pixels(row: int) -> NDArray[np.uint8]:
    return np.random.default_rng(row).integers(0, 256, SHAPE, dtype=np.uint8)


def is_stored(rows: DiskRows, row: int) -> bool:
    found = rows.read(row)
    assert found is None or np.array_equal(found, pixels(row))
    return found is not None


@contextmanager
def file_size_limit(num_bytes: int) -> Iterator[None]:
    """Let files grow up to `num_bytes`: the kernel writes a part of what goes beyond, and fails from then on."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_rows_come_back_in_any_order(tmp_path: Path) -> None:
    with closing(DiskRows(range(5, 12), SHAPE, tmp_path)) as rows:
        for row in (9, 5, 11):
            rows.store(row, pixels(row))
        assert [row for row in range(5, 12) if is_stored(rows, row)] == [5, 9, 11]


def test_pixels_that_are_not_a_single_block_of_memory_are_stored_too(tmp_path: Path) -> None:
    turned = np.ascontiguousarray(pixels(0).transpose(2, 1, 0)).transpose(2, 1, 0)
    with closing(DiskRows(range(1), SHAPE, tmp_path)) as rows:
        rows.store(0, turned)
        assert is_stored(rows, 0)


@pytest.mark.skipif(os.name != "posix", reason="files have their name until they are closed")
def test_the_file_has_no_name(tmp_path: Path) -> None:
    with closing(DiskRows(range(1), SHAPE, tmp_path)) as rows:
        rows.store(0, pixels(0))
        assert list(tmp_path.iterdir()) == []


def test_no_file_is_made_before_the_first_row(tmp_path: Path) -> None:
    with closing(DiskRows(range(3), SHAPE, tmp_path / "absent")) as rows:
        assert rows.read(1) is None


def test_many_threads_store_and_read(tmp_path: Path) -> None:
    with closing(DiskRows(range(64), SHAPE, tmp_path)) as rows:

        def work(first: int) -> None:
            for row in range(first, 64, 8):
                rows.store(row, pixels(row))
                assert is_stored(rows, row)

        threads = [threading.Thread(target=work, args=(first,)) for first in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert all(is_stored(rows, row) for row in range(64))


def test_a_full_disk_is_said_once_and_given_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(DiskRows(range(600), SHAPE, tmp_path)) as rows:
        with file_size_limit(2**20):  # room for 582 rows and a half
            for row in range(600):
                rows.store(row, pixels(row))
        assert not any(is_stored(rows, row) for row in range(600))
        rows.store(0, pixels(0))
        assert not is_stored(rows, 0)
    (message,) = caplog.messages
    assert f"The local disk in {tmp_path} cannot be used to keep decoded images: " in message


def test_room_is_given_back_once_the_disk_is_full(tmp_path: Path) -> None:
    with closing(DiskRows(range(2), SHAPE, tmp_path)) as rows:
        rows.store(0, pixels(0))
        number = open_file_in(tmp_path)
        assert os.fstat(number).st_size == ROW_BYTES
        with file_size_limit(ROW_BYTES + 100):
            rows.store(1, pixels(1))
        assert os.fstat(number).st_size == 0


def open_file_in(folder: Path) -> int:
    """The number of this process's open file in a folder, which need not have a name any more (Linux only)."""
    numbers = Path("/proc/self/fd")
    if not numbers.exists():
        pytest.skip("this platform does not list open files")
    (found,) = (number for number in numbers.iterdir() if os.path.realpath(number).startswith(str(folder)))
    return int(found.name)


def test_a_folder_that_cannot_be_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(DiskRows(range(3), SHAPE, tmp_path / "absent")) as rows:
        for row in range(3):
            rows.store(row, pixels(row))
            assert not is_stored(rows, row)
    (message,) = caplog.messages
    assert str(tmp_path / "absent") in message


@pytest.mark.parametrize("fault", ["error", "short"])
def test_a_row_that_cannot_be_read_back_is_not_held(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_read = os.preadv

    def bad_read(number: int, buffers: Any, offset: int) -> int:
        if fault == "error":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real_read(number, buffers, offset) - 1

    with closing(DiskRows(range(2), SHAPE, tmp_path)) as rows:
        rows.store(0, pixels(0))
        rows.store(1, pixels(1))
        monkeypatch.setattr(os, "preadv", bad_read)
        assert rows.read(0) is None


def test_after_closing_nothing_is_held_or_stored(tmp_path: Path) -> None:
    with closing(DiskRows(range(2), SHAPE, tmp_path)) as rows:
        rows.store(0, pixels(0))
        rows.close()
        rows.store(1, pixels(1))
        assert not is_stored(rows, 0)
        assert not is_stored(rows, 1)
