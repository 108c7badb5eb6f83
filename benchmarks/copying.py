"""Speed of converting and splitting, beside a bare parallel copy of the same files.

    python benchmarks/copying.py [--images 2000] [--kilobytes 100] [--runs 5]

The files hold random bytes: converting and splitting do not decode. The ways are run in turn, round after round,
because machines are noisy: compare the ratios, not the rates.

- bare copy: 16 threads that call shutil.copyfile, and one flush to disk at the end
- converting: class folders to an image directory, with listing, manifest, flush and renames
- splitting: class folders to two image directories, likewise
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import print_table, time_in_turn
from pytorch_designer.directories.image_writer import convert_to_image_directory
from pytorch_designer.directories.splitting import split_image_directory

if TYPE_CHECKING:
    from collections.abc import Callable

NUM_CLASSES = 10
NUM_THREADS = 16


def main() -> None:
    """Write the files, run the ways in turn, and print a table."""
    parser = argparse.ArgumentParser(description="Images a second from one folder to another.")
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--kilobytes", type=int, default=100)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        write_files(top / "images", options.images, options.kilobytes * 1024)
        seconds = measure(top, options.runs)
    title = f"{options.images} files of {options.kilobytes} kB in {NUM_CLASSES} classes"
    print_table(title, seconds, options.images)


def write_files(folder: Path, num_images: int, num_bytes: int) -> None:
    """Write files of random bytes into class folders."""
    generator = random.Random(0)
    for index in range(num_images):
        path = folder / f"class_{index % NUM_CLASSES}" / f"{index:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(generator.randbytes(num_bytes))


def measure(top: Path, num_runs: int) -> dict[str, list[float]]:
    """Run every way once to warm up and then `num_runs` times in turn; seconds by way."""
    parts = (top / "first", top / "second")
    ways: dict[str, Callable[[], object]] = {
        "bare copy": lambda: copy_bare(top / "images", top / "copy"),
        "converting": lambda: convert_to_image_directory(top / "images", top / "converted"),
        "splitting": lambda: split_image_directory(top / "images", parts, fraction=0.9, seed=1),
    }

    def clear() -> None:
        for output in (top / "copy", top / "converted", *parts):
            shutil.rmtree(output)

    return time_in_turn(ways, num_runs, after_round=clear)


def copy_bare(source: Path, target: Path) -> None:
    """Copy all files into one folder, as fast as threads can."""
    target.mkdir()
    files = [path for folder in source.iterdir() for path in folder.iterdir()]
    with ThreadPoolExecutor(NUM_THREADS) as threads:
        list(threads.map(lambda path: shutil.copyfile(path, target / path.name), files))
    if hasattr(os, "sync"):
        os.sync()


if __name__ == "__main__":
    main()
