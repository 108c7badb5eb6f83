"""The first epoch from a mount that is slow to open files, beside the same epoch from the local disk.

    python benchmarks/slow_mount.py [--images 640] [--runs 5] [--milliseconds 10] [--step-milliseconds 20]

Needs scikit-learn, for its photos and digits. Two datasets: JPEGs of 500x375 pixels, brought to 224x224, and PNGs of
8x8. Each open of an image file takes so many milliseconds longer, as on a cloud mount. A model step is a pause, as
it is for the processor beside a GPU; the batches are those of training, 16 images in shuffled order. Each epoch has a
new loader, with the threads that training would choose and nothing in its cache.

The ways are run in turn, round after round, because machines are noisy: compare the ratios, not the rates.

- local disk: files as they are
- slow mount: each open takes longer
- step alone: the pauses of the epoch, without any image
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from measuring import print_table, time_in_turn
from photos import write_photos
from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.images.budgets import (
    default_cache_budget,
    default_read_threads,
)
from pytorch_designer.images.loader import ImageLoader
from pytorch_designer.images.order import batch_slices, epoch_order
from pytorch_designer.images.reading import read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytorch_designer.directories.image_directory import ImageDirectory

BATCH_SIZE = 16
PHOTOS = Preprocessing(resize_size=256, crop_height=224, crop_width=224)
DIGITS = Preprocessing(resize_size=8, crop_height=8, crop_width=8)


def main() -> None:
    """Write the images, run the epochs in turn, and print a table for each dataset."""
    parser = argparse.ArgumentParser(description="The first epoch from a slow mount.")
    parser.add_argument("--images", type=int, default=640)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--milliseconds", type=float, default=10, help="added to each open")
    parser.add_argument("--step-milliseconds", type=float, default=20, help="of each batch of 16")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, write, rule in (("photos", write_photos, PHOTOS), ("digits", write_digits, DIGITS)):
            write(Path(folder) / name, options.images)
            measure(name, open_image_directory(Path(folder) / name), rule, options)


def measure(name: str, dataset: ImageDirectory, rule: Preprocessing, options: argparse.Namespace) -> None:
    """Run each epoch once to warm up and then so many times in turn."""
    delay_seconds, step_seconds = options.milliseconds / 1000, options.step_milliseconds / 1000
    num_steps = len(batch_slices(len(dataset), BATCH_SIZE))
    ways: dict[str, Callable[[], object]] = {
        "local disk": lambda: first_epoch(dataset, rule, 0, step_seconds),
        "slow mount": lambda: first_epoch(dataset, rule, delay_seconds, step_seconds),
        "step alone": lambda: pause(step_seconds, num_steps),
    }
    with open_loader(dataset, rule) as loader:
        print(f"\n{loader.cache.describe()}; {default_read_threads()} reading threads")
    title = (
        f"{len(dataset)} {name}, {options.milliseconds:g} ms more an open, steps of {options.step_milliseconds:g} ms"
    )
    print_table(title, time_in_turn(ways, options.runs), len(dataset))


def first_epoch(dataset: ImageDirectory, rule: Preprocessing, delay_seconds: float, step_seconds: float) -> int:
    """Read every image once, with a pause after each batch."""
    num_images = 0
    order = epoch_order(len(dataset), seed=1, epoch=1)
    with slow_opens(delay_seconds), open_loader(dataset, rule) as loader:
        for batch in loader.batches(order[part] for part in batch_slices(len(dataset), BATCH_SIZE)):
            num_images += len(batch.images)
            time.sleep(step_seconds)
    return num_images


def pause(step_seconds: float, num_steps: int) -> None:
    """Seconds of an epoch that waits for no image."""
    for _ in range(num_steps):
        time.sleep(step_seconds)


def open_loader(dataset: ImageDirectory, rule: Preprocessing) -> ImageLoader:
    """A loader as training opens it."""
    return ImageLoader(
        dataset,
        rule,
        num_threads=default_read_threads(),
        cache=default_cache_budget(),
        tolerance=0.0,
        port="benchmark",
    )


@contextmanager
def slow_opens(delay_seconds: float) -> Iterator[None]:
    """Let each image file take longer to open."""

    def read_slowly(path: Path, *, max_bytes: int) -> bytearray:
        time.sleep(delay_seconds)
        return read_file(path, max_bytes=max_bytes)

    with patch("pytorch_designer.images.loader.read_file", read_slowly if delay_seconds else read_file):
        yield


def write_digits(root: Path, num_images: int) -> None:
    """Write handwritten digits as PNGs of 8x8 pixels into a class folder a digit."""
    digits = load_digits()
    for index in range(num_images):
        pixels, label = digits.images[index % len(digits.images)], digits.target[index % len(digits.target)]
        path = root / str(label) / f"{index:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15.9).astype(np.uint8)).save(path)


if __name__ == "__main__":
    main()
