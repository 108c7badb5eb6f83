"""Cost of random transforms of the training images, computed on the GPU or on the processor.

    python benchmarks/augmentation.py [--model resnet50] [--batch-size 16] [--images 512] [--runs 5]

Epochs of training at 224 pixels, with the decoded images in the cache, in turn: without random transforms, with
them in the threads that decode, one image at a time, and on the GPU, a batch at a time. Needs a CUDA GPU.
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torchvision

from measuring import print_table, time_in_turn
from photos import write_photos
from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.images.augmentation import Augmentation
from pytorch_designer.images.budgets import default_read_threads
from pytorch_designer.images.cache import CacheBudget
from pytorch_designer.images.loader import ImageLoader
from pytorch_designer.images.order import batch_slices, epoch_order
from pytorch_designer.inference.compute import choose_compute
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.settings import settings
from pytorch_designer.training.recipe import build_optimizer
from pytorch_designer.training.steps.step import StepRequest
from pytorch_designer.training.steps.steppers import open_stepper
from pytorch_designer.transforms.registrations import parse_transforms

if TYPE_CHECKING:
    from collections.abc import Callable

SIZE = 224
SIZING = Preprocessing(resize_size=SIZE, crop_height=SIZE, crop_width=SIZE)
SOURCE = 256
RANDOM_TRANSFORMS: dict[str, list[tuple[str, dict[str, float]]]] = {
    "horizontal flip": [("RandomHorizontalFlip", {})],
    "flip, resized crop, color jitter with hue": [
        ("RandomHorizontalFlip", {}),
        ("RandomResizedCrop", {"size": SIZE}),
        ("ColorJitter", {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}),
    ],
    "affine, perspective": [("RandomAffine", {"degrees": 20}), ("RandomPerspective", {})],
}


def main() -> None:
    """Write the images, train the ways in turn, and print a table for each list of transforms."""
    parser = argparse.ArgumentParser(description="Images per second of training with random transforms.")
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("This benchmark needs a CUDA GPU.")
    with tempfile.TemporaryDirectory() as folder:
        write_photos(Path(folder), options.images)
        for name, pairs in RANDOM_TRANSFORMS.items():
            fixed = parse_transforms([("Resize", SOURCE), ("CenterCrop", SOURCE)])
            random = parse_transforms(pairs)
            augmentation = Augmentation(fixed, random, SIZING, (SOURCE, SOURCE), seed=1)
            with ExitStack() as stack:
                ways = {
                    "none": epochs(stack, Path(folder), options, None, on_gpu=False),
                    "on the processor": epochs(stack, Path(folder), options, augmentation, on_gpu=False),
                    "on the GPU": epochs(stack, Path(folder), options, augmentation, on_gpu=True),
                }
                title = f"{name}: {options.model}, {SIZE} pixels, batch size {options.batch_size}"
                print_table(title, time_in_turn(ways, options.runs), options.images)


def epochs(
    stack: ExitStack, root: Path, options: argparse.Namespace, augmentation: Augmentation | None, *, on_gpu: bool
) -> Callable[[], None]:
    """A function that trains an epoch each time."""
    compute = choose_compute(settings(), height=SIZE, width=SIZE)
    compute.activate()
    dataset = open_image_directory(root)
    loader = stack.enter_context(
        ImageLoader(
            dataset,
            SIZING,
            augmentation=augmentation,
            draws_later=on_gpu,
            num_threads=default_read_threads(),
            cache=CacheBudget(2**34),
            pins_memory=True,
            tolerance=0.0,
            port="benchmark",
        )
    )
    torch.manual_seed(0)
    network = torchvision.models.get_model(options.model, num_classes=len(dataset.classes))
    predictor = Predictor(network, SIZING, compute)
    stepper = open_stepper(
        predictor,
        build_optimizer(predictor.network, 0.001),
        usual_sizes={options.batch_size},
        augmentation=augmentation if on_gpu else None,
    )
    order = epoch_order(len(dataset), seed=1, epoch=1)
    batches = [order[part] for part in batch_slices(len(dataset), options.batch_size)]
    num_epochs = 0

    def epoch() -> None:
        nonlocal num_epochs
        num_epochs += 1
        for number, batch in enumerate(loader.batches(batches, epoch=num_epochs)):
            stepper.step(batch, StepRequest(num_epochs, number, 0.001, seed=number))
        stepper.synchronize()

    return epoch


if __name__ == "__main__":
    main()
