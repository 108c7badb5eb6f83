"""How fast training is, beside its floor and beside an ordinary training script.

    python benchmarks/training.py [--images 192] [--size 224] [--runs 5] [--model resnet18]

The floor is the same network, precision and batches on tensors that are in memory already: forward, backward,
optimizer step, nothing else. Every way trains one epoch; start-up and validation are not in it.

- floor: as said
- first epoch: the training loop of Train PyTorch Model, every image read from its file
- later epochs: the same, with the images in the cache
- script: ImageFolder, a DataLoader with two workers that are running already, float32 and SGD, as most scripts have it
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torchvision
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from measuring import print_table, time_in_turn
from photos import write_photos
from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.images.loader import Batch, ImageLoader
from pytorch_designer.images.order import batch_slices, epoch_order
from pytorch_designer.images.resources import default_decode_threads
from pytorch_designer.inference.compute import choose_compute
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.settings import settings
from pytorch_designer.training.optimizer import build_optimizer
from pytorch_designer.training.state import TrainingState
from pytorch_designer.training.step import take_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BATCH_SIZE = 16
NUM_CLASSES = 2


def main() -> None:
    """Write the photos, train an epoch each way in turn, and print a table."""
    parser = argparse.ArgumentParser(description="Images a second of training.")
    parser.add_argument("--images", type=int, default=192, help="a multiple of 16")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--model", default="resnet18")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_photos(Path(folder), options.images)
        measure(Path(folder), options.model, options.size, options.images, options.runs)


def measure(root: Path, model: str, size: int, num_images: int, num_runs: int) -> None:
    """Train an epoch each way, in turn."""
    preprocessing = Preprocessing(resize_size=size * 256 // 224, crop_height=size, crop_width=size)
    plan = choose_compute(settings(), height=size, width=size)
    plan.activate()
    dataset = open_image_directory(root)
    order = epoch_order(num_images, seed=1, epoch=1)
    batches = [order[part] for part in batch_slices(num_images, BATCH_SIZE)]

    def loader(cache_bytes: int) -> ImageLoader:
        threads = default_decode_threads()
        return ImageLoader(
            dataset, preprocessing, num_threads=threads, cache_bytes=cache_bytes, tolerance=0.0, port="benchmark"
        )

    with loader(0) as uncached, loader(2**34) as cached:
        in_memory = list(cached.batches(batches))
        ways: dict[str, Callable[[], object]] = {
            "floor": floor(model, preprocessing, in_memory),
            "first epoch": our_epoch(model, preprocessing, lambda: uncached.batches(batches)),
            "later epochs": our_epoch(model, preprocessing, lambda: cached.batches(batches)),
            "script": script_epoch(model, root, size),
        }
        seconds = time_in_turn(ways, num_runs)
    title = f"{model}, {num_images} JPEGs of 500x375, {size} pixels, batch size {BATCH_SIZE}, {plan.describe()}"
    print_table(title, seconds, num_images)


def new_state(model: str, preprocessing: Preprocessing) -> tuple[Predictor, TrainingState]:
    """A fresh network with its optimizer, as training has them."""
    plan = choose_compute(settings(), height=preprocessing.crop_height, width=preprocessing.crop_width)
    torch.manual_seed(0)
    network = torchvision.models.get_model(model, num_classes=NUM_CLASSES)
    predictor = Predictor(network, preprocessing, plan)
    return predictor, TrainingState(predictor.network, build_optimizer(predictor.network, 0.001))


def floor(model: str, preprocessing: Preprocessing, batches: list[Batch]) -> Callable[[], None]:
    """Forward, backward and step on normalised tensors in memory."""
    predictor, state = new_state(model, preprocessing)
    prepared = [(predictor.prepare(batch.images), batch.labels) for batch in batches]

    def epoch() -> None:
        predictor.network.train()
        for inputs_nchw, labels_n in prepared:
            with predictor.plan.autocast():
                logits_nk = predictor.network(inputs_nchw)
            cross_entropy(logits_nk.float(), labels_n).backward()  # type: ignore[no-untyped-call]
            state.optimizer.step()
            state.optimizer.zero_grad(set_to_none=True)

    return epoch


def our_epoch(model: str, preprocessing: Preprocessing, read: Callable[[], Iterator[Batch]]) -> Callable[[], None]:
    """The steps of Train PyTorch Model on batches from its loader."""
    predictor, state = new_state(model, preprocessing)

    def epoch() -> None:
        for batch in read():
            take_step(state, batch, predictor, learning_rate=0.001, normalizes_lone_image=True)

    return epoch


def script_epoch(model: str, root: Path, size: int) -> Callable[[], None]:
    """What a training script without further thought does."""
    transform = v2.Compose(
        [
            v2.Resize(size * 256 // 224),
            v2.CenterCrop(size),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    workers: DataLoader[object] = DataLoader(
        ImageFolder(str(root), transform),
        batch_size=BATCH_SIZE,
        shuffle=True,
        num_workers=2,
        persistent_workers=True,
        multiprocessing_context="spawn",
    )
    network = torchvision.models.get_model(model, num_classes=NUM_CLASSES)
    optimizer = torch.optim.SGD(network.parameters(), 0.001, momentum=0.9, weight_decay=1e-4)

    def epoch() -> None:
        network.train()
        for inputs_nchw, labels_n in workers:
            loss = cross_entropy(network(inputs_nchw), labels_n)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return epoch


if __name__ == "__main__":
    main()
