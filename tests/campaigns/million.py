"""Opens a million images in class folders and reads them all once: fails where the memory grows with them.

    python -m tests.campaigns.million [--images 1000000]

How fast that is, and what opening takes by itself, is measured by benchmarks/scale.py.

The files are hard links to a hundred images of 8 x 8 pixels, in a thousand class folders. Linux only: it reads /proc.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.images.loader import ImageLoader
from pytorch_designer.images.order import batch_slices, epoch_order

NUM_CLASSES = 1000
BATCH_SIZE = 256
BATCHES_A_LINE = 500
MAX_GROWTH_MEBIBYTES = 400


def main() -> int:
    parser = argparse.ArgumentParser(description="Open and read a million images.")
    parser.add_argument("--images", type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_links(Path(folder), options.images)
        print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, {options.images:,} images")
        growth = read_all(Path(folder) / "images")
    print(f"The memory grew by {growth} MiB.")
    return 1 if growth > MAX_GROWTH_MEBIBYTES else 0


def write_links(top: Path, num_images: int) -> None:
    """Write `top/images/<class>/<number>.png`."""
    dice = np.random.default_rng(0)
    (top / "sources").mkdir()
    sources = [top / "sources" / f"{number}.png" for number in range(100)]
    for source in sources:
        Image.fromarray(dice.integers(0, 256, (8, 8), dtype=np.uint8)).save(source)
    for label in range(NUM_CLASSES):
        folder = top / "images" / f"class_{label:04}"
        folder.mkdir(parents=True)
        for number in range(num_images // NUM_CLASSES):
            os.link(sources[(label * 7 + number) % len(sources)], folder / f"{number:06}.png")


def read_all(images: Path) -> int:
    """Open the folder and read an epoch; returns by how many MiB the memory has grown since the start."""
    before = _resident_mebibytes()
    dataset = open_image_directory(images)
    print(f"opened: {before} MiB have become {_resident_mebibytes()}")
    rule = Preprocessing(crop_height=8, crop_width=8)
    started = time.monotonic()
    order = epoch_order(len(dataset), seed=1, epoch=1)
    with ImageLoader(dataset, rule, num_threads=4, tolerance=0.0, port="dataset") as loader:
        slices = batch_slices(len(dataset), BATCH_SIZE)
        for number, _ in enumerate(loader.batches(order[part] for part in slices)):
            if number % BATCHES_A_LINE == 0:
                seconds = time.monotonic() - started
                print(f"{number * BATCH_SIZE:9,} images, {seconds:4.0f} s, {_resident_mebibytes()} MiB", flush=True)
    return _resident_mebibytes() - before


def _resident_mebibytes() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS"))


if __name__ == "__main__":
    sys.exit(main())
