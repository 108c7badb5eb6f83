from __future__ import annotations

import io
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.directories.scores.thumbnail_file import MAX_THUMBNAIL_BYTES
from pytorch_designer.images.thumbnails import as_thumbnail, read_thumbnails

_SIZES = Preprocessing(resize_size=40, crop_height=30, crop_width=40)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(5):
        pixels = np.full((60, 80, 3), 50 * number, dtype=np.uint8)
        (tmp_path / "photos" / "cat").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "photos" / "cat" / f"{number}.png")
    return tmp_path / "photos"


def _opened(jpeg: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(jpeg))
    assert image.format == "JPEG"
    return image


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (224, 224), (1, 3000), (1200, 900)])
def test_noise_of_any_size_is_small(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    jpeg = as_thumbnail(noise)

    assert len(jpeg) <= MAX_THUMBNAIL_BYTES
    assert max(_opened(jpeg).size) <= 128


def test_thumbnails_show_what_the_network_sees(photos: Path) -> None:
    found = read_thumbnails(open_image_directory(photos), [3, 1], _SIZES, port="dataset")

    assert list(found) == [3, 1]
    for row, jpeg in found.items():
        image = _opened(jpeg)
        assert image.size == (40, 30)
        assert abs(int(np.asarray(image).mean()) - 50 * row) <= 2


def test_without_preprocessing_the_middle_square_is_shown(photos: Path) -> None:
    found = read_thumbnails(open_image_directory(photos), [2], None, port="dataset")
    assert _opened(found[2]).size == (128, 128)


def test_files_that_vanished_or_broke_cost_their_pictures_only(photos: Path) -> None:
    dataset = open_image_directory(photos)
    (photos / "cat" / "1.png").unlink()
    (photos / "cat" / "2.png").write_bytes(b"not an image")

    assert set(read_thumbnails(dataset, [0, 1, 2, 3], _SIZES, port="dataset")) == {0, 3}


def test_a_folder_that_is_gone_costs_all_pictures_and_nothing_else(
    photos: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = open_image_directory(photos)
    shutil.rmtree(photos)

    with caplog.at_level(logging.WARNING):
        assert read_thumbnails(dataset, [0, 1], _SIZES, port="dataset") == {}
    assert "Not all pictures could be made" in caplog.text


def test_no_rows_read_nothing(photos: Path) -> None:
    assert read_thumbnails(open_image_directory(photos), [], _SIZES, port="dataset") == {}
