"""Photos for benchmarks: pieces of scikit-learn's two sample photos, as ordinary JPEG files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

if TYPE_CHECKING:
    from pathlib import Path


def write_photos(root: Path, num_images: int, *, seed: int = 0) -> None:
    """Write JPEGs of 500x375 pixels, half of them upright, quality 90, into two class folders of `root`."""
    photos = load_sample_images().images
    generator = np.random.default_rng(seed)
    for index in range(num_images):
        photo = photos[index % len(photos)]
        top, left = generator.integers(0, [photo.shape[0] - 375, photo.shape[1] - 500])
        piece = photo[top : top + 375, left : left + 500]
        is_upright = index // len(photos) % 2 == 1
        path = root / f"photo_{index % len(photos)}" / f"{index:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.rot90(piece) if is_upright else piece).save(path, quality=90)
