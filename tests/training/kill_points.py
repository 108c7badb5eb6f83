"""Kills a small training run with SIGKILL at points that are counted, and lets it go on from its checkpoint.

    python -m tests.training.kill_points FOLDER

Prints a line of JSON for each point: its name, what differs at the end from an undisturbed run, and how many steps the
last process took. Each run is a fork of a process that has the libraries and no threads, so a point costs a fraction of
a second.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.images.loader import ImageLoader
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.system.stop_requests import StopRequest
from pytorch_designer.training.checkpoint import CheckpointPolicy, CheckpointStore
from pytorch_designer.training.history import EpochRecord
from pytorch_designer.training.loop import train
from pytorch_designer.training.recipe import build_optimizer
from pytorch_designer.training.state import TrainingRun, TrainingState
from tests.training.small_run import COMPUTE, EXTENT, FROM_SCRATCH, HYPERPARAMETERS, PREPROCESSING

_FILE_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}
_FILE_STRIDE = 13  # shares no factor with the number of operations of a save, so that each of them has its turn
_KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Point:
    """Moment of a kill: the `number`-th event of this kind.

    `features`: after a batch of images whose features the head starts from. `step`: after a step. `validation`: after a
    batch of validation images. `epoch`: between two epochs. `file`: before an operation on a file below the output,
    which is where checkpoints are saved. `none`: never.
    """

    kind: str
    number: int = 0


class Killer:
    """Counts what happens and ends the process at its point."""

    def __init__(self, point: Point, output: Path) -> None:
        self._point = point
        self._prefix = str(output)
        self.counts = {"features": 0, "step": 0, "validation": 0, "epoch": 0, "file": 0}
        sys.addaudithook(self._on_audit)

    def happened(self, kind: str) -> None:
        self.counts[kind] += 1
        if self._point == Point(kind, self.counts[kind]):
            os.kill(os.getpid(), signal.SIGKILL)

    def step_taken(self, *, epoch: int, step: int, num_steps: int, num_images: int, loss: float) -> None:
        self.happened("step")

    def validated(self, *, epoch: int, num_images: int) -> None:
        self.happened("validation")

    def features_computed(self, *, num_images: int, num_all: int) -> None:
        self.happened("features")

    def epoch_ended(self, record: EpochRecord) -> None:
        self.happened("epoch")

    def _on_audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _FILE_EVENTS and str(arguments[0]).startswith(self._prefix):
            self.happened("file")


def run_once(folder: Path, output: Path, result: Path, point: Point) -> None:
    """Train from the checkpoint in `output`, if there is one, and write what came out to `result`."""
    datasets = [open_image_directory(folder / part) for part in ("training", "validation")]
    with ExitStack() as stack:
        training, validation = (
            stack.enter_context(ImageLoader(d, PREPROCESSING, num_threads=2, tolerance=0.0, port="d")) for d in datasets
        )
        torch.manual_seed(0)
        head = nn.Linear(8, 3)
        network = nn.Sequential(nn.Conv2d(3, 2, 3, stride=3), nn.BatchNorm2d(2), nn.Flatten(), head)
        predictor = Predictor(network, PREPROCESSING, COMPUTE)
        state = TrainingState(predictor.network, build_optimizer(network, HYPERPARAMETERS.learning_rate))
        killer = Killer(point, output)
        run = TrainingRun(
            hyperparameters=HYPERPARAMETERS,
            predictor=predictor,
            training=training,
            validation=validation,
            num_classes=3,
            plan=FROM_SCRATCH,
            new_head=head,
            display=killer,
            on_epoch_end=lambda record: None,
            stop_request=StopRequest(),
        )
        store = CheckpointStore(output, "this run", EXTENT)
        store.restore(state)
        train(run, state, CheckpointPolicy(store, seconds=0.0))
    assert state.best is not None
    result.write_text(json.dumps({"outcome": _outcome(state), "counts": killer.counts}))


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    assert _in_child(lambda: run_once(folder, folder / "whole", folder / "whole.json", Point("none"))) == 0
    whole = json.loads((folder / "whole.json").read_text())
    points = [
        [Point(kind, number)]
        for kind, count in whole["counts"].items()
        for number in range(1, count + 1, _FILE_STRIDE if kind == "file" else 1)
    ]
    twice = [[Point("step", 2), Point("step", 1)], [Point("validation", 1), Point("file", 3)]]
    for number, kills in enumerate([*points, *twice]):
        output, result = folder / f"run_{number}", folder / f"run_{number}.json"
        runs = [partial(run_once, folder, output, result, point) for point in (*kills, Point("none"))]
        codes = [_in_child(run) for run in runs]
        found = json.loads(result.read_text()) if result.exists() else {"outcome": {}, "counts": {}}
        differing = [key for key, value in whole["outcome"].items() if found["outcome"].get(key) != value]
        as_expected = codes == [_KILLED] * len(kills) + [0]
        line = {"kills": str(kills), "codes": codes, "as_expected": as_expected, "differing": differing}
        print(json.dumps(line | {"last_steps": found["counts"].get("step")}))


def _outcome(state: TrainingState) -> dict[str, Any]:
    assert state.best is not None
    assert state.best.outcomes is not None
    momentum = [state.optimizer.state[p]["momentum_buffer"] for p in state.network.parameters()]
    return {
        "last_weights": _hash(state.network.state_dict()),
        "best_weights": _hash(state.best.weights),
        "momentum": _hash({str(index): tensor for index, tensor in enumerate(momentum)}),
        "best_epoch": state.best.epoch,
        "best_outcomes": _hash({name: torch.from_numpy(column) for name, column in vars(state.best.outcomes).items()}),
        "history": [
            {key: value for key, value in record.to_dict().items() if key not in {"seconds", "images_per_second"}}
            for record in state.history
        ],
    }


def _hash(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(tensors[name].detach().numpy().tobytes())
    return digest.hexdigest()


def _in_child(action: Callable[[], None]) -> int:
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
