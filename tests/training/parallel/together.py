"""Runs of a small network in several processes, on handwritten digits."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.distributed.agreement import Agreement
from pytorch_designer.distributed.world import ONE_PROCESS, World
from pytorch_designer.errors import DesignerError
from pytorch_designer.images.cache import CacheBudget
from pytorch_designer.images.loader import ImageLoader
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.system.stop_requests import StopRequest
from pytorch_designer.training import norm_statistics
from pytorch_designer.training.checkpoint import CheckpointPolicy, CheckpointStore
from pytorch_designer.training.checkpoint_checks import RunExtent
from pytorch_designer.training.history import record_of
from pytorch_designer.training.loop import train
from pytorch_designer.training.parallel.shared_state import share_state
from pytorch_designer.training.parallel.validation import validate
from pytorch_designer.training.recipe import build_optimizer
from pytorch_designer.training.state import TrainingRun, TrainingState, copy_weights
from pytorch_designer.training.weight_plan import WeightPlan
from tests.training.small_run import (
    AWAY,
    COMPUTE,
    FROM_SCRATCH,
    HYPERPARAMETERS,
    NEAR,
    PREPROCESSING,
    RecordingDisplay,
    head_of,
    small_network,
)


@dataclass(frozen=True)
class Request:
    """A run, and what happens to it.

    Attributes:
        folder: Folder with `training` and `validation`.
        output: Where checkpoints are.
        num_training: Images of the training dataset that are used.
        num_validation: Likewise of the validation dataset.
        batch_size: Of each process.
        num_epochs: Epochs.
        checkpoint_seconds: See `CheckpointPolicy`.
        tolerance: Share of bad files.
        stops: Rank and step (in all epochs, from 1) after which a process is told to stop.
        kills: Rank and step after which a process kills itself; None for the rank: all do.
        explodes: Rank and step at which the loss becomes infinite.
        has_given_weights: Whether the classifier alone is new.
        stays_near: Whether it stays near these.
    """

    folder: Path
    output: Path
    num_training: int = 33
    num_validation: int = 12
    batch_size: int = 4
    num_epochs: int = 2
    checkpoint_seconds: float = 1e9
    tolerance: float = 0.0
    stops: tuple[int, int] | None = None
    kills: tuple[int | None, int] | None = None
    explodes: tuple[int, int] | None = None
    has_given_weights: bool = False
    stays_near: bool = True


@dataclass
class Found:
    """Results of one process; tensors as lists of numbers."""

    weights: dict[str, list[float]] = field(default_factory=dict)
    best_weights: dict[str, list[float]] = field(default_factory=dict)
    momentum: list[list[float]] = field(default_factory=list)
    history: list[Any] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    num_images: list[int] = field(default_factory=list)
    rows: list[list[int]] = field(default_factory=list)  # of an epoch's steps, and of its estimate, by turns
    error: dict[str, Any] = field(default_factory=dict)
    bad_files: list[str] = field(default_factory=list)
    expected: Any = None
    validated: Any = None

    @property
    def result(self) -> tuple[Any, ...]:
        """The results that must not depend on interruptions."""
        return self.weights, self.best_weights, self.momentum, self.history


class _Explodes(nn.Module):
    """Linear, with an infinite logit in the training pass of one number."""

    def __init__(self, at: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(192, 3)
        self.at = at
        self.num_passes = 0

    def forward(self, images_nchw: Tensor) -> Tensor:
        logits_nk: Tensor = self.linear(images_nchw.flatten(1))
        self.num_passes += self.training
        return logits_nk * float("inf") if self.training and self.num_passes == self.at else logits_nk


def _plan(request: Request) -> WeightPlan:
    if not request.has_given_weights:
        return FROM_SCRATCH
    return replace(NEAR if request.stays_near else AWAY, scales_convolutions=True)


def run_together(world: World, request: Request) -> Found:
    """Train in this process of a world, from the checkpoint in the output, if there is one."""
    found = Found()
    with ExitStack() as stack:
        # As many batches in all processes, although the last of them begins below this in the first one alone.
        stack.enter_context(patch.object(norm_statistics, "LEAST_IMAGES", 10))
        loaders = {}
        for part, number in (("training", request.num_training), ("validation", request.num_validation)):
            dataset = open_image_directory(request.folder / part)
            order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(3))[:number]
            loaders[part] = stack.enter_context(
                ImageLoader(
                    dataset.take(order.numpy()),
                    PREPROCESSING,
                    num_threads=2,
                    cache=CacheBudget(10**6),
                    tolerance=request.tolerance,
                    port=f"{part}_dataset",
                )
            )
        network = small_network()
        if request.explodes is not None:
            rank, step = request.explodes
            network = _Explodes(step if rank == world.rank else -1)
        plan = _plan(request)
        predictor = Predictor(network, PREPROCESSING, COMPUTE, keeps_statistics=plan.stays_near)
        hyperparameters = replace(HYPERPARAMETERS, num_epochs=request.num_epochs, batch_size=request.batch_size)
        display, stop_request = RecordingDisplay(), StopRequest()
        display.after_step = _events(world, request, stop_request)
        run = TrainingRun(
            hyperparameters=hyperparameters,
            predictor=predictor,
            training=_Recording(loaders["training"], found.rows),  # type: ignore[arg-type]  # a part of the protocol
            validation=loaders["validation"],
            num_classes=3,
            plan=plan,
            new_head=head_of(network) if request.has_given_weights else None,
            display=display,
            on_epoch_end=lambda record: None,
            stop_request=stop_request,
            world=world,
        )
        optimizer = build_optimizer(predictor.network, hyperparameters.learning_rate)
        state = TrainingState(predictor.network, optimizer)
        extent = RunExtent(request.num_epochs, len(run.training_slices), 3, request.num_validation, world.size)
        store = CheckpointStore(request.output, "this run", extent)
        try:
            world.verdict_of_first(lambda: store.restore(state))
            share_state(world, state)
            train(run, state, CheckpointPolicy(store, request.checkpoint_seconds))
        except DesignerError as error:
            found.error = error.to_dict()
        _fill(found, run, state)
    return found


def _fill(found: Found, run: TrainingRun, state: TrainingState) -> None:
    display = run.display
    assert isinstance(display, RecordingDisplay)
    found.losses, found.num_images = display.losses, display.num_images
    found.weights = _numbers(copy_weights(state.network))
    found.momentum = [
        state.optimizer.state[parameter]["momentum_buffer"].flatten().tolist()
        for parameter in state.network.parameters()
        if parameter in state.optimizer.state
    ]
    found.history = [
        (record.training if record.epoch else None, record.validation, record.is_best, record.balanced_accuracy)
        for record in state.history
    ]
    found.bad_files = [file.file for loader in (run.training, run.validation) for file in loader.bad_files]
    if state.best is not None and state.best.weights:
        found.best_weights = _numbers(state.best.weights)
        state.network.load_state_dict(state.best.weights)
        alone = validate(replace(run, world=ONE_PROCESS), 1, _no_others)
        found.expected = (alone.metrics, alone.confusion.tolist(), _columns(alone.outcomes))
        best = record_of(state.history, state.best.epoch).validation
        assert state.best.outcomes is not None
        found.validated = (best, state.best.confusion.tolist(), _columns(state.best.outcomes))


def _no_others(**_: object) -> Agreement:
    return Agreement(0, has_bad_files=False, signal_number=0, is_checkpoint_due=False, has_failed=False)


class _Recording:
    """A loader that records which rows it yields."""

    def __init__(self, loader: ImageLoader, rows: list[list[int]]) -> None:
        self._loader = loader
        self._rows = rows

    def __len__(self) -> int:
        return len(self._loader)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def batches(self, *args: Any, **kwargs: Any) -> Any:
        rows: list[int] = []
        self._rows.append(rows)
        for batch in self._loader.batches(*args, **kwargs):
            rows += batch.indices.tolist()
            yield batch


def _events(world: World, request: Request, stop_request: StopRequest) -> Callable[[int], None]:
    def happen(num_steps: int) -> None:
        if request.stops == (world.rank, num_steps):
            stop_request.request(signal.SIGTERM)
        if request.kills == (None, num_steps):
            world.barrier()
        if request.kills in {(world.rank, num_steps), (None, num_steps)}:
            os.kill(os.getpid(), signal.SIGKILL)

    return happen


def _numbers(tensors: dict[str, Tensor]) -> dict[str, list[float]]:
    return {name: tensor.flatten().tolist() for name, tensor in tensors.items()}


def _columns(outcomes: Any) -> dict[str, bytes]:
    return {name: column.tobytes() for name, column in vars(outcomes).items()}
