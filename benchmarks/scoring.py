"""Speed of Score Image Model, beside the forward pass alone.

    python benchmarks/scoring.py [--images 512] [--runs 5] [--size 64] [--model resnet18]

Needs scikit-learn, for its handwritten digits, which are enlarged to `--size` pixels and written as PNG files. The two
ways are run in turn, round after round, because machines are noisy: compare the ratios, not the rates.

- forward pass: the same network and batches, from uint8 tensors in memory to logits, and nothing else
- scoring: from the files to the written output; opening the directories and loading the model are included
"""

from __future__ import annotations

import argparse
import logging
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits

from measuring import print_table, time_in_turn
from pytorch_designer.components.score_image_model import COMPONENT, ScoreImageModelParameters
from pytorch_designer.directories.model_directory import open_trained_model_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.inference.compute import choose_model_compute
from pytorch_designer.inference.predictor import Predictor, inference_batch_size
from pytorch_designer.models.architectures import Architecture, build_network
from pytorch_designer.models.loading import load_model
from pytorch_designer.models.saving import write_trained_model
from pytorch_designer.settings import settings

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES = tuple("0123456789")


def main() -> None:
    """Write images and a model, run both ways in turn, and print a table."""
    parser = argparse.ArgumentParser(description="Images a second from files to scores.")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--model", default="resnet18")
    options = parser.parse_args()
    logging.getLogger("pytorch_designer").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        write_images(top / "images", options.images, options.size)
        write_model(top / "model", options.model, options.size)
        measure(top, options.images, options.runs)


def write_images(folder: Path, num_images: int, size: int) -> None:
    """Write digits of `size` pixels into class folders."""
    digits = load_digits()
    for index in range(num_images):
        row = index % len(digits.images)
        pixels = (digits.images[row] * 255 / 16).round().astype(np.uint8)
        path = folder / str(digits.target[row]) / f"{index:06}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).resize((size, size)).save(path)


def write_model(folder: Path, name: str, size: int) -> None:
    """Write a trained model with random weights for ten classes."""
    folder.mkdir()
    architecture = Architecture(name)
    write_trained_model(
        folder,
        architecture=architecture,
        state_dict=build_network(architecture, len(CLASSES)).state_dict(),
        classes=CLASSES,
        preprocessing=Preprocessing(resize_size=size, crop_height=size, crop_width=size),
    )


def measure(top: Path, num_images: int, num_runs: int) -> None:
    """Run both ways once to warm up and then `num_runs` times in turn."""
    model = load_model(open_trained_model_directory(top / "model"))
    assert model.preprocessing is not None
    compute = choose_model_compute(model, settings())
    compute.activate()
    predictor = Predictor(model.network, model.preprocessing, compute)
    batch_size = inference_batch_size(model.preprocessing)
    size = model.preprocessing.crop_height
    images = torch.randint(0, 256, (num_images, 3, size, size), dtype=torch.uint8)

    def forward() -> None:
        for start in range(0, num_images, batch_size):
            predictor.logits(images[start : start + batch_size])

    def score() -> None:
        shutil.rmtree(top / "scored", ignore_errors=True)
        inputs = {"trained_model": top / "model", "dataset": top / "images"}
        COMPONENT.run(inputs, {"scored_dataset": top / "scored"}, ScoreImageModelParameters())

    ways: dict[str, Callable[[], None]] = {"forward pass": forward, "scoring": score}
    title = (
        f"{model.architecture.name}, {num_images} PNGs of {size}x{size}, batches of {batch_size}, {compute.describe()}"
    )
    print_table(title, time_in_turn(ways, num_runs), num_images)


if __name__ == "__main__":
    main()
