"""Rows on a local disk come back as they were written, or not at all; a failing disk never fails a run."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytorch_designer.images.disk_rows import DiskRows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

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


def test_pixels_that_are_no_single_block_of_memory_are_stored_too(tmp_path: Path) -> None:
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
            thread.join()
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
    assert f"The local disk in {tmp_path} cannot be used to keep decoded images: {os.strerror(errno.EFBIG)}" in message


@pytest.mark.skipif(not hasattr(os, "pwrite"), reason="this platform has no such call")
def test_room_is_given_back_once_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    real_truncate = os.truncate

    def watched(number: int, size: int) -> None:
        sizes.append(os.fstat(number).st_size)
        real_truncate(number, size)
        sizes.append(os.fstat(number).st_size)

    monkeypatch.setattr(os, "truncate", watched)
    with closing(DiskRows(range(2), SHAPE, tmp_path)) as rows:
        rows.store(0, pixels(0))
        with file_size_limit(ROW_BYTES + 100):
            rows.store(1, pixels(1))
        assert sizes == [ROW_BYTES + 100, 0]


def test_a_folder_that_cannot_be_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(DiskRows(range(3), SHAPE, tmp_path / "absent")) as rows:
        for row in range(3):
            rows.store(row, pixels(row))
            assert not is_stored(rows, row)
    (message,) = caplog.messages
    assert str(tmp_path / "absent") in message


@pytest.mark.skipif(not hasattr(os, "preadv"), reason="this platform has no such call")
@pytest.mark.parametrize("fault", ["error", "short", "changed"])
def test_a_disk_that_does_not_give_back_what_was_written_is_given_up(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real_read = os.preadv

    def bad_read(number: int, buffers: Any, offset: int) -> int:
        if fault == "error":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        count = real_read(number, buffers, offset)
        buffers[0][-1] ^= 1 if fault == "changed" else 0
        return count - (1 if fault == "short" else 0)

    with closing(DiskRows(range(2), SHAPE, tmp_path)) as rows:
        rows.store(0, pixels(0))
        rows.store(1, pixels(1))
        monkeypatch.setattr(os, "preadv", bad_read)
        assert rows.read(0) is None
        monkeypatch.setattr(os, "preadv", real_read)
        assert rows.read(1) is None
    assert len(caplog.messages) == 1


def test_platforms_without_calls_that_name_a_place_seek(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pwrite", raising=False)
    monkeypatch.delattr(os, "preadv", raising=False)
    with closing(DiskRows(range(4), SHAPE, tmp_path)) as rows:
        for row in (2, 0, 3):
            rows.store(row, pixels(row))
        assert [row for row in range(4) if is_stored(rows, row)] == [0, 2, 3]


def test_after_clearing_nothing_is_held_or_stored(tmp_path: Path) -> None:
    with closing(DiskRows(range(2), SHAPE, tmp_path)) as rows:
        rows.store(0, pixels(0))
        rows.clear()
        rows.store(1, pixels(1))
        assert not is_stored(rows, 0)
        assert not is_stored(rows, 1)
