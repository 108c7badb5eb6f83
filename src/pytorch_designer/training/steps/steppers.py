"""Choice of the stepper for a device and its processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.distributed.gradients import FlatGradients
from pytorch_designer.distributed.world import ONE_PROCESS
from pytorch_designer.training.repeatability import parameters_in_use
from pytorch_designer.training.steps.gpu_steps import GpuStepper
from pytorch_designer.training.steps.step import ImmediateStepper

if TYPE_CHECKING:
    from collections.abc import Iterable

    import torch

    from pytorch_designer.distributed.world import World
    from pytorch_designer.images.augmentation import Augmentation
    from pytorch_designer.inference.predictor import Predictor
    from pytorch_designer.training.steps.near_steps import NearSteps
    from pytorch_designer.training.steps.step import Stepper


def open_stepper(
    predictor: Predictor,
    optimizer: torch.optim.SGD,
    *,
    usual_sizes: Iterable[int],
    augmentation: Augmentation | None = None,
    near_steps: NearSteps | None = None,
    world: World = ONE_PROCESS,
) -> Stepper:
    """The stepper for the predictor's device; see `GpuStepper` for the arguments."""
    gradients = _shared_gradients(predictor, world) if world.size > 1 else None
    if predictor.compute.device.type == "cuda":
        return GpuStepper(
            predictor,
            optimizer,
            usual_sizes=usual_sizes,
            augmentation=augmentation,
            near_steps=near_steps,
            gradients=gradients,
        )
    if augmentation is not None:
        raise ValueError("random transforms of whole batches are for GPUs")
    return ImmediateStepper(predictor, optimizer, near_steps=near_steps, gradients=gradients)


def _shared_gradients(predictor: Predictor, world: World) -> FlatGradients:
    """The gradients of all parameters that the network uses, in any process."""
    used = {name for names in world.gather(parameters_in_use(predictor)) for name in names}
    learned = {name: one for name, one in predictor.network.named_parameters() if one.requires_grad}
    return FlatGradients(
        [parameter for name, parameter in learned.items() if name in used],
        world,
        left_out=[parameter for name, parameter in learned.items() if name not in used],
    )
