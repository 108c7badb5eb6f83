"""Command line and record that all programs in this folder share.

A benchmark can start any of them with the same arguments. The clock starts at the first epoch, after imports, opening
the folders and building the network. Reading images, starting worker processes and validation are included.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class RunRequest:
    """A training run from random weights.

    Attributes:
        data: Folder with `training` and `validation`, each with a folder of images per class.
        model: Name of a torchvision classifier.
        size: Height and width of the network's input, in pixels.
        epochs: Passes over the training images.
        batch_size: Images per step.
        learning_rate: Constant, initial or maximum learning rate, depending on the library.
        seed: Seed of the weights and the order of the images.
        threads: Number of computing threads; None for the library's default.
        output: File for the record.
    """

    data: Path
    model: str
    size: int
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    threads: int | None
    output: Path

    @property
    def num_classes(self) -> int:
        """Number of class folders of the training images."""
        return sum(path.is_dir() for path in (self.data / "training").iterdir())


def parse_request(description: str) -> RunRequest:
    """Parse the command line, and set the number of computing threads."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=0.001)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", type=Path, required=True)
    request = RunRequest(**vars(parser.parse_args()))
    if request.threads is not None:
        torch.set_num_threads(request.threads)
    return request


@dataclass
class RunRecord:
    """Times and validation metrics of a run, recorded by one call at its start and two per epoch."""

    library: str
    epochs: list[dict[str, float]] = field(default_factory=list)
    _last_mark: float = 0.0
    _train_seconds: float = 0.0

    def begin(self) -> None:
        """Start the clock of the first epoch."""
        self._last_mark = time.perf_counter()

    def training_ended(self) -> None:
        """Record the end of an epoch's training steps."""
        self._train_seconds = self._lap()

    def validation_ended(self, *, top1: float, loss: float) -> None:
        """Record the end of an epoch's validation; both metrics are over all validation images."""
        self.add_epoch(train_seconds=self._train_seconds, validation_seconds=self._lap(), top1=top1, loss=loss)

    def add_epoch(self, *, train_seconds: float, validation_seconds: float, top1: float, loss: float) -> None:
        """Add an epoch with known times."""
        self.epochs.append(
            {
                "train_seconds": train_seconds,
                "validation_seconds": validation_seconds,
                "validation_top1": top1,
                "validation_loss": loss,
            }
        )

    def write(self, path: Path) -> None:
        """Write the record as JSON, with the versions of the libraries."""
        content: dict[str, Any] = {
            "library": self.library,
            "versions": {name: version(name) for name in dict.fromkeys((self.library, "torch", "torchvision"))},
            "epochs": self.epochs,
            "seconds": sum(epoch["train_seconds"] + epoch["validation_seconds"] for epoch in self.epochs),
        }
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")

    def _lap(self) -> float:
        now = time.perf_counter()
        seconds, self._last_mark = now - self._last_mark, now
        return seconds
