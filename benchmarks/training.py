"""Speed of training, beside other libraries and beside its floor.

    python benchmarks/training.py photos [--peers-python PATH] [--runs 5]
    python benchmarks/training.py small [--peers-python PATH] [--runs 5]
    python benchmarks/training.py floor [--model resnet18] [--size 224] [--batch-size 16] [--images 128] [--runs 5]

`photos` is ResNet-18 at 224 pixels on JPEGs of 500x375, `small` the same network at 32 pixels on the digits of
harder_digits.py. A round trains once each way, in turn, each in a fresh process: this product's command and the
programs in peers/. The result is the time of all epochs with their validation, without start-up.

`floor` trains one epoch at a time in this process, without validation, on either kind of images:

- floor: the same network, precision and batches on normalized tensors in the device's memory:
  forward, backward, optimizer step, nothing else
- floor, captured: the same as a CUDA graph; on a GPU only
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
from peer_runs import PEERS, PROGRAMS, UNTRACKED, Result, Task, add_peers_option, run_way
from photos import write_photos
from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.images.budgets import default_read_threads
from pytorch_designer.images.cache import NO_CACHE, CacheBudget
from pytorch_designer.images.loader import Batch, ImageLoader
from pytorch_designer.images.order import batch_slices, epoch_order
from pytorch_designer.inference.compute import choose_compute
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.settings import settings
from pytorch_designer.training.recipe import build_optimizer
from pytorch_designer.training.steps.step import StepRequest
from pytorch_designer.training.steps.steppers import open_stepper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    Network = tuple[Predictor, torch.optim.SGD]

SMALL_SIZE = 32


@dataclass(frozen=True)
class Workload:
    """The network that is trained, and on how many images."""

    task: Task
    num_training: int
    num_validation: int

    @property
    def is_small(self) -> bool:
        """True if the images are digits that have the network's size, and not photos."""
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
    task = Task(size=options.size, epochs=options.epochs, model=options.model, batch_size=options.batch_size)
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
        mode.add_argument("--batch-size", type=int, default=workload.task.batch_size)
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
    results: dict[str, list[Result]] = {way: [] for way in (*PROGRAMS, UNTRACKED)}
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
    print("| way | images per second | speedup | lowest to highest | without MLflow | lowest to highest |")
    print("|---|---|---|---|---|---|")
    for way, values in (seconds | {"the fastest other of each round": best_peer}).items():
        rate = workload.num_training * workload.task.epochs / statistics.median(values)
        ratios = [
            describe_ratios([value / ours for value, ours in zip(values, seconds[own_way], strict=True)])
            for own_way in ("ours", UNTRACKED)
        ]
        print(f"| {way} | {rate:,.1f} | {' | '.join(ratios)} |")


def compare_with_floor(workload: Workload, root: Path, num_runs: int) -> None:
    """Train an epoch each way, in turn."""
    size, model = workload.task.size, workload.task.model
    resize_size = size if workload.is_small else size * 256 // 224
    preprocessing = Preprocessing(resize_size=resize_size, crop_height=size, crop_width=size)
    compute = choose_compute(settings(), height=size, width=size)
    compute.activate()
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
            decodes_ahead=not compute.takes_all_cores,
            pins_memory=compute.device.type == "cuda",
            tolerance=0.0,
            port="benchmark",
        )

    def network() -> Network:
        torch.manual_seed(0)
        predictor = Predictor(
            torchvision.models.get_model(model, num_classes=len(dataset.classes)), preprocessing, compute
        )
        return predictor, build_optimizer(predictor.network, 0.001)

    batch_size = workload.task.batch_size
    with loader(NO_CACHE) as uncached, loader(CacheBudget(2**34)) as cached:
        in_memory = list(cached.batches(batches))
        ways: dict[str, Callable[[], object]] = {"floor": floor(*network(), in_memory)}
        if compute.device.type == "cuda":
            ways["floor, captured"] = captured_floor(*network(), in_memory)
        ways["first epoch"] = our_epoch(*network(), batch_size, lambda: uncached.batches(batches))
        ways["later epochs"] = our_epoch(*network(), batch_size, lambda: cached.batches(batches))
        seconds = time_in_turn({name: finished(way, compute.device) for name, way in ways.items()}, num_runs)
    title = f"{model}, {len(dataset):,} {workload.kind}, {size} pixels, batch size {batch_size}"
    print_table(f"{title}, {compute.describe()}", seconds, len(dataset))


def finished(way: Callable[[], object], device: torch.device) -> Callable[[], None]:
    """`way`, until a GPU has computed all that it was asked for."""

    def run() -> None:
        way()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return run


def floor(predictor: Predictor, optimizer: torch.optim.SGD, batches: list[Batch]) -> Callable[[], None]:
    """Forward, backward and step on normalized tensors in memory."""
    prepared = [(predictor.prepare(batch.images), predictor.send(batch.labels)) for batch in batches]

    def epoch() -> None:
        for inputs_nchw, labels_n in prepared:
            bare_step(predictor, optimizer, inputs_nchw, labels_n)

    return epoch


def captured_floor(predictor: Predictor, optimizer: torch.optim.SGD, batches: list[Batch]) -> Callable[[], None]:
    """The same as one CUDA graph, for batches that all have one size."""
    prepared = [(predictor.prepare(batch.images), predictor.send(batch.labels)) for batch in batches]
    inputs_nchw, labels_n = (tensor.clone() for tensor in prepared[0])
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(3):
            bare_step(predictor, optimizer, inputs_nchw, labels_n)
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        bare_step(predictor, optimizer, inputs_nchw, labels_n)
    in_use = predictor, optimizer  # the graph does not keep what it works on

    def epoch() -> None:
        assert in_use
        for images, labels in prepared:
            inputs_nchw.copy_(images)
            labels_n.copy_(labels)
            graph.replay()

    return epoch


def bare_step(predictor: Predictor, optimizer: torch.optim.SGD, inputs_nchw: Tensor, labels_n: Tensor) -> None:
    """Bare training loop: what any has to compute."""
    predictor.network.train()
    with predictor.compute.autocast():
        logits_nk = predictor.network(inputs_nchw)
    cross_entropy(logits_nk.float(), labels_n).backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def our_epoch(
    predictor: Predictor, optimizer: torch.optim.SGD, batch_size: int, read: Callable[[], Iterator[Batch]]
) -> Callable[[], None]:
    """The steps of Train PyTorch Model on batches from its loader."""
    stepper = open_stepper(predictor, optimizer, usual_sizes={batch_size})

    def epoch() -> None:
        for number, batch in enumerate(read()):
            stepper.step(batch, StepRequest(epoch=1, step=number, learning_rate=0.001, seed=number))
        stepper.synchronize()

    return epoch


if __name__ == "__main__":
    main()
