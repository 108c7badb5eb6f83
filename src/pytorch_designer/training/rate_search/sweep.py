"""Sweep of the learning rate: a short run with the recipe of training, in which the rate grows with every step."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from itertools import count, islice
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.errors import InterruptedRunError, NonFiniteLossError
from pytorch_designer.images.order import epoch_order
from pytorch_designer.seeds import derive_seed
from pytorch_designer.training.rate_search.rate_curve import HIGHEST_RATE, LOWEST_RATE, RateCurve
from pytorch_designer.training.start.head_start import shrink_head, start_head
from pytorch_designer.training.start.initial_scale import scale_by_first_batch
from pytorch_designer.training.start.input_means import measure_input_means
from pytorch_designer.training.state import TrainingRun
from pytorch_designer.training.steps.near_steps import CenteredConvolutions, NearSteps
from pytorch_designer.training.steps.step import StepRequest
from pytorch_designer.training.steps.steppers import open_stepper

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytorch_designer.images.loader import Batch
    from pytorch_designer.progress import ProgressLine
    from pytorch_designer.system.stop_requests import StopRequest
    from pytorch_designer.training.history import EpochRecord
    from pytorch_designer.training.state import TrainingState
    from pytorch_designer.training.steps.step import StepOutcome

SCALE_RATE = 0.03
"""Learning rate by which networks from scratch are scaled, as a run at this rate would scale them. Batch norms and the
classifier then end the fall of the loss, as they do in such runs; the scale of the default rate ends it at a
thirtieth."""

_NUM_LAST = 5  # losses whose mean decides whether the sweep has diverged
_TIMES_GUESSING = 2.0  # the loss of guessing, ln(classes)


@dataclass(frozen=True)
class RateSweep(TrainingRun):
    """Training run whose learning rate grows by an equal factor from step to step.

    Attributes:
        num_steps: Steps of the sweep, at least 2.
    """

    num_steps: int = 100

    def learning_rate(self, epoch: int, step: int) -> float:
        """The learning rate of a step of the sweep, from 0; it is one epoch, however often the images come again."""
        del epoch
        return LOWEST_RATE * math.pow(HIGHEST_RATE / LOWEST_RATE, step / (self.num_steps - 1))


@dataclass
class SweepDisplay:
    """Progress of a sweep, and the losses of its steps.

    Attributes:
        line: Where progress is shown.
        num_steps: Steps of the sweep.
        losses: Mean loss of each step so far, up to the first that is not finite.
    """

    line: ProgressLine
    num_steps: int
    losses: list[float] = field(default_factory=list)

    def step_taken(self, *, epoch: int, step: int, num_steps: int, num_images: int, loss: float) -> None:
        """Keep the loss and move the line."""
        del epoch, step, num_images
        self.losses.append(loss)
        self.line.show("range test", len(self.losses), num_steps, "steps", f"loss {loss:.4f}")

    def validated(self, *, epoch: int, num_images: int) -> None:
        """Nothing is validated."""

    def features_computed(self, *, num_images: int, num_all: int) -> None:
        """Move the line."""
        self.line.show("start of the classifier", num_images, num_all, "images")

    def epoch_ended(self, record: EpochRecord) -> None:
        """Nothing is shown."""


def sweep_rates(sweep: RateSweep, state: TrainingState, display: SweepDisplay) -> RateCurve:
    """Train for the steps of a sweep, or until the loss is not finite or far above that before.

    Args:
        sweep: The run; `display` is its display.
        state: Before the first step. Its network is changed.
        display: Takes the losses.

    Raises:
        NonFiniteLossError: Not even the loss of the first batch was finite.
        ModuleOutOfMemoryError: The device has too little memory.
        InterruptedRunError: The process was told to stop.
        InvalidDatasetError: Too many images cannot be read.
    """
    centered, near_steps = None, None
    if sweep.plan.stays_near:
        centered = CenteredConvolutions(sweep.predictor.network, measure_input_means(sweep))
        near_steps = NearSteps(state.optimizer, centered=centered)
    if start_head(sweep, partial(_stop_if_requested, sweep.stop_request)) and sweep.plan.shrinks_head:
        shrink_head(sweep)
    stepper = open_stepper(
        sweep.predictor,
        state.optimizer,
        usual_sizes={part.stop - part.start for part in sweep.training_slices},
        augmentation=sweep.batch_augmentation,
        near_steps=near_steps,
    )
    rates: list[float] = []
    is_finite = True
    for step, (epoch, batch) in enumerate(islice(_batches(sweep), sweep.num_steps)):
        _stop_if_requested(sweep.stop_request)
        if not is_finite or _has_diverged(display.losses, sweep.num_classes):
            break
        if len(batch.labels):
            if not rates and sweep.plan.scales_convolutions:
                scale_by_first_batch(sweep, batch, learning_rate=SCALE_RATE, centered=centered)
                if centered is not None:
                    centered.begin()
            rates.append(sweep.learning_rate(1, step))
            seed = derive_seed(sweep.hyperparameters.random_seed, "step", epoch, step)
            num_images = len(batch.labels)
            request = StepRequest(epoch=epoch, step=step, learning_rate=rates[-1], seed=seed, num_images=num_images)
            is_finite = _show(stepper.step(batch, request), display)
    is_finite = _show(stepper.synchronize(), display) and is_finite
    losses = tuple(display.losses)
    if not losses:
        raise NonFiniteLossError(
            "The loss of the first batch is not finite, before anything was learned.",
            where="the range test",
            advice="Use other weights: those of the model are not finite, or too large.",
        )
    return RateCurve(
        rates=tuple(rates[: len(losses)]),
        losses=losses,
        has_diverged=not is_finite or _has_diverged(display.losses, sweep.num_classes),
    )


def _show(outcomes: list[StepOutcome], display: SweepDisplay) -> bool:
    """Show the outcomes of steps; whether all of them are finite. What follows one that is not is not shown."""
    for outcome in outcomes:
        if not outcome.is_finite:
            return False
        display.step_taken(
            epoch=outcome.request.epoch,
            step=outcome.request.step + 1,
            num_steps=display.num_steps,
            num_images=outcome.num_images,
            loss=outcome.loss,
        )
    return True


def _stop_if_requested(request: StopRequest) -> None:
    if request.signal_number is not None:
        raise InterruptedRunError(
            f"The range test was told to stop (signal {request.signal_number}). Nothing was written.",
            signal_number=request.signal_number,
            where="the range test",
            advice="Run the same command again: it starts from the beginning.",
        )


def _batches(sweep: RateSweep) -> Iterator[tuple[int, Batch]]:
    """The batches of epoch after epoch, each with its epoch."""
    for epoch in count(1):
        order = epoch_order(len(sweep.training), seed=sweep.hyperparameters.random_seed, epoch=epoch)
        for batch in sweep.training.batches((order[part] for part in sweep.training_slices), epoch=epoch):
            yield epoch, batch


def _has_diverged(losses: list[float], num_classes: int) -> bool:
    """True if the last losses are far above the lowest mean of as many before, and above those of guessing."""
    if len(losses) < 2 * _NUM_LAST:
        return False
    means = np.convolve(losses, np.full(_NUM_LAST, 1 / _NUM_LAST), mode="valid")
    guessing = math.log(max(2, num_classes))
    return bool(means[-1] > _TIMES_GUESSING * max(guessing, means[0]))
