"""The training algorithm.

    until all epochs are trained, or patience is spent:
        one step of SGD for each batch, in the epoch's order
        validate; keep the weights if this is the best epoch so far

Everything that could differ between two runs is keyed by (seed, epoch, step) and not drawn from a stream: a run
that continues from a checkpoint draws what an uninterrupted run would have drawn.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from pytorch_designer.errors import NonFiniteLossError
from pytorch_designer.images.order import batch_slices, epoch_order
from pytorch_designer.inference.predictor import Predictor, inference_batch_size
from pytorch_designer.training.batch_norm import raise_momentum
from pytorch_designer.training.checkpoint_keeper import CheckpointKeeper
from pytorch_designer.training.history import EpochRecord, Metrics
from pytorch_designer.training.learner import Learner
from pytorch_designer.training.metrics import MetricSums
from pytorch_designer.training.schedule import learning_rate_at
from pytorch_designer.training.selection import is_better, stop_reason
from pytorch_designer.training.state import BestEpoch, TrainingState, copy_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from pytorch_designer.images.augmentation import Augmentation
    from pytorch_designer.images.loader import Batch, ImageLoader
    from pytorch_designer.system.stop_requests import StopRequest
    from pytorch_designer.training.checkpoint import CheckpointStore
    from pytorch_designer.training.hyperparameters import Hyperparameters


class TrainingDisplay(Protocol):
    """Shows a run while it goes on."""

    def step_taken(self, *, epoch: int, step: int, num_steps: int, num_images: int, loss: float) -> None:
        """Step number `step`, from 1, of an epoch's `num_steps` trained on `num_images` images with this mean loss."""

    def validated(self, *, epoch: int, num_images: int) -> None:
        """`num_images` of the validation images have been seen in this epoch."""

    def epoch_ended(self, record: EpochRecord) -> None:
        """An epoch is complete."""


@dataclass(frozen=True)
class TrainingRun:
    """What a run works with; nothing here changes while it trains.

    Attributes:
        hyperparameters: The five parameters.
        predictor: The network with its preprocessing and device.
        training: Loader of the training images.
        validation: Loader of the validation images, labelled in the order of the training classes.
        num_classes: Number of classes.
        normalizes_lone_image: See `ImmediateSteps`.
        starts_from_scratch: Whether the network has drawn weights and no learnt ones, which are then scaled first.
        checkpoints: Where the state is saved.
        checkpoint_seconds: Time between two checkpoints within an epoch. The end of an epoch gets one after a tenth of
            it, if checkpoints then take no more than 2 % of the time. 0 writes one after every step, whatever it costs.
        display: Shows progress.
        on_epoch_end: Called with the record of each epoch, for tracking.
        stop_request: Set when the process was told to stop.
        batch_augmentation: Random steps that the loader leaves to the GPU; None where there are none, or it does them.
    """

    hyperparameters: Hyperparameters
    predictor: Predictor
    training: ImageLoader
    validation: ImageLoader
    num_classes: int
    normalizes_lone_image: bool
    starts_from_scratch: bool
    checkpoints: CheckpointStore
    checkpoint_seconds: float
    display: TrainingDisplay
    on_epoch_end: Callable[[EpochRecord], None]
    stop_request: StopRequest
    batch_augmentation: Augmentation | None = None

    @cached_property
    def training_slices(self) -> list[slice]:
        """The batches of an epoch, as slices of its order."""
        return batch_slices(len(self.training), self.hyperparameters.batch_size, fold_single=True)

    def learning_rate(self, epoch: int, step: int) -> float:
        """The learning rate of a step (from 0) of an epoch (from 1)."""
        num_steps = len(self.training_slices)
        return learning_rate_at(
            (epoch - 1) * num_steps + step,
            num_steps=self.hyperparameters.num_epochs * num_steps,
            initial=self.hyperparameters.learning_rate,
        )

    def why_stop(self, state: TrainingState) -> str | None:
        """One sentence when the run is complete, else None."""
        parameters = self.hyperparameters
        return stop_reason(state.history, num_epochs=parameters.num_epochs, patience=parameters.patience)


def train(run: TrainingRun, state: TrainingState) -> str:
    """Train from `state` to the end, changing it on the way; `state.best` then holds the weights to save.

    Returns:
        One sentence: why training ended.

    Raises:
        NonFiniteLossError: The training loss became NaN or infinite, or no epoch had a finite validation loss.
        ModuleOutOfMemoryError: The device has too little memory.
        InterruptedRunError: The process was told to stop; the state is in a checkpoint.
        InvalidDatasetError: Too many images cannot be read.
    """
    raise_momentum(run.predictor.network)
    learner = Learner(run, state)
    keeper = CheckpointKeeper(run, state, learner)
    keeper.stop_if_requested()  # a signal that came while the inputs were opened
    while (reason := run.why_stop(state)) is None:
        before = state.seconds
        started = time.perf_counter()
        try:
            for batch in _remaining_batches(run, state):
                learner.learn(batch)
                state.seconds = before + time.perf_counter() - started
                keeper.save_if_due()
            learner.settle()
        except NonFiniteLossError:
            if state.best is not None:
                keeper.save()
            raise
        state.seconds = before + time.perf_counter() - started
        validation, confusion = _validate(run, state.epoch, keeper)
        _end_epoch(run, state, validation, confusion, before + time.perf_counter() - started)
        keeper.save_if_due(is_epoch_end=True)
    if state.best is None:
        raise NonFiniteLossError(
            "The validation loss was not finite in any epoch, so there is no model to save.",
            where="learning_rate",
            advice="Use a lower learning_rate. A network from scratch may also need more steps, that is more images or "
            "epochs, before its running statistics serve; or start from pretrained weights.",
        )
    return reason


def _remaining_batches(run: TrainingRun, state: TrainingState) -> Iterator[Batch]:
    order = epoch_order(len(run.training), seed=run.hyperparameters.random_seed, epoch=state.epoch)
    return run.training.batches((order[part] for part in run.training_slices[state.step :]), epoch=state.epoch)


def _validate(run: TrainingRun, epoch: int, keeper: CheckpointKeeper) -> tuple[Metrics, Tensor]:
    """Exact validation metrics, and the confusion matrix int64 [true class, predicted class]."""
    sums = MetricSums()
    confusion = torch.zeros(run.num_classes, run.num_classes, dtype=torch.int64)
    order = np.arange(len(run.validation))
    slices = batch_slices(len(order), inference_batch_size(run.predictor.preprocessing), fold_single=False)
    batches = (batch for batch in run.validation.batches(order[part] for part in slices) if len(batch.labels))
    for batch, logits_nk in run.predictor.logits_in_turn(batches, lambda batch: batch.images):
        sums.add(logits_nk, batch.labels)
        ones = torch.ones(len(batch.labels), dtype=torch.int64)
        confusion.index_put_((batch.labels, logits_nk.argmax(1)), ones, accumulate=True)
        run.display.validated(epoch=epoch, num_images=sums.num_images)
        keeper.stop_if_requested()
    return sums.metrics(), confusion


def _end_epoch(run: TrainingRun, state: TrainingState, validation: Metrics, confusion: Tensor, seconds: float) -> None:
    best = None if state.best is None else state.history[state.best.epoch - 1].validation
    is_best = is_better(validation, best)
    if is_best:
        state.best = BestEpoch(state.epoch, copy_weights(run.predictor.network), confusion)
    record = EpochRecord(
        epoch=state.epoch,
        training=state.sums.metrics(),
        validation=validation,
        learning_rate=run.learning_rate(state.epoch, len(run.training_slices) - 1),
        images_per_second=state.sums.num_images / state.seconds,
        seconds=seconds,
        is_best=is_best,
    )
    state.end_epoch(record)
    run.display.epoch_ended(record)
    run.on_epoch_end(record)
