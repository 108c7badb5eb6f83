"""Cost of opening a million images, and whether the cost of one image grows with their number.

    python benchmarks/scale.py [--images 1280000] [--classes 1000] [--runs 5] [--folder FOLDER] [--parts opening ...]

The images are hard links to a hundred PNG files of 8x8 pixels. Each measurement is made in a process of its own, after
its imports and once on a tiny directory, so that memory is that of the work alone. Linux only: it reads /proc.

- opening: the typed directory, read, checked (every listed file is looked for) and indexed. Its images are in class
  folders, or all in one folder as Convert to Image Directory writes them. Memory is the peak above the imports.
- scanning: class folders without a list, beside a bare walk with os.scandir that looks at each entry's name and kind
- reading: an epoch of the loader at 1,000 and at 100,000 images, in the order and the batches of training
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NUM_SOURCES = 100
BATCH_SIZE = 256
READING_SIZES = (1_000, 100_000)
IMAGES_READ = 100_000  # by each reading, in as many epochs as that takes, and in two at least
CACHE_BYTES = {"none": 0, "all images": 1 << 30}


def main() -> None:
    """Make the directories, measure each way in processes of their own, and print tables."""
    parser = argparse.ArgumentParser(description="Seconds and memory for a million images.")
    parser.add_argument("--images", type=int, default=1_280_000)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="for the images, kept for a next time; a temporary one otherwise")
    parser.add_argument("--parts", nargs="+", choices=list(MEASUREMENTS), default=list(MEASUREMENTS))
    parser.add_argument("--measure", nargs="+", help=argparse.SUPPRESS)  # what the processes are started with
    options = parser.parse_args()
    if options.measure:
        way, *arguments = options.measure
        print(json.dumps(MEASUREMENTS[way](*arguments)))
        return
    with tempfile.TemporaryDirectory() if options.folder is None else nullcontext(options.folder) as folder:
        top = Path(folder)
        started = time.monotonic()
        if not (top / "complete").exists():
            write_directories(top, options.images, options.classes)
            print(f"Wrote {2 * options.images + sum(READING_SIZES):,} links in {time.monotonic() - started:.0f} s.\n")
        if "opening" in options.parts:
            print_opening(top, options.images, options.runs)
        if "scanning" in options.parts:
            print_scanning(top, options.images, options.runs)
        if "reading" in options.parts:
            print_reading(top, options.runs)


def write_directories(top: Path, num_images: int, num_classes: int) -> None:
    """Write `top/typed`, `top/one_folder` and a folder of class folders for each size of `READING_SIZES`."""
    sources = write_sources(top / "sources")
    for layout in ("typed", "one_folder"):
        root = top / layout
        root.mkdir()
        write_schema(root, num_classes)
        with (root / "images.lst").open("w", encoding="ascii") as stream:
            for number, (name, label) in enumerate(image_names(num_images, num_classes, layout)):
                write_link(sources[number % NUM_SOURCES], root / name)
                stream.write(
                    f'{{"image_info": {{"file_name": "{name}"}}, "category": "class_{label:04}", "id": {number}}}\n'
                )
    for size in READING_SIZES:
        for number, (name, _) in enumerate(image_names(size, 10, "typed")):
            write_link(sources[number % NUM_SOURCES], top / f"{size}" / name)
    (top / "complete").touch()


def write_sources(folder: Path) -> list[Path]:
    """Write the files that all images are links to."""
    import numpy as np
    from PIL import Image

    generator = np.random.default_rng(0)
    folder.mkdir(parents=True)
    paths = [folder / f"{number}.png" for number in range(NUM_SOURCES)]
    for path in paths:
        Image.fromarray(generator.integers(0, 256, (8, 8), dtype=np.uint8)).save(path)
    return paths


def write_schema(root: Path, num_classes: int) -> None:
    """Write `_meta.yaml` and `_schema.json`."""
    from pytorch_designer.directories.image_schema import build_schema

    (root / "_meta.yaml").write_text(
        "type: ImageDirectory\nextension: {}\nimage_list: images.lst\nschema: _schema.json\n", encoding="ascii"
    )
    classes = [f"class_{label:04}" for label in range(num_classes)]
    schema = build_schema(classes, has_labels=True, has_text_ids=False)
    (root / "_schema.json").write_text(json.dumps(schema), encoding="ascii")


def image_names(num_images: int, num_classes: int, layout: str) -> Iterator[tuple[str, int]]:
    """Path and class of each image, class after class."""
    for number in range(num_images):
        label = number * num_classes // num_images
        if layout == "one_folder":
            yield f"image/{label}_{number}.png", label
        else:
            yield f"image/class_{label:04}/{number:07}.png", label


def write_link(source: Path, target: Path) -> None:
    """Link `target` to `source`, in a folder that is made when it is needed."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        target.parent.mkdir(parents=True)
        os.link(source, target)


def print_opening(top: Path, num_images: int, num_runs: int) -> None:
    """Print seconds and memory of opening the two typed directories."""
    from measuring import print_conditions

    found = [
        {layout: measure("opening", str(top / layout)) for layout in ("typed", "one_folder")} for _ in range(num_runs)
    ]
    print_conditions(f"Opening {num_images:,} listed images, median (lowest to highest), n = {num_runs}")
    print("| images in | seconds | CPU seconds | peak memory, MiB | kept, MiB |\n|---|---|---|---|---|")
    for layout, title in (("typed", "class folders"), ("one_folder", "one folder")):
        cells = [
            spread([run[layout][key] for run in found], digits)
            for key, digits in (("seconds", 2), ("cpu_seconds", 2), ("peak", 0), ("kept", 0))
        ]
        print(f"| {title} | {' | '.join(cells)} |")


def print_scanning(top: Path, num_images: int, num_runs: int) -> None:
    """Print the speed of opening class folders without a list, and of a bare walk through them."""
    from measuring import print_table

    print()
    seconds = measure("scanning", str(top / "typed" / "image"), str(num_runs))
    print_table(f"Scanning {num_images:,} images in class folders", seconds, num_images)


def print_reading(top: Path, num_runs: int) -> None:
    """Print the cost of an image, and the memory before and after, by number of images and cache."""
    from measuring import print_conditions

    print()
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    for _ in range(num_runs):
        for cache, num_bytes in CACHE_BYTES.items():
            for size in READING_SIZES:
                reading = measure("reading", str(top / f"{size}" / "image"), str(num_bytes))
                found.setdefault((cache, size), []).append(reading)
    print_conditions(
        f"Reading images of 8x8 pixels in batches of {BATCH_SIZE}, median (lowest to highest), n = {num_runs}"
    )
    print("Memory is that after the first and after the last of several epochs.\n")
    print(
        "| cache | images | microseconds an image | CPU microseconds | ratio of these to 1,000 images | memory, MiB |"
    )
    print("|---|---|---|---|---|---|")
    for (cache, size), runs in found.items():
        ratios = [run["cpu"] / base["cpu"] for run, base in zip(runs, found[cache, READING_SIZES[0]], strict=True)]
        cells = [spread([run["wall"] for run in runs], 1), spread([run["cpu"] for run in runs], 1), spread(ratios, 2)]
        memory = " and ".join(f"{statistics.median(run[key] for run in runs):.0f}" for key in ("first", "last"))
        print(f"| {cache} | {size:,} | {' | '.join(cells)} | {memory} |")


def spread(values: list[float], digits: int) -> str:
    """The median, and the lowest and highest in brackets."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def measure(*arguments: str) -> Any:
    """Output of a measurement that is made in a process of its own."""
    command = [sys.executable, __file__, "--measure", *arguments]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def measure_opening(folder: str) -> dict[str, float]:
    """Open a typed directory, everything that this imports being imported."""
    import pyarrow.json  # noqa: F401 - is timed

    from pytorch_designer.directories.image_directory import open_image_directory

    with tempfile.TemporaryDirectory() as tiny:
        write_link_free_directory(Path(tiny))
        open_image_directory(Path(tiny))
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew
    before = memory("VmRSS")
    started, cpu_started = time.perf_counter(), time.process_time()
    dataset = open_image_directory(Path(folder))
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    assert len(dataset) > 0
    kept, peak = memory("VmRSS") - before, memory("VmHWM") - before
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak": peak, "kept": kept}


def write_link_free_directory(root: Path) -> None:
    """A typed directory of one image."""
    write_schema(root, 1)
    (root / "1.png").touch()
    (root / "images.lst").write_text('{"image_info": {"file_name": "1.png"}, "category": "class_0000", "id": 1}\n')


def measure_scanning(folder: str, num_runs: str) -> dict[str, list[float]]:
    """Walk through class folders and open them, in turn; seconds by way."""
    from measuring import time_in_turn
    from pytorch_designer.directories.image_directory import open_image_directory

    return time_in_turn(
        {
            "bare os.scandir": lambda: walk(folder),
            "open_image_directory": lambda: open_image_directory(Path(folder)),
        },
        int(num_runs),
    )


def walk(folder: str) -> None:
    """Look at the name and the kind of everything below `folder`."""
    folders = [folder]
    while folders:
        with os.scandir(folders.pop()) as entries:
            folders.extend(entry.path for entry in entries if entry.name and entry.is_dir())


def measure_reading(folder: str, cache_bytes: str) -> dict[str, float]:
    """Read epochs as training does, after one that fills the cache; microseconds an image, and MiB."""
    from pytorch_designer.directories.image_directory import open_image_directory
    from pytorch_designer.directories.preprocessing import Preprocessing
    from pytorch_designer.images.cache import CacheBudget
    from pytorch_designer.images.loader import ImageLoader
    from pytorch_designer.images.order import batch_slices, epoch_order

    dataset = open_image_directory(Path(folder))
    rule = Preprocessing(crop_height=8, crop_width=8)
    num_epochs = max(2, IMAGES_READ // len(dataset))
    with ImageLoader(
        dataset, rule, num_threads=2, cache=CacheBudget(int(cache_bytes)), tolerance=0.0, port="dataset"
    ) as loader:

        def read(epoch: int) -> None:
            order = epoch_order(len(dataset), seed=1, epoch=epoch)
            for _ in loader.batches((order[part] for part in batch_slices(len(dataset), BATCH_SIZE)), epoch=epoch):
                pass

        read(0)
        first = memory("VmRSS")
        started, cpu_started = time.perf_counter(), time.process_time()
        for epoch in range(1, num_epochs + 1):
            read(epoch)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    microseconds = 1e6 / (num_epochs * len(dataset))
    return {"wall": seconds * microseconds, "cpu": cpu_seconds * microseconds, "first": first, "last": memory("VmRSS")}


def memory(key: str) -> float:
    """A figure of this process's memory, in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))


MEASUREMENTS: dict[str, Callable[..., Any]] = {
    "opening": measure_opening,
    "scanning": measure_scanning,
    "reading": measure_reading,
}


if __name__ == "__main__":
    main()
