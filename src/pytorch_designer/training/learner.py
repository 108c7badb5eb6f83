"""Takes the steps of a run, and counts in its state what they found."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from pytorch_designer.errors import NonFiniteLossError
from pytorch_designer.seeds import derive_seed
from pytorch_designer.training.gpu_steps import GpuSteps
from pytorch_designer.training.initial_scale import scaled_initial_weights
from pytorch_designer.training.step import ImmediateSteps, StepOutcome, StepRequest, Steps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytorch_designer.images.augmentation import Augmentation
    from pytorch_designer.images.loader import Batch
    from pytorch_designer.inference.predictor import Predictor
    from pytorch_designer.training.loop import TrainingRun
    from pytorch_designer.training.state import TrainingState


class Learner:
    """What changes the state of a run from batch to batch.

    Args:
        run: What is trained.
        state: Its position. `state.step` counts the steps that were asked for, `state.sums` what is known of them: all
            of them once `settle` has returned.
    """

    def __init__(self, run: TrainingRun, state: TrainingState) -> None:
        self._run = run
        self._state = state
        self._steps = open_steps(
            run.predictor,
            state.optimizer,
            normalizes_lone_image=run.normalizes_lone_image,
            usual_sizes={part.stop - part.start for part in run.training_slices},
            augmentation=run.batch_augmentation,
        )
        self._scales_weights = run.starts_from_scratch and state.epoch == 1 and not state.sums.num_images

    def learn(self, batch: Batch) -> None:
        """Take a step; a batch whose images are all bad is passed over."""
        epoch, step, seed = self._state.epoch, self._state.step, self._run.hyperparameters.random_seed
        if len(batch.labels):
            request = StepRequest(
                epoch=epoch,
                step=step,
                learning_rate=self._run.learning_rate(epoch, step),
                seed=derive_seed(seed, "step", epoch, step),
            )
            with self._scaled_weights(batch):
                self._count(self._steps.take(batch, request))
        self._state.step += 1

    def settle(self) -> None:
        """Wait until all steps that were asked for are done and counted."""
        self._count(self._steps.settle())

    def _scaled_weights(self, batch: Batch) -> AbstractContextManager[None]:
        """For the step on `batch`: where it is the first one of a network from scratch, initial weights are scaled."""
        is_to_be_scaled = self._scales_weights and (len(batch.labels) > 1 or self._run.normalizes_lone_image)
        self._scales_weights = False
        if not is_to_be_scaled:
            return nullcontext()
        augmentation = self._run.batch_augmentation
        if augmentation is not None:
            images = self._run.predictor.send(batch.images)
            batch = replace(batch, images=augmentation.draw_batch(images, epoch=1, rows=batch.indices))
        torch.manual_seed(derive_seed(self._run.hyperparameters.random_seed, "initial_scale"))
        return scaled_initial_weights(
            self._run.predictor,
            batch,
            learning_rate=self._run.hyperparameters.learning_rate,
            first_step_of=self._state.optimizer if isinstance(self._steps, ImmediateSteps) else None,
        )

    def _count(self, outcomes: list[StepOutcome]) -> None:
        for outcome in outcomes:
            place = outcome.request
            if not outcome.is_finite:
                self._steps.settle()  # what was asked for after it has changed nothing
                self._state.step = place.step
                raise _diverged(outcome, has_best=self._state.best is not None)
            self._state.sums.add_batch(
                loss=outcome.loss, top1=outcome.top1, top5=outcome.top5, num_images=outcome.num_images
            )
            self._run.display.step_taken(
                epoch=place.epoch,
                step=place.step + 1,
                num_steps=len(self._run.training_slices),
                num_images=outcome.num_images,
                loss=outcome.loss,
            )


def open_steps(
    predictor: Predictor,
    optimizer: torch.optim.SGD,
    *,
    normalizes_lone_image: bool,
    usual_sizes: Iterable[int],
    augmentation: Augmentation | None = None,
) -> Steps:
    """The steps that fit the predictor's device; see `GpuSteps` for the arguments."""
    if predictor.plan.device.type == "cuda":
        return GpuSteps(
            predictor,
            optimizer,
            normalizes_lone_image=normalizes_lone_image,
            usual_sizes=usual_sizes,
            augmentation=augmentation,
        )
    if augmentation is not None:
        raise ValueError("random steps on whole batches are for GPUs")
    return ImmediateSteps(predictor, optimizer, normalizes_lone_image=normalizes_lone_image)


def _diverged(outcome: StepOutcome, *, has_best: bool) -> NonFiniteLossError:
    kept = " The best weights so far are kept in the checkpoint in the output folder." if has_best else ""
    place = outcome.request
    return NonFiniteLossError(
        f"The training loss became {outcome.loss} at step {place.step + 1} of epoch {place.epoch}, "
        f"with learning rate {place.learning_rate:.3g}; the step was not taken.{kept}",
        where="learning_rate",
        advice="Use a lower learning_rate, a tenth of this one for instance.",
    )
