"""Task, images and record of a fine-tuning run, the same for every way of training.

A run trains on some images of the target per class, chooses the best epoch with the validation images, and is judged
once, with that epoch's weights, on the test images.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

BATCH_SIZE = 16
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class TuningTask:
    """A fine-tuning run.

    Attributes:
        pair: Name of the pair of image sets.
        network: "resnet18" of torchvision, or the name of one of timm's networks.
        images: Training images per class.
        epochs: Passes over them.
        learning_rate: Constant, initial or maximum learning rate, depending on the way; None for the way's own default.
        seed: Of the training images that are drawn, the new head and the order.
    """

    pair: str
    network: str
    images: int
    epochs: int
    learning_rate: float | None
    seed: int


@dataclass(frozen=True)
class LabeledImages:
    """Images in memory.

    Attributes:
        pixels: uint8 [n, 3, s, s], s 32 or 64.
        labels: int64 [n], class indices in the order of the class folders' names.
    """

    pixels: Tensor
    labels: Tensor

    @property
    def inputs(self) -> Tensor:
        """Normalized images, float32 [n, 3, s, s]."""
        mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (MEAN, STD))
        return (self.pixels.float() / 255 - mean) / std

    def take(self, rows: NDArray[np.int64]) -> LabeledImages:
        """The images of some rows."""
        return LabeledImages(self.pixels[rows], self.labels[rows])

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return int(self.labels.max()) + 1


def read_images(folder: Path) -> LabeledImages:
    """The images of class folders, in the order of their paths."""
    files = sorted(folder.glob("*/*.png"))
    names = sorted({path.parent.name for path in files})
    pixels = torch.from_numpy(np.stack([np.asarray(Image.open(path)) for path in files]))
    labels = torch.tensor([names.index(path.parent.name) for path in files])
    return LabeledImages(pixels.permute(0, 3, 1, 2).contiguous(), labels)


def training_rows(labels: NDArray[np.int64], task: TuningTask) -> NDArray[np.int64]:
    """Rows of the training images that the task's seed draws, as many of each class."""
    generator = np.random.default_rng([task.seed, task.images])
    rows = [generator.permutation(np.flatnonzero(labels == label))[: task.images] for label in np.unique(labels)]
    return np.sort(np.concatenate(rows))


def is_of_torchvision(network: str) -> bool:
    """True for the names of torchvision's networks; the others are timm's."""
    return network in torchvision.models.list_models(torchvision.models)


def build_network(name: str, num_classes: int) -> nn.Module:
    """A network with random weights."""
    if is_of_torchvision(name):
        network: nn.Module = torchvision.models.get_model(name, num_classes=num_classes)
    else:
        import timm

        network = timm.create_model(name, num_classes=num_classes)
    return network


def pretrained_network(name: str, weights: Path, num_classes: int) -> nn.Module:
    """The network with the weights of the source, and a new head for the target as the library draws it."""
    network = build_network(name, num_classes)
    state = torch.load(weights, weights_only=True)
    own = network.state_dict()
    network.load_state_dict({key: value for key, value in state.items() if value.shape == own[key].shape}, strict=False)
    return network


@torch.inference_mode()
def logits_of(network: nn.Module, inputs: Tensor) -> Tensor:
    """Logits in evaluation mode, float32 [n, k]."""
    network.eval()
    return torch.cat([network(part) for part in inputs.split(250)])


class TuningRecord:
    """The epochs of a run, and the weights of its best one: the highest validation accuracy, then the lowest loss."""

    def __init__(self, network: nn.Module, validation: LabeledImages) -> None:
        self._network = network
        self._inputs, self._labels = validation.inputs, validation.labels
        self._best: tuple[float, float] | None = None
        self._weights: dict[str, Tensor] = {}
        self._started = time.perf_counter()
        self.epochs: list[dict[str, float]] = []

    def epoch_ended(self) -> None:
        """Validate."""
        logits_nk = logits_of(self._network, self._inputs)
        loss = float(nn.functional.cross_entropy(logits_nk, self._labels))
        top1 = accuracy(logits_nk, self._labels)
        self.epochs.append({"validation_top1": top1, "validation_loss": loss})
        if self._best is None or (top1, -loss) > self._best:
            self._best = (top1, -loss)
            self._weights = copy.deepcopy(self._network.state_dict())

    def result(self, test: LabeledImages) -> dict[str, Any]:
        """Result of the run, as it is written."""
        seconds = time.perf_counter() - self._started
        self._network.load_state_dict(self._weights)
        top1 = accuracy(logits_of(self._network, test.inputs), test.labels)
        return {"test_top1": top1, "seconds": seconds, "by_epoch": self.epochs}


def accuracy(logits_nk: Tensor, labels_n: Tensor) -> float:
    """Share of images whose highest-scored class is their label."""
    return float((logits_nk.argmax(1) == labels_n).float().mean())


def weights_file(folder: Path, source: str, network: str) -> Path:
    """File with the state dict of a network that has learned a source."""
    return folder / "models" / f"{source}-{network}.pt"


@dataclass(frozen=True)
class TuningRequest:
    """A run to make: the task, and the files and names behind it."""

    way: str
    task: TuningTask
    source: str
    target: str


def serve_command(description: str, fine_tune: Callable[[TuningRequest, Path], dict[str, Any]]) -> None:
    """Parse `--folder` and `--output`, and make the runs that standard input asks for."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    serve(options.output, lambda request: fine_tune(request, options.folder))


def serve(output: Path, run: Callable[[TuningRequest], dict[str, Any]]) -> None:
    """Make the runs that standard input asks for, one JSON object per line, and append each result to `output`."""
    for line in sys.stdin:
        values = json.loads(line)
        request = TuningRequest(values["way"], TuningTask(**values["task"]), values["source"], values["target"])
        torch.manual_seed(request.task.seed)
        result = {"way": request.way} | values["task"] | run(request)
        with output.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(result) + "\n")
        del result["by_epoch"]
        print(json.dumps(result), file=sys.stderr, flush=True)
