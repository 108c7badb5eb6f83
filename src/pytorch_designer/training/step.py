"""One step of SGD, and what it found.

    batch -> logits, loss -> is the loss finite? -> gradients -> weights

A step on a GPU is still being computed when the next one is asked for (`gpu_steps.py`): what steps find is handed out
in their order, when it is known.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from pytorch_designer.inference.torch_errors import torch_errors
from pytorch_designer.training.metrics import count_correct
from pytorch_designer.training.optimizer import set_learning_rate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from pytorch_designer.images.loader import Batch
    from pytorch_designer.inference.predictor import Predictor


@dataclass(frozen=True)
class StepRequest:
    """Which step is taken, and how.

    Attributes:
        epoch: From 1.
        step: Of the epoch, from 0.
        learning_rate: Of this step.
        seed: Of what the network draws, such as dropout.
    """

    epoch: int
    step: int
    learning_rate: float
    seed: int


@dataclass(frozen=True)
class StepOutcome:
    """What a step found before it changed the weights.

    Attributes:
        request: Which step.
        num_images: Images of its batch.
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
        """Whether the weights were changed."""
        return math.isfinite(self.loss)


class Steps(Protocol):
    """Takes the steps of a run, in order."""

    def take(self, batch: Batch, request: StepRequest) -> list[StepOutcome]:
        """Train on a batch of at least one image.

        Args:
            batch: uint8 images [n, 3, h, w] with their labels.
            request: Which step it is.

        Returns:
            What is known by now and was not handed out before, of this step and of earlier ones.

        Raises:
            ModuleOutOfMemoryError: The device has too little memory.
        """

    def settle(self) -> list[StepOutcome]:
        """Wait until all steps are done; what was not handed out before."""


class ImmediateSteps:
    """Steps that are done when `take` returns.

    Args:
        predictor: The network, its preprocessing and its device. Weights and batch-norm statistics are changed.
        optimizer: Of the network's parameters.
        normalizes_lone_image: Whether batch norm can take its statistics from a batch of one image. Where it cannot
            (one value a channel), such a batch is normalised with the running statistics.
    """

    def __init__(
        self, predictor: Predictor, optimizer: torch.optim.Optimizer, *, normalizes_lone_image: bool = True
    ) -> None:
        self._predictor = predictor
        self._optimizer = optimizer
        self._normalizes_lone_image = normalizes_lone_image

    def take(self, batch: Batch, request: StepRequest) -> list[StepOutcome]:
        """See `Steps`."""
        labels_n = batch.labels.to(self._predictor.plan.device)
        num_images = len(labels_n)
        train_mode(self._predictor.network, normalizes_batch=num_images > 1 or self._normalizes_lone_image)
        set_learning_rate(self._optimizer, request.learning_rate)
        torch.manual_seed(request.seed)
        with torch_errors(num_images):
            logits_nk, loss = batch_loss(self._predictor, batch.images, labels_n)
            value = loss.item()
            if math.isfinite(value):
                loss.backward()  # type: ignore[no-untyped-call]
                self._optimizer.step()
                self._optimizer.zero_grad(set_to_none=True)
        top1, top5 = count_correct(logits_nk.detach(), labels_n).tolist()
        return [StepOutcome(request, num_images, value, top1, top5)]

    def settle(self) -> list[StepOutcome]:
        """See `Steps`; nothing is ever left."""
        return []


def batch_loss(predictor: Predictor, images_nchw: Tensor, labels_n: Tensor) -> tuple[Tensor, Tensor]:
    """The logits [n, k] of uint8 images in the network's present mode, and their mean cross-entropy in nats, fp32.

    The labels, int64, are on the predictor's device already.
    """
    inputs_nchw = predictor.prepare(images_nchw)
    with predictor.plan.autocast():
        logits_nk: Tensor = predictor.network(inputs_nchw)
    return logits_nk, cross_entropy(logits_nk.float(), labels_n)


def train_mode(network: nn.Module, *, normalizes_batch: bool) -> None:
    """Put the network in training mode, its batch norms only where they are to take their statistics from the batch."""
    network.train()
    if not normalizes_batch:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
                module.eval()


@contextmanager
def kept_values(tensors: Iterable[Tensor]) -> Iterator[None]:
    """Put the values of tensors back afterwards, those of a network's running statistics for instance."""
    before = [(tensor, tensor.clone()) for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, value in before:
                tensor.copy_(value)
