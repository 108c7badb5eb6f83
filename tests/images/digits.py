"""scikit-learn's handwritten digits as class folders: real images of 8 x 8 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def write_digits(folder: Path, *, classes: int, per_class: int, skip: int = 0, side: int = 8) -> None:
    """Write `folder/<digit>/<number>.png`, `per_class` images of each of the first `classes` digits after `skip`."""
    digits = load_digits()
    for label in range(classes):
        (folder / str(label)).mkdir(parents=True)
        images = digits.images[digits.target == label][skip : skip + per_class]
        for number, image in enumerate(images):
            pixels = (image * 255 / 16).round().astype(np.uint8)
            Image.fromarray(pixels).resize((side, side)).save(folder / str(label) / f"{number:03}.png")
