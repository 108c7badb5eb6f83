"""Two small sets of real images to compare accuracy on: scikit-learn's digits, plain and made harder.

    python benchmarks/harder_digits.py FOLDER [--training 2000] [--validation 2000] [--seed 0] [--plain]

Both are 32 pixels wide and high, in FOLDER/training and FOLDER/validation, with a folder per digit. The harder set has
the handwritten digits scaled, rotated by up to 30 degrees and shifted, on cluttered crops of scikit-learn's two sample
photos, darker or lighter than the background, in a random color and strength. The handwritten digits are split first:
no digit is in both sets.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

SIDE = 32
NUM_VALIDATION_SOURCES = 500
MARGIN = 2  # of the 8 pixels of a digit: room for its rotated corners


def main() -> None:
    """Write one of the sets."""
    parser = argparse.ArgumentParser(description="Write small images of digits.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--training", type=int, default=2000)
    parser.add_argument("--validation", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="1,296 and 500 digits as they are, enlarged")
    options = parser.parse_args()
    if options.plain:
        write_plain_digits(options.folder)
    else:
        write_harder_digits(options.folder, options.training, options.validation, seed=options.seed)


def write_plain_digits(root: Path) -> None:
    """Write 1,296 training and 500 validation images, enlarged from 8 to 32 pixels.

    One digit is left out of the 1,797: batches of 16 would end with a single image, at which networks with batch norm
    fail in other libraries.
    """
    for part, sources in split_digits().items():
        even = sources[: len(sources) // 2 * 2]
        _write(root / part, ((label, _enlarged(strokes, SIDE)) for strokes, label in even))


def write_harder_digits(root: Path, num_training: int, num_validation: int, *, seed: int = 0) -> None:
    """Write the harder set; the same numbers and seed give the same images."""
    photos = load_sample_images().images
    for number, (part, sources) in enumerate(split_digits().items()):
        num_images = {"training": num_training, "validation": num_validation}[part]
        generator = np.random.default_rng([seed, number])
        drawn = (sources[index % len(sources)] for index in range(num_images))
        _write(root / part, ((label, drawn_digit(strokes, photos, generator)) for strokes, label in drawn))


def split_digits() -> dict[str, list[tuple[NDArray[np.float64], int]]]:
    """Strokes, 0 to 1 of [8, 8], with their digit, in a fixed random order; no digit is in both parts."""
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.images))
    pairs = [(digits.images[index] / 16, int(digits.target[index])) for index in order]
    return {"training": pairs[NUM_VALIDATION_SOURCES:], "validation": pairs[:NUM_VALIDATION_SOURCES]}


def _write(folder: Path, images: Iterable[tuple[int, Image.Image]]) -> None:
    for index, (label, image) in enumerate(images):
        path = folder / str(label) / f"{index:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.convert("RGB").save(path)


def drawn_digit(
    strokes: NDArray[np.float64], photos: list[NDArray[np.uint8]], generator: np.random.Generator
) -> Image.Image:
    """A digit somewhere on a piece of a photo."""
    background = clutter(photos[generator.integers(len(photos))], generator)
    return inked(background, _placed(strokes, generator), generator)


def inked(
    background: NDArray[np.float64], coverage: NDArray[np.float64], generator: np.random.Generator
) -> Image.Image:
    """Something on a background, darker or lighter than it, in a random color and strength.

    Args:
        background: [32, 32, 3] of 0 to 255.
        coverage: How much of each pixel is covered, [32, 32] of 0 to 1.
        generator: Draws color and strength.
    """
    mean = background.mean((0, 1))
    sign = 1 if generator.random() < 0.5 else -1
    if not 60 < mean.mean() < 195:  # black cannot be written on black
        sign = 1 if mean.mean() < 128 else -1
    ink = np.clip(mean + sign * generator.uniform(80, 200) + generator.uniform(-40, 40, 3), 0, 255)
    covered = coverage[:, :, None]
    return Image.fromarray((background * (1 - covered) + ink * covered).round().astype(np.uint8))


def clutter(photo: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.float64]:
    """A square piece of the photo, float64 [32, 32, 3] of 0 to 255, with its contrast lowered at random."""
    side = int(generator.integers(SIDE, 161))
    top, left = generator.integers(0, [photo.shape[0] - side, photo.shape[1] - side])
    piece = Image.fromarray(photo[top : top + side, left : left + side]).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    pixels = np.asarray(piece, dtype=np.float64)
    mean = pixels.mean((0, 1))
    return np.asarray(mean + generator.uniform(0.3, 0.8) * (pixels - mean))


def _placed(strokes: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    """The strokes scaled, rotated and shifted: how much of each of [32, 32] pixels they cover."""
    padded = np.pad(strokes, MARGIN)
    side = int(generator.integers(20, SIDE + 1))
    padded_side = side * len(padded) // len(strokes)
    rotated = _enlarged(padded, padded_side).rotate(generator.uniform(-30, 30), Image.Resampling.BICUBIC)
    middle = (padded_side - SIDE) / 2
    reach = (SIDE - side) / 2
    left, top = np.rint(middle + generator.uniform(-reach, reach, 2)).astype(int).tolist()
    return np.asarray(rotated.crop((left, top, left + SIDE, top + SIDE)), dtype=np.float64) / 255


def _enlarged(strokes: NDArray[np.float64], side: int) -> Image.Image:
    pixels = np.rint(strokes * 255).astype(np.uint8)
    return Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)


if __name__ == "__main__":
    main()
