"""How fast training is, beside other libraries and beside its floor.

    python benchmarks/training.py photos [--peers-python PATH] [--runs 5]
    python benchmarks/training.py small [--peers-python PATH] [--runs 5]
    python benchmarks/training.py floor [--size 224] [--images 128] [--runs 5]

`photos` is ResNet-18 at 224 pixels on JPEGs of 500x375, `small` the same network at 32 pixels on the digits of
harder_digits.py. A round trains once each way, in turn, each in a fresh process: this product's command and the
programs in peers/. What counts is the time of all epochs with their validation; start-up is not in it.

`floor` trains one epoch at a time in this process, without validation, on either kind of images:

- floor: the same network, precision and batches on tensors that are in memory already: forward, backward, optimizer
  step, nothing else
- first epoch: the training loop of Train PyTorch Model, every image read from its file
- later epochs: the same, with the images in the cache
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torchvision
from torch.nn.functional import cross_entropy

from harder_digits import write_harder_digits
from measuring import describe_ratios, print_conditions, print_table, time_in_turn
from peer_runs import PEERS, PROGRAMS, Result, Task, add_peers_option, run_way
from photos import write_photos
from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.images.cache import NO_CACHE, CacheBudget
from pytorch_designer.images.loader import Batch, ImageLoader
from pytorch_designer.images.order import batch_slices, epoch_order
from pytorch_designer.images.resources import default_read_threads
from pytorch_designer.inference.compute import choose_compute
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.settings import settings
from pytorch_designer.training.optimizer import build_optimizer
from pytorch_designer.training.state import TrainingState
from pytorch_designer.training.step import take_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SMALL_SIZE = 32


@dataclass(frozen=True)
class Workload:
    """What is trained, and on how many images."""

    task: Task
    num_training: int
    num_validation: int

    @property
    def is_small(self) -> bool:
        """Whether the images are digits that have the network's size, and not photos."""
        return self.task.size == SMALL_SIZE

    @property
    def kind(self) -> str:
        """The images, for a table's caption."""
        return "PNGs of 32x32" if self.is_small else "JPEGs of 500x375"

    def write_images(self, root: Path) -> None:
        """Write the training and the validation images below `root`."""
        if self.is_small:
            write_harder_digits(root, self.num_training, self.num_validation)
        else:
            write_photos(root / "training", self.num_training)
            write_photos(root / "validation", self.num_validation, seed=1)


PHOTOS = Workload(Task(size=224, epochs=2), num_training=128, num_validation=32)
SMALL = Workload(Task(size=SMALL_SIZE, epochs=5), num_training=2000, num_validation=500)


def main() -> None:
    """Write the images, train each way in turn, and print a table."""
    options = parse_options()
    task = Task(size=options.size, epochs=options.epochs, model=options.model)
    workload = Workload(task, options.images, options.validation_images)
    with tempfile.TemporaryDirectory() as folder:
        workload.write_images(Path(folder))
        if options.mode == "floor":
            compare_with_floor(workload, Path(folder, "training"), options.runs)
        else:
            compare_with_peers(workload, Path(folder), options.runs, options.peers_python)


def parse_options() -> argparse.Namespace:
    """The mode and its options; all modes have the same names, some of them fixed."""
    parser = argparse.ArgumentParser(description="Images a second of training.")
    modes = parser.add_subparsers(dest="mode", required=True)
    for name, workload in (("photos", PHOTOS), ("small", SMALL), ("floor", PHOTOS)):
        mode = modes.add_parser(name)
        mode.add_argument("--runs", type=int, default=5)
        mode.add_argument("--images", type=int, default=workload.num_training, help="for training")
        mode.add_argument("--model", default=workload.task.model)
        if name == "floor":
            mode.add_argument("--size", type=int, choices=(224, SMALL_SIZE), default=workload.task.size)
            mode.set_defaults(validation_images=0, epochs=1)
        else:
            mode.add_argument("--validation-images", type=int, default=workload.num_validation)
            mode.add_argument("--epochs", type=int, default=workload.task.epochs)
            mode.set_defaults(size=workload.task.size)
            add_peers_option(mode)
    return parser.parse_args()


def compare_with_peers(workload: Workload, data: Path, num_runs: int, peers_python: str) -> None:
    """Train with every library in turn, and print how many times as fast ours is."""
    results: dict[str, list[Result]] = {way: [] for way in PROGRAMS}
    for number in range(1, num_runs + 1):
        for way, of_way in results.items():
            of_way.append(run_way(way, workload.task, data, peers_python=peers_python))
            print(f"round {number}, {way}: {of_way[-1].seconds:.1f} s", flush=True)
    versions = {name: version for of_way in results.values() for name, version in of_way[0].versions.items()}
    images = f"{workload.num_training:,} training and {workload.num_validation:,} validation {workload.kind}"
    print(", ".join(map(" ".join, versions.items())))
    print_conditions(f"{workload.task.describe()}, {images}, n = {num_runs}")

    seconds = {way: [result.seconds for result in of_way] for way, of_way in results.items()}
    best_peer = [min(of_round) for of_round in zip(*(seconds[way] for way in PEERS), strict=True)]
    print("| way | images a second | ours is times as fast | lowest to highest |\n|---|---|---|---|")
    for way, values in (seconds | {"the fastest other of each round": best_peer}).items():
        rate = workload.num_training * workload.task.epochs / statistics.median(values)
        ratios = [value / ours for value, ours in zip(values, seconds["ours"], strict=True)]
        print(f"| {way} | {rate:,.1f} | {describe_ratios(ratios)} |")


def compare_with_floor(workload: Workload, root: Path, num_runs: int) -> None:
    """Train an epoch each way, in turn."""
    size, model = workload.task.size, workload.task.model
    resize_size = size if workload.is_small else size * 256 // 224
    preprocessing = Preprocessing(resize_size=resize_size, crop_height=size, crop_width=size)
    plan = choose_compute(settings(), height=size, width=size)
    plan.activate()
    dataset = open_image_directory(root)
    order = epoch_order(len(dataset), seed=1, epoch=1)
    batches = [order[part] for part in batch_slices(len(dataset), workload.task.batch_size)]

    def loader(cache: CacheBudget) -> ImageLoader:
        threads = default_read_threads()
        return ImageLoader(
            dataset,
            preprocessing,
            num_threads=threads,
            cache=cache,
            decodes_ahead=not plan.takes_all_cores,
            tolerance=0.0,
            port="benchmark",
        )

    def state() -> tuple[Predictor, TrainingState]:
        torch.manual_seed(0)
        network = torchvision.models.get_model(model, num_classes=len(dataset.classes))
        predictor = Predictor(network, preprocessing, plan)
        return predictor, TrainingState(predictor.network, build_optimizer(predictor.network, 0.001))

    with loader(NO_CACHE) as uncached, loader(CacheBudget(2**34)) as cached:
        ways: dict[str, Callable[[], object]] = {
            "floor": floor(*state(), list(cached.batches(batches))),
            "first epoch": our_epoch(*state(), lambda: uncached.batches(batches)),
            "later epochs": our_epoch(*state(), lambda: cached.batches(batches)),
        }
        seconds = time_in_turn(ways, num_runs)
    title = f"{model}, {len(dataset):,} {workload.kind}, {size} pixels, batch size {workload.task.batch_size}"
    print_table(f"{title}, {plan.describe()}", seconds, len(dataset))


def floor(predictor: Predictor, state: TrainingState, batches: list[Batch]) -> Callable[[], None]:
    """Forward, backward and step on normalised tensors in memory."""
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


def our_epoch(predictor: Predictor, state: TrainingState, read: Callable[[], Iterator[Batch]]) -> Callable[[], None]:
    """The steps of Train PyTorch Model on batches from its loader."""

    def epoch() -> None:
        for batch in read():
            take_step(state, batch, predictor, learning_rate=0.001, normalizes_lone_image=True)

    return epoch


if __name__ == "__main__":
    main()
