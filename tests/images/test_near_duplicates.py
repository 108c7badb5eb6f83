from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.images import near_duplicates
from pytorch_designer.images.near_duplicates import find_near_duplicates


def _crops(folder: Path, num_images: int, seed: int) -> list[Image.Image]:
    rng = np.random.default_rng(seed)
    photos = load_sample_images().images
    (folder / "a").mkdir(parents=True)
    images = []
    for number in range(num_images):
        top, left = int(rng.integers(0, 227)), int(rng.integers(0, 440))
        images.append(Image.fromarray(photos[number % 2][top : top + 200, left : left + 200]))
        images[-1].save(folder / "a" / f"{number:02d}.png")
    return images


@pytest.mark.slow
def test_resized_recompressed_and_brightened_copies_are_found_and_no_others(tmp_path: Path) -> None:
    images = _crops(tmp_path / "training", 20, seed=1)
    _crops(tmp_path / "validation", 20, seed=2)
    copies = tmp_path / "validation" / "b"
    copies.mkdir()
    images[3].save(copies / "recompressed.jpg", quality=50)
    images[4].resize((90, 90)).save(copies / "resized.png")
    images[5].point(lambda value: min(255, int(value * 0.8) + 20)).save(copies / "brightened.png")

    training, validation = (open_image_directory(tmp_path / part) for part in ("training", "validation"))
    found = find_near_duplicates(training, validation)

    assert found.is_complete
    assert (found.num_first, found.num_second) == (20, 23)
    assert {(validation.name(pair.row), training.name(pair.other_row)) for pair in found.pairs} == {
        ("b/recompressed.jpg", "a/03.png"),
        ("b/resized.png", "a/04.png"),
        ("b/brightened.png", "a/05.png"),
    }
    assert [pair.similarity for pair in found.pairs] == sorted((pair.similarity for pair in found.pairs), reverse=True)


def test_images_of_one_color_are_not_taken_for_each_other(tmp_path: Path) -> None:
    for part in ("training", "validation"):
        (tmp_path / part / "a").mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (20, 20), (80 * number, 0, 0)).save(tmp_path / part / "a" / f"{number}.png")

    found = find_near_duplicates(*(open_image_directory(tmp_path / part) for part in ("training", "validation")))
    assert (found.pairs, found.num_first, found.num_second) == ((), 0, 0)


@pytest.mark.slow
def test_large_datasets_are_compared_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part, seed in (("training", 1), ("validation", 2)):
        _crops(tmp_path / part, 12, seed)
    monkeypatch.setattr(near_duplicates, "MAX_IMAGES", 8)
    found = find_near_duplicates(*(open_image_directory(tmp_path / part) for part in ("training", "validation")))
    assert not found.is_complete
    assert (found.num_first, found.num_second) == (6, 2)
