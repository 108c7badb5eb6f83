"""Training loop.

    compute the start of a new classifier; if there is one, validate it as epoch 0, then reduce it
    until all epochs are trained, or patience runs out:
        one step of SGD for each batch, in the epoch's order
        estimate the statistics of batch norm
        validate; keep the weights if this is the best epoch so far

Everything random is keyed by (seed, epoch, step) and not drawn from a stream: a run that continues from a checkpoint
draws the same numbers as an uninterrupted run.

Several processes run this loop side by side, each with its part of the batches. Before each step they agree whether one
of them stops, saves or has failed, so that all do it at the same step. One process agrees with itself.
"""

from __future__ import annotations

import logging
import math
import time
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from pytorch_designer.distributed.agreement import Agreement, ProcessReport, agree
from pytorch_designer.distributed.world import named_error
from pytorch_designer.errors import DesignerError, InterruptedRunError, NonFiniteLossError
from pytorch_designer.images.order import epoch_order
from pytorch_designer.reporting.classification import balanced_accuracy
from pytorch_designer.seeds import derive_seed
from pytorch_designer.training.history import EpochRecord, record_of
from pytorch_designer.training.norm_statistics import estimate_norm_statistics
from pytorch_designer.training.parallel.shared_state import average_statistics, gather_buffers, share_weights
from pytorch_designer.training.parallel.validation import Validation, validate
from pytorch_designer.training.recipe import is_better
from pytorch_designer.training.start.head_start import SHARE, shrink_head, start_head
from pytorch_designer.training.start.initial_scale import scale_by_first_batch
from pytorch_designer.training.start.input_means import measure_input_means
from pytorch_designer.training.state import BestEpoch, TrainingRun, TrainingState, copy_weights
from pytorch_designer.training.steps.near_steps import CenteredConvolutions, NearSteps
from pytorch_designer.training.steps.step import StepOutcome, StepRequest
from pytorch_designer.training.steps.steppers import open_stepper
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from pytorch_designer.images.loader import Batch
    from pytorch_designer.training.checkpoint import CheckpointPolicy

T = TypeVar("T")

_log = logging.getLogger(__name__)


def train(run: TrainingRun, state: TrainingState, checkpoints: CheckpointPolicy) -> str:
    """Train from `state` to the end, changing it on the way; `state.best` then holds the weights to save.

    All processes of the run call this, with the same state. They raise the same errors, but for those that come in the
    middle of a step, as a lack of memory does.

    Returns:
        One sentence: why training ended.

    Raises:
        NonFiniteLossError: The training loss became NaN or infinite, or no epoch had a finite validation loss.
        ModuleOutOfMemoryError: The device has too little memory.
        InterruptedRunError: The process was told to stop; the state is in a checkpoint.
        InvalidDatasetError: Too many images cannot be read.
    """
    if state.is_new and run.plan.stays_near:
        run.world.note("measuring the inputs of layers")
        state.input_means = run.world.verdict_of_first(partial(measure_input_means, run))
    learner = _Learner(run, state, checkpoints)
    learner.stop_if_requested()  # a signal that came while the inputs were opened
    if state.is_new and learner.prepare_weights(lambda: start_head(run, learner.stop_if_alone)):
        _validate_start(run, state, learner)
    while (reason := run.stop_reason(state)) is None:
        before = state.seconds
        started = time.perf_counter()
        try:
            for batch, num_images in learner.batches():
                learner.learn(batch, num_images)
                state.seconds = before + time.perf_counter() - started
            learner.synchronize()
        except NonFiniteLossError:
            if state.best is not None:
                learner.save()
            raise
        state.seconds = before + time.perf_counter() - started
        run.world.note(f"validation of epoch {state.epoch}")
        if not run.predictor.keeps_statistics:
            num_seen = estimate_norm_statistics(run, state.epoch, learner.stop_if_requested)
            average_statistics(run.world, run.predictor.network, num_seen)
        validation = validate(run, state.epoch, learner.between_validations)
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


class _Learner:
    """Changes the state of a run from batch to batch, and saves it.

    `state.step` counts the steps that were requested, `state.sums` their known outcomes: all of them once
    `synchronize` has returned.
    """

    def __init__(self, run: TrainingRun, state: TrainingState, checkpoints: CheckpointPolicy) -> None:
        self._run = run
        self._state = state
        self._checkpoints = checkpoints
        self._centered, near_steps = None, None
        if run.plan.stays_near:
            highest_rate = run.hyperparameters.learning_rate * run.world.size
            self._centered = CenteredConvolutions(run.predictor.network, state.input_means)
            near_steps = NearSteps(state.optimizer, highest_rate, self._centered)
        self._stepper = open_stepper(
            run.predictor,
            state.optimizer,
            usual_sizes={part.stop - part.start for part in run.training_slices},
            augmentation=run.batch_augmentation,
            near_steps=near_steps,
            world=run.world,
        )
        self._has_learned = False  # since the last checkpoint
        self._scales_weights = run.plan.scales_convolutions and state.epoch == 1 and not state.sums.num_images

    def learn(self, batch: Batch, num_images: int) -> None:
        """Take a step; a batch whose images are all bad is skipped.

        Args:
            batch: The part of this process.
            num_images: Images of all processes.
        """
        world, seed = self._run.world, self._run.hyperparameters.random_seed
        epoch, step = self._state.epoch, self._state.step
        if num_images:
            request = StepRequest(
                epoch=epoch,
                step=step,
                learning_rate=self._run.learning_rate(epoch, step),
                seed=derive_seed(seed, "step", epoch, step, *world.random_key),
                num_images=num_images,
            )
            if self._scales_weights:
                self._scale_weights(batch)
            self._scales_weights = False
            self._count(self._stepper.step(batch, request))
        self._state.step += 1
        self._has_learned = True

    def _scale_weights(self, batch: Batch) -> None:
        """Scale weights by the first process's part of the first batch, before the first step."""
        rate, centered = self._run.hyperparameters.learning_rate, self._centered
        self.prepare_weights(lambda: scale_by_first_batch(self._run, batch, learning_rate=rate, centered=centered))
        if centered is not None:
            centered.begin()

    def synchronize(self) -> None:
        """Wait until all requested steps are done and counted."""
        self._count(self._stepper.synchronize())

    def prepare_weights(self, prepare: Callable[[], T]) -> T:
        """Let the first process change the weights before the first step; all have them, and what it returns."""
        result = self._run.world.verdict_of_first(prepare)
        share_weights(self._run.world, self._run.predictor.network)
        return result

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

    def batches(self) -> Iterator[tuple[Batch, int]]:
        """Yield this process's part of each batch that is left in the epoch, and the images of all processes in it.

        Between two batches, and after the last, the run is saved or stopped if this is due; see `save_if_due`.

        Raises:
            InvalidDatasetError: Too many images cannot be read, by one process or by all together.
        """
        remaining = _remaining_batches(self._run, self._state)
        while True:
            self._note_step()
            batch, error = named_error(lambda: next(remaining, None))
            agreed = self._agree(num_images=0 if batch is None else len(batch.labels), error=error)
            if batch is None:
                return
            yield batch, agreed.num_images

    def save_if_due(self, *, is_epoch_end: bool = False) -> None:
        """Save if enough time has passed since the last save; called by all processes.

        Raises:
            InterruptedRunError: A process was told to stop; the state is saved.
            FailedToWriteOutputsError: The checkpoint cannot be written.
        """
        self._agree(is_due=self._checkpoints.is_due(is_epoch_end=is_epoch_end))

    def stop_if_requested(self) -> None:
        """Save and end the run if a process was told to stop; raises what `save_if_due` raises."""
        self._agree(is_due=False)

    def stop_if_alone(self) -> None:
        """Likewise, in work that one process does while the others wait; with others, a stop comes after it."""
        if self._run.world.size == 1:
            self.stop_if_requested()

    def between_validations(self, *, num_images: int, error: DesignerError | None) -> Agreement:
        """End the run if a process was told to stop or has failed; see `Between`."""
        return self._agree(num_images=num_images, error=error, is_due=False)

    def save(self) -> None:
        """Save now, all processes; raises `FailedToWriteOutputsError` if the checkpoint cannot be written."""
        self.synchronize()
        world, state = self._run.world, self._state
        world.note("saving a checkpoint")
        gather_buffers(world, state)
        world.verdict_of_first(lambda: self._checkpoints.save(state, self._run.position(state)))
        self._has_learned = False
        self._note_step()  # what comes next, or has made it necessary to save

    def _note_step(self) -> None:
        self._run.world.note(f"training, epoch {self._state.epoch}", self._state.step + 1)

    def _agree(
        self, *, num_images: int = 0, error: DesignerError | None = None, is_due: bool | None = None
    ) -> Agreement:
        """Exchange the reports of all processes, and act on their agreement.

        Args:
            num_images: See `ProcessReport`.
            error: What ends this process.
            is_due: Whether to save; None if there was a step, and enough time has passed.
        """
        world, loaders = self._run.world, (self._run.training, self._run.validation)
        agreed = agree(
            world,
            ProcessReport(
                num_images=num_images,
                num_bad_files=sum(loader.num_new_bad_files for loader in loaders),
                signal_number=self._run.stop_request.signal_number or 0,
                is_checkpoint_due=self._is_due() if is_due is None else is_due,
                has_failed=error is not None,
            ),
        )
        if agreed.has_failed:
            world.verdict_of_all(partial(_raise, error))
        if agreed.has_bad_files:
            self._share_bad_files()
        if agreed.signal_number:
            self.save()
            raise InterruptedRunError(
                f"The run was told to stop (signal {agreed.signal_number}) in epoch {self._state.epoch}, after "
                f"{self._state.step} of {count(len(self._run.training_slices), 'step')}. Its state is saved.",
                signal_number=agreed.signal_number,
                where=self._checkpoints.store.folder,
            )
        if agreed.is_checkpoint_due:
            self.save()
        return agreed

    def _is_due(self) -> bool:
        return self._has_learned and self._checkpoints.is_due(is_epoch_end=False)

    def _share_bad_files(self) -> None:
        """Leave out in all processes what one cannot read, and end the run where together there are too many."""
        world = self._run.world
        for loader in (self._run.training, self._run.validation):
            for found in world.gather(loader.take_new_bad_files()):
                loader.note_bad_files(found)
            world.verdict_of_first(loader.check_tolerance)  # all know the same files now


def _raise(error: DesignerError | None) -> None:
    if error is not None:
        raise error


def _remaining_batches(run: TrainingRun, state: TrainingState) -> Iterator[Batch]:
    order = epoch_order(len(run.training), seed=run.hyperparameters.random_seed, epoch=state.epoch)
    return run.training.batches((order[part] for part in run.training_slices[state.step :]), epoch=state.epoch)


def _validate_start(run: TrainingRun, state: TrainingState, learner: _Learner) -> None:
    """Validate the model before its first step, as epoch 0: the epochs have to be better than it.

    The epochs then mostly start from a share of this classifier.
    """
    started = time.perf_counter()
    run.world.note("validation before training")
    validation = validate(run, 0, learner.between_validations)
    _end_epoch(run, state, validation, time.perf_counter() - started, epoch=0)
    if run.plan.shrinks_head:
        shrink_head(run)
        text = f"The epochs start from {SHARE:g} of this classifier, so that all layers have enough to learn from."
        run.world.of_first(partial(_log.info, text), None)
    learner.save_if_due(is_epoch_end=True)


def _end_epoch(
    run: TrainingRun, state: TrainingState, validation: Validation, seconds: float, *, epoch: int | None = None
) -> None:
    """Close an epoch, by default the current one, after its validation."""
    epoch = state.epoch if epoch is None else epoch
    best = None if state.best is None else record_of(state.history, state.best.epoch).validation
    is_best = is_better(validation.metrics, best)
    if is_best:
        weights: dict[str, Tensor] = run.world.of_first(lambda: copy_weights(run.predictor.network), {})
        state.best = BestEpoch(epoch, weights, validation.confusion, validation.outcomes)
    record = EpochRecord(
        epoch=epoch,
        training=state.sums.metrics(),
        validation=validation.metrics,
        learning_rate=run.learning_rate(epoch, len(run.training_slices) - 1) if epoch else 0.0,
        images_per_second=state.sums.num_images / state.seconds if epoch else math.nan,
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
