"""Training state: what a run works with, and everything that changes while it trains."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import torch

from pytorch_designer.distributed.world import ONE_PROCESS
from pytorch_designer.images.order import batch_slices, share_of
from pytorch_designer.training.history import MetricSums
from pytorch_designer.training.recipe import learning_rate_at, stop_reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from pytorch_designer.distributed.world import World
    from pytorch_designer.images.augmentation import Augmentation
    from pytorch_designer.images.loader import ImageLoader
    from pytorch_designer.inference.predictor import Predictor
    from pytorch_designer.models.heads import Head
    from pytorch_designer.reporting.outcomes import Outcomes
    from pytorch_designer.system.stop_requests import StopRequest
    from pytorch_designer.tracking.destination import RunReference
    from pytorch_designer.training.history import EpochRecord
    from pytorch_designer.training.recipe import Hyperparameters
    from pytorch_designer.training.weight_plan import WeightPlan


@dataclass(frozen=True)
class BestEpoch:
    """The best epoch so far.

    Attributes:
        epoch: Its number; 0: before training.
        weights: An exact copy of the network's state at its end, on the CPU; empty in other processes than the first.
        confusion: Validation images at its end, int64 [true class, predicted class].
        outcomes: What each validation image was taken for at its end; None where a checkpoint of an earlier release
            lacks it.
    """

    epoch: int
    weights: dict[str, Tensor]
    confusion: Tensor
    outcomes: Outcomes | None = None


@dataclass
class TrainingState:
    """The position of a run.

    Attributes:
        network: The network that learns.
        optimizer: Its optimizer, which holds the momentum.
        history: The epochs that are complete, epoch 0 first where there is one.
        step: Steps done in the current epoch.
        sums: Training metrics of the current epoch.
        seconds: Training time spent in the current epoch before this process, for the report only.
        best: The best epoch so far, None before the first finite validation loss.
        tracked_run: The run that a tracker records to; None where nothing has been tracked.
        input_means: Mean inputs by which a run that stays near given weights centers its gradients; see
            `measure_input_means`.
        buffers_of_others: Buffers of the other processes' networks, by rank from 1 and by name, when the last
            checkpoint was written. Those that it leaves out are as in the first process.
    """

    network: nn.Module
    optimizer: torch.optim.SGD
    history: list[EpochRecord] = field(default_factory=list)
    step: int = 0
    sums: MetricSums = field(default_factory=MetricSums)
    seconds: float = 0.0
    best: BestEpoch | None = None
    tracked_run: RunReference | None = None
    input_means: dict[str, Tensor] = field(default_factory=dict)
    buffers_of_others: list[dict[str, Tensor]] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        """Number of the current epoch, from 1."""
        return self.history[-1].epoch + 1 if self.history else 1

    @property
    def is_new(self) -> bool:
        """True if no step was taken yet."""
        return not self.history and self.step == 0

    def end_epoch(self, record: EpochRecord) -> None:
        """Close the current epoch with its record."""
        self.history.append(record)
        self.step = 0
        self.sums = MetricSums()
        self.seconds = 0.0


class TrainingDisplay(Protocol):
    """Shows the progress of a run."""

    def step_taken(self, *, epoch: int, step: int, num_steps: int, num_images: int, loss: float) -> None:
        """Step number `step`, from 1, of an epoch's `num_steps` trained on `num_images` images with this mean loss."""

    def validated(self, *, epoch: int, num_images: int) -> None:
        """`num_images` of the validation images have been scored in this epoch; 0: before training."""

    def features_computed(self, *, num_images: int, num_all: int) -> None:
        """Before the first step: the features of `num_images` of `num_all` images are known."""

    def epoch_ended(self, record: EpochRecord) -> None:
        """An epoch is complete."""


@dataclass(frozen=True)
class TrainingRun:
    """The parts of a run; nothing here changes while it trains.

    Attributes:
        hyperparameters: The five parameters.
        predictor: The network with its preprocessing and device.
        training: Loader of the training images.
        validation: Loader of the validation images, labeled in the order of the training classes.
        num_classes: Number of classes.
        plan: What is done with the weights that the network has before the run.
        display: Shows progress.
        on_epoch_end: Called with the record of each epoch, for tracking.
        stop_request: Set when the process was told to stop.
        batch_augmentation: Random transforms that the loader leaves to the GPU; None where there are none, or the
            loader applies them.
        new_head: The classifier that was drawn for given weights, whose start is computed; None where there is none.
        world: The processes that train together.
    """

    hyperparameters: Hyperparameters
    predictor: Predictor
    training: ImageLoader
    validation: ImageLoader
    num_classes: int
    plan: WeightPlan
    display: TrainingDisplay
    on_epoch_end: Callable[[EpochRecord], None]
    stop_request: StopRequest
    batch_augmentation: Augmentation | None = None
    new_head: Head | None = None
    world: World = ONE_PROCESS

    @cached_property
    def batch_slices(self) -> list[slice]:
        """The batches of an epoch, of all processes, as slices of the epoch's order."""
        return training_slices(len(self.training), self.hyperparameters.batch_size, self.world.size)

    @cached_property
    def training_slices(self) -> list[slice]:
        """The parts of the batches that this process takes, as slices of the epoch's order."""
        return [share_of(batch, rank=self.world.rank, size=self.world.size) for batch in self.batch_slices]

    def learning_rate(self, epoch: int, step: int) -> float:
        """The learning rate of a step (from 0) of an epoch (from 1)."""
        num_steps = len(self.training_slices)
        return learning_rate_at(
            (epoch - 1) * num_steps + step,
            num_steps=self.hyperparameters.num_epochs * num_steps,
            initial=self.hyperparameters.learning_rate,
            num_processes=self.world.size,
            num_warm_up=num_steps,
        )

    def stop_reason(self, state: TrainingState) -> str | None:
        """One sentence when the run is complete, else None."""
        parameters = self.hyperparameters
        return stop_reason(state.history, num_epochs=parameters.num_epochs, patience=parameters.patience)

    def position(self, state: TrainingState) -> int:
        """The number of a checkpoint of `state`: it grows with every step and with the end of every epoch."""
        return len(state.history) * (len(self.training_slices) + 1) + state.step


def training_slices(num_images: int, batch_size: int, num_processes: int = 1) -> list[slice]:
    """The batches of an epoch of training, as slices of its order.

    Args:
        num_images: Images of the epoch.
        batch_size: Images per batch and process. A last batch of fewer than two for each joins the one before.
        num_processes: Processes that share each batch.
    """
    return batch_slices(num_images, batch_size * num_processes, least_last=2 * num_processes)


def copy_weights(network: nn.Module) -> dict[str, Tensor]:
    """An exact copy of the network's parameters and buffers, on the CPU, in the standard layout."""
    return {
        name: torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor.detach())
        for name, tensor in network.state_dict().items()
    }
