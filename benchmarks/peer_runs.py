"""Runs of the programs in peers/, each in a fresh process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

PROGRAMS = {
    "ours": "ours.py",
    "script": "script.py",
    "Lightning": "lightning_run.py",
    "HF Trainer": "trainer_run.py",
    "fastai": "fastai_run.py",
}
PEERS = tuple(name for name in PROGRAMS if name != "ours")

UNTRACKED = "ours, without MLflow"
"""The same work as the other libraries, which do not track metrics."""


@dataclass(frozen=True)
class Task:
    """Training task, the same for every way; see peers/run_request.py."""

    size: int
    epochs: int
    model: str = "resnet18"
    batch_size: int = 16
    learning_rate: float = 0.001

    def describe(self) -> str:
        """Text for a table's caption."""
        return (
            f"{self.model} from scratch, {self.size} pixels, {self.epochs} epochs, batch size {self.batch_size}, "
            f"learning rate {self.learning_rate}"
        )


@dataclass(frozen=True)
class Epoch:
    """An epoch's times and validation metrics, as recorded by peers/run_request.py; accuracy is 0 to 1."""

    train_seconds: float
    validation_seconds: float
    validation_top1: float
    validation_loss: float


@dataclass(frozen=True)
class Result:
    """A run's times and metrics.

    Attributes:
        versions: Versions by library.
        epochs: Epochs in order.
        seconds: Time of all epochs with their validation.
    """

    versions: dict[str, str]
    epochs: tuple[Epoch, ...]
    seconds: float

    @staticmethod
    def from_dict(record: dict[str, Any]) -> Result:
        """Read a record that a program wrote."""
        epochs = tuple(Epoch(**epoch) for epoch in record["epochs"])
        return Result(record["versions"], epochs, record["seconds"])


def add_peers_option(parser: argparse.ArgumentParser) -> None:
    """Add the option for the Python interpreter of the other libraries."""
    parser.add_argument(
        "--peers-python",
        type=_program,
        default=sys.executable,
        metavar="PATH",
        help="the Python in which the other libraries are installed (extra `benchmarks`); default: this one",
    )


def run_way(
    way: str, task: Task, data: Path, *, peers_python: str, seed: int = 1, threads: int | None = None
) -> Result:
    """Train in a fresh process, in a folder that is deleted afterwards.

    Raises:
        RuntimeError: The program failed; the message contains its output.
    """
    is_ours = way in {"ours", UNTRACKED}
    program = Path(__file__).parent / "peers" / PROGRAMS["ours" if is_ours else way]
    environment = os.environ | ({"PYTORCH_DESIGNER_TRACKING": "off"} if way == UNTRACKED else {})
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "record.json")
        options = vars(task) | {"data": data.resolve(), "seed": seed, "threads": threads, "output": output}
        command = [sys.executable if is_ours else peers_python, str(program)]
        for name, value in options.items():
            if value is not None:
                command += [f"--{name.replace('_', '-')}", str(value)]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{program.name} failed:\n{done.stdout}{done.stderr}")
        return Result.from_dict(json.loads(output.read_text(encoding="utf-8")))


def _program(name: str) -> str:
    """An absolute path, because runs start in another folder. Links are kept: they define a virtual environment."""
    return str(Path(shutil.which(name) or name).absolute())
