"""Speed of reading images from files, beside the bare decoding calls and beside ImageFolder with a DataLoader.

    python benchmarks/input_path.py [--images 400] [--runs 5] [--threads 2]
    python benchmarks/input_path.py --scale [--images 200] [--runs 3] [--seconds 2]

Needs scikit-learn, for its two sample photos: pieces of 500x375 pixels are cut out of them and written as JPEGs into a
folder of two classes. Every way of reading brings each image to 224x224 uint8 (shorter side 256). The ways are
run in turn, round after round, because machines are noisy: compare the ratios, not the rates. What is printed last is
how much memory an epoch of the loader takes without a cache, at its peak (Linux only).

`--scale` measures bare loops in 1 to 16 threads and processes instead (benchmarks/input_scale.py).

- bare calls: threads that read a file and call torchvision's decoder, resize and crop, and do nothing else
- loader: batches of 16, in shuffled order, without a cache
- loader, cached: the same, from memory (the second epoch of a dataset that fits)
- ImageFolder: PIL and torchvision's transforms, DataLoader with worker processes that are running already
"""

from __future__ import annotations

import argparse
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from input_scale import measure_scale
from measuring import print_table, time_in_turn
from photos import write_photos
from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.images.cache import CacheBudget
from pytorch_designer.images.loader import ImageLoader
from pytorch_designer.images.order import batch_slices, epoch_order

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH_SIZE = 16
RULE = Preprocessing(resize_size=256, crop_height=224, crop_width=224)


def main() -> None:
    """Write the images, run the ways of reading them in turn, and print a table."""
    parser = argparse.ArgumentParser(description="Images a second from files to batches.")
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scale", action="store_true", help="bare loops in 1 to 16 threads and processes")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each loop of --scale")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_photos(root, options.images)
        if options.scale:
            measure_scale(root, seconds=options.seconds, num_rounds=options.runs)
            return
        measure(root, options.images, options.runs, options.threads)


def measure(root: Path, num_images: int, num_runs: int, num_threads: int) -> None:
    """Run every way once to warm up and then `num_runs` times in turn."""
    dataset = open_image_directory(root)
    paths = [dataset.path(row) for row in range(num_images)]
    settings: Any = {"num_threads": num_threads, "tolerance": 0.0, "port": "benchmark"}
    with (
        closing(ImageLoader(dataset, RULE, **settings)) as uncached,
        closing(ImageLoader(dataset, RULE, cache=CacheBudget(2**34), **settings)) as cached,
    ):
        workers = image_folder_loader(root, num_threads)
        ways: dict[str, Callable[[], int]] = {
            "bare calls": lambda: read_bare(paths, num_threads),
            "loader": lambda: read_with_loader(uncached),
            "loader, cached": lambda: read_with_loader(cached),
            "ImageFolder": lambda: sum(len(labels) for _, labels in workers),
        }
        before = memory("VmRSS")
        read_with_loader(uncached)
        growth = memory("VmHWM") - before
        seconds = time_in_turn(ways, num_runs)
    print_table(f"{num_images} JPEGs of 500x375 to 224x224, {num_threads} threads or workers", seconds, num_images)
    print(f"\nMemory of the loader without a cache: at most {growth / 2**20:,.0f} MiB")


def memory(field: str) -> int:
    """Bytes that the process takes (VmRSS), or has taken at its peak (VmHWM); 0 where the platform does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), 0)


def read_bare(paths: list[Path], num_threads: int) -> int:
    """Decode, resize and crop in threads, a share of the files each."""

    def read_share(share: list[Path]) -> int:
        for path in share:
            data = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
            image = functional.resize(torch.ops.image.decode_jpeg(data, 3), [256], antialias=True)
            functional.center_crop(image, [224, 224])
        return len(share)

    with ThreadPoolExecutor(num_threads) as threads:
        return sum(threads.map(read_share, [paths[slot::num_threads] for slot in range(num_threads)]))


def read_with_loader(loader: ImageLoader) -> int:
    """Read one epoch in shuffled order."""
    order = epoch_order(len(loader), seed=1, epoch=1)
    batches = loader.batches(order[part] for part in batch_slices(len(loader), BATCH_SIZE))
    return sum(len(batch.images) for batch in batches)


def image_folder_loader(root: Path, num_workers: int) -> DataLoader[object]:
    """ImageFolder and a DataLoader, as most training scripts have them."""
    transform = v2.Compose([v2.Resize(256), v2.CenterCrop(224), v2.PILToTensor()])
    return DataLoader(
        ImageFolder(str(root), transform),
        batch_size=BATCH_SIZE,
        shuffle=True,
        num_workers=num_workers,
        persistent_workers=True,
        multiprocessing_context="spawn",
    )


if __name__ == "__main__":
    main()
