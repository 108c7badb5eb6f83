"""Training loop.

    compute the start of a new classifier
    until all epochs are trained, or patience runs out:
        one step of SGD for each batch, in the epoch's order
        estimate the statistics of batch norm
        validate; keep the weights if this is the best epoch so far

Everything random is keyed by (seed, epoch, step) and not drawn from a stream: a run that continues from a checkpoint
draws the same numbers as an uninterrupted run.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from pytorch_designer.errors import InterruptedRunError, NonFiniteLossError
from pytorch_designer.images.order import batch_slices, epoch_order
from pytorch_designer.inference.predictor import Predictor, inference_batch_size
from pytorch_designer.reporting.classification import balanced_accuracy
from pytorch_designer.reporting.outcomes import Outcomes
from pytorch_designer.seeds import derive_seed
from pytorch_designer.training.gpu_steps import GpuStepper
from pytorch_designer.training.history import EpochRecord, Metrics, MetricSums
from pytorch_designer.training.norm_statistics import estimate_norm_statistics
from pytorch_designer.training.recipe import is_better
from pytorch_designer.training.start.head_start import start_head
from pytorch_designer.training.start.initial_scale import scale_initial_weights
from pytorch_designer.training.state import BestEpoch, TrainingRun, TrainingState, copy_weights
from pytorch_designer.training.step import ImmediateStepper, StepOutcome, Stepper, StepRequest
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from pytorch_designer.images.augmentation import Augmentation
    from pytorch_designer.images.loader import Batch
    from pytorch_designer.training.checkpoint import CheckpointPolicy


def train(run: TrainingRun, state: TrainingState, checkpoints: CheckpointPolicy) -> str:
    """Train from `state` to the end, changing it on the way; `state.best` then holds the weights to save.

    Returns:
        One sentence: why training ended.

    Raises:
        NonFiniteLossError: The training loss became NaN or infinite, or no epoch had a finite validation loss.
        ModuleOutOfMemoryError: The device has too little memory.
        InterruptedRunError: The process was told to stop; the state is in a checkpoint.
        InvalidDatasetError: Too many images cannot be read.
    """
    learner = _Learner(run, state, checkpoints)
    learner.stop_if_requested()  # a signal that came while the inputs were opened
    if state.is_new:
        start_head(run, learner.stop_if_requested)
    while (reason := run.stop_reason(state)) is None:
        before = state.seconds
        started = time.perf_counter()
        try:
            for batch in _remaining_batches(run, state):
                learner.learn(batch)
                state.seconds = before + time.perf_counter() - started
                learner.save_if_due()
            learner.synchronize()
        except NonFiniteLossError:
            if state.best is not None:
                learner.save()
            raise
        state.seconds = before + time.perf_counter() - started
        estimate_norm_statistics(run, state.epoch, learner.stop_if_requested)
        validation = _validate(run, state.epoch, learner)
        _end_epoch(run, state, validation, before + time.perf_counter() - started)
        learner.save_if_due(is_epoch_end=True)
    if state.best is None:
        raise NonFiniteLossError(
            "The validation loss was not finite in any epoch, so there is no model to save.",
            where="learning_rate",
            advice="Use a lower `learning_rate`. A network from scratch may also need more steps, that is more images "
            "or epochs, before its running statistics are usable; or start from pretrained weights.",
        )
    return reason


def open_stepper(
    predictor: Predictor,
    optimizer: torch.optim.SGD,
    *,
    usual_sizes: Iterable[int],
    augmentation: Augmentation | None = None,
) -> Stepper:
    """The stepper for the predictor's device; see `GpuStepper` for the arguments."""
    if predictor.compute.device.type == "cuda":
        return GpuStepper(predictor, optimizer, usual_sizes=usual_sizes, augmentation=augmentation)
    if augmentation is not None:
        raise ValueError("random transforms of whole batches are for GPUs")
    return ImmediateStepper(predictor, optimizer)


class _Learner:
    """Changes the state of a run from batch to batch, and saves it.

    `state.step` counts the steps that were requested, `state.sums` their known outcomes: all of them once
    `synchronize` has returned.
    """

    def __init__(self, run: TrainingRun, state: TrainingState, checkpoints: CheckpointPolicy) -> None:
        self._run = run
        self._state = state
        self._checkpoints = checkpoints
        self._stepper = open_stepper(
            run.predictor,
            state.optimizer,
            usual_sizes={part.stop - part.start for part in run.training_slices},
            augmentation=run.batch_augmentation,
        )
        self._scales_weights = run.starts_from_scratch and state.epoch == 1 and not state.sums.num_images

    def learn(self, batch: Batch) -> None:
        """Take a step; a batch whose images are all bad is skipped."""
        epoch, step, seed = self._state.epoch, self._state.step, self._run.hyperparameters.random_seed
        if len(batch.labels):
            request = StepRequest(
                epoch=epoch,
                step=step,
                learning_rate=self._run.learning_rate(epoch, step),
                seed=derive_seed(seed, "step", epoch, step),
            )
            if self._scales_weights and self._run.predictor.can_normalize(len(batch.labels)):
                self._scale_weights(batch)
            self._scales_weights = False
            self._count(self._stepper.step(batch, request))
        self._state.step += 1

    def synchronize(self) -> None:
        """Wait until all requested steps are done and counted."""
        self._count(self._stepper.synchronize())

    def save_if_due(self, *, is_epoch_end: bool = False) -> None:
        """Save if enough time has passed since the last save.

        Raises:
            InterruptedRunError: The process was told to stop; the state is saved.
            FailedToWriteOutputsError: The checkpoint cannot be written.
        """
        self.stop_if_requested()
        if self._checkpoints.is_due(is_epoch_end=is_epoch_end):
            self.save()

    def stop_if_requested(self) -> None:
        """Save and end the run if the process was told to stop; raises what `save_if_due` raises."""
        signal_number = self._run.stop_request.signal_number
        if signal_number is not None:
            self.save()
            raise InterruptedRunError(
                f"The run was told to stop (signal {signal_number}) in epoch {self._state.epoch}, after "
                f"{self._state.step} of {count(len(self._run.training_slices), 'step')}. Its state is saved.",
                signal_number=signal_number,
                where=self._checkpoints.store.folder,
            )

    def save(self) -> None:
        """Save now; raises `FailedToWriteOutputsError` if the checkpoint cannot be written."""
        self.synchronize()
        self._checkpoints.save(self._state, self._run.position(self._state))

    def _scale_weights(self, batch: Batch) -> None:
        """Scale initial weights by the first batch, before the first step."""
        augmentation, random_seed = self._run.batch_augmentation, self._run.hyperparameters.random_seed
        if augmentation is not None:
            images = self._run.predictor.send(batch.images)
            batch = replace(batch, images=augmentation.draw_batch(images, epoch=1, rows=batch.indices))
        torch.manual_seed(derive_seed(random_seed, "initial_scale"))
        scale_initial_weights(self._run.predictor, batch, learning_rate=self._run.hyperparameters.learning_rate)

    def _count(self, outcomes: list[StepOutcome]) -> None:
        for outcome in outcomes:
            request = outcome.request
            if not outcome.is_finite:
                self._stepper.synchronize()  # the steps after it have changed nothing
                self._state.step = request.step
                raise _diverged(outcome, has_best=self._state.best is not None)
            self._state.sums.add_batch(
                loss=outcome.loss, top1=outcome.top1, top5=outcome.top5, num_images=outcome.num_images
            )
            self._run.display.step_taken(
                epoch=request.epoch,
                step=request.step + 1,
                num_steps=len(self._run.training_slices),
                num_images=outcome.num_images,
                loss=outcome.loss,
            )


def _remaining_batches(run: TrainingRun, state: TrainingState) -> Iterator[Batch]:
    order = epoch_order(len(run.training), seed=run.hyperparameters.random_seed, epoch=state.epoch)
    return run.training.batches((order[part] for part in run.training_slices[state.step :]), epoch=state.epoch)


class _Validation(NamedTuple):
    """Exact metrics, the confusion matrix, int64 [true class, predicted class], and what each image was taken for."""

    metrics: Metrics
    confusion: Tensor
    outcomes: Outcomes


def _validate(run: TrainingRun, epoch: int, learner: _Learner) -> _Validation:
    sums = MetricSums()
    outcomes = Outcomes.blank(run.validation.labels)
    confusion = torch.zeros(run.num_classes, run.num_classes, dtype=torch.int64)
    order = np.arange(len(run.validation))
    slices = batch_slices(len(order), inference_batch_size(run.predictor.preprocessing), fold_single=False)
    batches = (batch for batch in run.validation.batches(order[part] for part in slices) if len(batch.labels))
    for batch, logits_nk in run.predictor.logits_in_turn(batches, lambda batch: batch.images):
        sums.add(logits_nk, batch.labels)
        ones = torch.ones(len(batch.labels), dtype=torch.int64)
        confusion.index_put_((batch.labels, logits_nk.argmax(1)), ones, accumulate=True)
        outcomes.record(batch.indices, logits_nk.double().softmax(1).numpy())
        run.display.validated(epoch=epoch, num_images=sums.num_images)
        learner.stop_if_requested()
    return _Validation(sums.metrics(), confusion, outcomes)


def _end_epoch(run: TrainingRun, state: TrainingState, validation: _Validation, seconds: float) -> None:
    best = None if state.best is None else state.history[state.best.epoch - 1].validation
    is_best = is_better(validation.metrics, best)
    if is_best:
        weights = copy_weights(run.predictor.network)
        state.best = BestEpoch(state.epoch, weights, validation.confusion, validation.outcomes)
    record = EpochRecord(
        epoch=state.epoch,
        training=state.sums.metrics(),
        validation=validation.metrics,
        learning_rate=run.learning_rate(state.epoch, len(run.training_slices) - 1),
        images_per_second=state.sums.num_images / state.seconds,
        seconds=seconds,
        is_best=is_best,
        balanced_accuracy=balanced_accuracy(validation.confusion.numpy()),
    )
    state.end_epoch(record)
    run.display.epoch_ended(record)
    run.on_epoch_end(record)


def _diverged(outcome: StepOutcome, *, has_best: bool) -> NonFiniteLossError:
    kept = " The best weights so far are kept in the checkpoint in the output folder." if has_best else ""
    request = outcome.request
    return NonFiniteLossError(
        f"The training loss became {outcome.loss} at step {request.step + 1} of epoch {request.epoch}, "
        f"with learning rate {request.learning_rate:.3g}; the step was not taken.{kept}",
        where="learning_rate",
        advice="Use a lower `learning_rate`, a tenth of this one for instance.",
    )
