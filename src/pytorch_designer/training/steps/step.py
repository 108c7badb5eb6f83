"""Training steps: one step of SGD per batch, and its outcome.

    batch -> logits, loss -> is the loss finite? -> gradients -> weights

A GPU still computes a step when the next one is requested (`gpu_steps.py`): a stepper returns outcomes in the order of
the steps, as soon as they are known.

Several processes take a step together: each computes the loss and the gradients of its part of the batch, weighted by
its share of the images. Their sums are those of the whole batch, and each process takes the same step.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch.nn.functional import cross_entropy

from pytorch_designer.inference.torch_errors import torch_errors
from pytorch_designer.training.history import count_correct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from pytorch_designer.distributed.gradients import FlatGradients
    from pytorch_designer.images.loader import Batch
    from pytorch_designer.inference.predictor import Predictor
    from pytorch_designer.training.steps.near_steps import NearSteps


MEMORY_ADVICE = (
    "Use a smaller `batch_size`; with more processes, each of which takes `batch_size` images, a step can see as many "
    "images as before. Smaller images (Init Image Transformation resizes them), a smaller model, or a machine with "
    "more memory help, too."
)


@dataclass(frozen=True)
class StepRequest:
    """A step to take.

    Attributes:
        epoch: From 1.
        step: Within the epoch, from 0.
        learning_rate: Of this step.
        seed: For the random numbers of the network, such as dropout.
        num_images: Images of the batches of all processes; None: those of the batch of this one.
    """

    epoch: int
    step: int
    learning_rate: float
    seed: int
    num_images: int | None = None

    def share(self, batch: Batch) -> float:
        """Share (0 to 1) of the step's images that a batch holds."""
        return 1.0 if self.num_images is None else len(batch.labels) / self.num_images


@dataclass(frozen=True)
class StepOutcome:
    """Metrics of a step, from its forward pass.

    Attributes:
        request: The step.
        num_images: Images of its batch, or of those of all processes.
        loss: Their mean cross-entropy in nats; where it is not finite, neither this step nor any later one changes a
            weight.
        top1: Images whose highest-scored class is their label.
        top5: Images whose label is among the five highest-scored classes.
    """

    request: StepRequest
    num_images: int
    loss: float
    top1: int
    top5: int

    @property
    def is_finite(self) -> bool:
        """True if the weights were changed."""
        return math.isfinite(self.loss)


class Stepper(Protocol):
    """Takes the steps of a run, in order."""

    def step(self, batch: Batch, request: StepRequest) -> list[StepOutcome]:
        """Train on a batch of at least one image; with several processes, none may be left of this one's part.

        Args:
            batch: uint8 images [n, 3, h, w] with their labels.
            request: Which step it is.

        Returns:
            The outcomes of this step and of earlier ones that are known by now and were not returned before.

        Raises:
            ModuleOutOfMemoryError: The device has too little memory.
        """

    def synchronize(self) -> list[StepOutcome]:
        """Wait until all steps are done, and return the outcomes that were not returned before."""


class ImmediateStepper:
    """Stepper whose steps are done when `step` returns.

    Args:
        predictor: The network, its preprocessing and its device. Weights and batch-norm statistics are changed.
        optimizer: Of the network's parameters.
        near_steps: Takes the steps of a run that stays near given weights; None: the optimizer alone does.
        gradients: Those that several processes sum; None for one process.
    """

    def __init__(
        self,
        predictor: Predictor,
        optimizer: torch.optim.Optimizer,
        *,
        near_steps: NearSteps | None = None,
        gradients: FlatGradients | None = None,
    ) -> None:
        self._predictor = predictor
        self._optimizer = optimizer
        self._near_steps = near_steps
        self._gradients = gradients

    def step(self, batch: Batch, request: StepRequest) -> list[StepOutcome]:
        """See `Stepper`."""
        num_images = len(batch.labels)
        self._predictor.train_mode(num_images)
        for group in self._optimizer.param_groups:
            group["lr"] = request.learning_rate
        torch.manual_seed(request.seed)
        with torch_errors(num_images, advice=MEMORY_ADVICE):
            loss, metrics = self._forward(batch)
            if self._gradients is not None:
                metrics = _summed(self._gradients, loss, metrics, request.share(batch))
            elif loss is not None:
                loss.backward()
            if math.isfinite(metrics[0]):
                if self._near_steps is None:
                    self._optimizer.step()
                else:
                    self._near_steps.take(metrics[0])
                self._optimizer.zero_grad(set_to_none=True)
        value, top1, top5 = metrics
        return [StepOutcome(request, request.num_images or num_images, value, int(top1), int(top5))]

    def synchronize(self) -> list[StepOutcome]:
        """See `Stepper`; there is never anything to wait for."""
        return []

    def _forward(self, batch: Batch) -> tuple[Tensor | None, list[float]]:
        """The loss, where there are images and it is finite, and the metrics: loss, top 1 and top 5."""
        if not len(batch.labels):
            return None, [0.0, 0.0, 0.0]
        labels_n = batch.labels.to(self._predictor.compute.device)
        logits_nk, loss = batch_loss(self._predictor, batch.images, labels_n)
        value = loss.item()
        top1, top5 = count_correct(logits_nk.detach(), labels_n).tolist()
        return loss if math.isfinite(value) else None, [value, top1, top5]


def _summed(gradients: FlatGradients, loss: Tensor | None, metrics: list[float], share: float) -> list[float]:
    """The metrics of all processes, whose gradients are summed; a loss that is not finite makes theirs so."""
    value, top1, top5 = metrics
    gradients.clear()
    gradients.metrics.copy_(torch.tensor([value * share, top1, top5]))
    if loss is not None:
        with gradients.overlapping():
            loss.backward(torch.full_like(loss, share))
    gradients.finish()
    summed: list[float] = gradients.metrics.tolist()
    return summed


def batch_loss(predictor: Predictor, images_nchw: Tensor, labels_n: Tensor) -> tuple[Tensor, Tensor]:
    """Logits [n, k] of uint8 images in the network's current mode, and their mean cross-entropy in nats, fp32.

    The labels, int64, are on the predictor's device already.
    """
    inputs_nchw = predictor.prepare(images_nchw)
    with predictor.compute.autocast():
        logits_nk: Tensor = predictor.network(inputs_nchw)
    return logits_nk, cross_entropy(logits_nk.float(), labels_n)


@contextmanager
def kept_values(tensors: Iterable[Tensor]) -> Iterator[None]:
    """Restore the values of tensors afterwards, those of a network's running statistics for instance."""
    before = [(tensor, tensor.clone()) for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in before:
                tensor.copy_(value)
