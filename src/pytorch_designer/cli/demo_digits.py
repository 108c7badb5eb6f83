"""Handwritten digits as class folders: scikit-learn's 1,797 scans of 8 x 8 pixels, enlarged to 32 x 32.

python -m pytorch_designer.cli.demo_digits FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

IMAGE_SIZE = 32


def write_digits(folder: Path) -> int:
    """Write the digits as `folder/<digit>/<number>.png`, and return how many there are."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = folder / str(label) / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray((pixels * (255 / 16)).round().astype("uint8"))
        small.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC).save(path)
    return len(digits.images)


if __name__ == "__main__":
    write_digits(Path(sys.argv[1]))
