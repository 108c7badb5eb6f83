"""Images of old models are scored at their own size, in the dataset's order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pytorch_designer.directories.image_directory import ImageDirectory, open_image_directory
from pytorch_designer.directories.model_directory import open_trained_model_directory
from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.inference.image_batch import ImageBatch
from pytorch_designer.models.architectures import Architecture
from pytorch_designer.models.loading import LoadedModel, load_model
from pytorch_designer.scoring.image_batches import OwnSizeImages

SMALL, WIDE = (32, 32), (40, 50)  # height, width


def write_images(folder: Path, sizes: Sequence[tuple[int, int]]) -> ImageDirectory:
    """Images of noise, all different, named so that they sort in this order."""
    folder.mkdir()
    for number, (height, width) in enumerate(sizes):
        pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:04}.png")
    return open_image_directory(folder)


def pixels_of(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    with Image.open(path) as image:
        return np.array(image)


def read(dataset: ImageDirectory, model: LoadedModel, num_threads: int = 3) -> tuple[list[ImageBatch], dict[int, str]]:
    with OwnSizeImages(dataset, model, num_threads=num_threads) as images:
        batches = list(images.batches())
        return batches, {bad.index: bad.reason for bad in images.bad_files}


def test_neighbours_of_one_size_share_a_batch(old_model: Path, tmp_path: Path) -> None:
    dataset = write_images(tmp_path / "images", [SMALL, SMALL, WIDE, SMALL, WIDE, WIDE, WIDE])
    batches, bad = read(dataset, load_model(open_trained_model_directory(old_model)))
    assert [batch.rows.tolist() for batch in batches] == [[0, 1], [2], [3], [4, 5, 6]]
    assert bad == {}
    for batch in batches:
        for row, image in zip(batch.rows, batch.images_nchw, strict=True):
            assert np.array_equal(image.permute(1, 2, 0).numpy(), pixels_of(dataset.path(row)))


def test_many_images_of_one_size_are_cut_into_batches(old_model: Path, tmp_path: Path) -> None:
    dataset = write_images(tmp_path / "images", [SMALL] * 300)
    assert [len(batch.rows) for batch in read(dataset, load_model(open_trained_model_directory(old_model)))[0]] == [
        256,
        44,
    ]


def test_bad_files_are_left_out_with_the_reason(old_model: Path, tmp_path: Path) -> None:
    dataset = write_images(tmp_path / "images", [SMALL] * 4)
    dataset.path(1).write_bytes(b"no image")
    dataset.path(2).unlink()
    batches, bad = read(dataset, load_model(open_trained_model_directory(old_model)))
    assert [batch.rows.tolist() for batch in batches] == [[0, 3]]
    assert bad == {1: "not an image: the file is text", 2: "no such file"}


def test_images_smaller_than_the_network_needs_are_left_out(old_model: Path, tmp_path: Path) -> None:
    densenet = replace(
        load_model(open_trained_model_directory(old_model)), architecture=Architecture("densenet121")
    )  # at least 29 x 29
    batches, bad = read(write_images(tmp_path / "images", [SMALL, (28, 90), (29, 29)]), densenet)
    assert [batch.rows.tolist() for batch in batches] == [[0], [2]]
    assert bad == {1: "90x28 pixels are fewer than the 29x29 that the network needs"}


def test_any_number_of_threads_reads_the_same(old_model: Path, tmp_path: Path) -> None:
    dataset = write_images(tmp_path / "images", [SMALL, WIDE] * 20)
    rows = [
        [batch.rows.tolist() for batch in read(dataset, load_model(open_trained_model_directory(old_model)), num)[0]]
        for num in (1, 2, 32)
    ]
    assert rows[0] == rows[1] == rows[2] == [[row] for row in range(40)]


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_READ_TIMEOUT_SECONDS", "1.5")


class WatchedImages(OwnSizeImages):
    """Calls `before_read` with each row, in the thread that reads it."""

    before_read: Callable[[int], object]

    def _read(self, row: int) -> bytearray:
        self.before_read(row)
        return super()._read(row)


def watched(
    old_model: Path, folder: Path, sizes: Sequence[tuple[int, int]], before_read: Callable[[int], object]
) -> WatchedImages:
    images = WatchedImages(
        write_images(folder, sizes), load_model(open_trained_model_directory(old_model)), num_threads=2
    )
    images.before_read = before_read
    return images


@pytest.mark.slow
@pytest.mark.usefixtures("short_timeout")
def test_a_stuck_read_ends_in_an_error_that_names_the_file(old_model: Path, tmp_path: Path) -> None:
    released = threading.Event()
    images = watched(old_model, tmp_path / "images", [SMALL] * 5, lambda row: released.wait(120 if row == 3 else 0))
    try:
        with pytest.raises(InvalidDatasetError, match=r"longer than 1\.5 seconds") as caught:
            list(images.batches())
    finally:
        released.set()
        images.close()
    assert caught.value.where == str(tmp_path / "images")
    assert caught.value.examples == ("0003.png",)


def test_a_bug_in_a_thread_is_raised_where_the_image_is_used(old_model: Path, tmp_path: Path) -> None:
    def fail(row: int) -> None:
        if row == 2:
            raise ZeroDivisionError("a bug")

    with (
        watched(old_model, tmp_path / "images", [SMALL] * 5, fail) as images,
        pytest.raises(ZeroDivisionError, match="a bug"),
    ):
        list(images.batches())


def test_reading_ahead_is_bounded(old_model: Path, tmp_path: Path) -> None:
    rows: list[int] = []
    with watched(old_model, tmp_path / "images", [SMALL, WIDE] * 30, rows.append) as images:
        next(images.batches())
        threading.Event().wait(0.1)
        assert 1 <= len(rows) < 20
