"""How large initial weights are that batch norm follows.

What such weights compute does not depend on their size, as batch norm divides by it. How fast they turn does: their
gradient falls as they grow, so that one step changes them by learning_rate * |gradient| / |weight|, which falls with
the square of their size. The usual initial weights keep a signal's size, which batch norm makes needless, and differ in
their own: in ResNet-18 the last convolutions turn a hundred times more slowly than the first, and after a few hundred
steps most layers are nearly what they were (docs/decisions/0020-initial-scale.md).

Here each starts with a size at which one step changes it by the same share. Sources: L2 Regularization versus Batch and
Weight Normalization (arXiv 1706.05350), Theoretical Analysis of Auto Rate-Tuning by Batch Normalization (1812.03981).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from pytorch_designer.inference.memory import memory_errors
from pytorch_designer.training.step import batch_loss

if TYPE_CHECKING:
    from pytorch_designer.images.loader import Batch
    from pytorch_designer.inference.predictor import Predictor

CHANGE_A_STEP = 0.004
"""By how much of its size a plain gradient step changes a weight at first; with momentum it is ten times as much."""

LEAST_RATE = 0.001
"""Below the default learning rate the sizes are those for the default one, so that a lower rate is a slower one."""

_MOST_TIMES = 32.0  # neither so small that the epsilon of batch norm counts, nor beyond what fp32 holds


def scale_initial_weights(predictor: Predictor, batch: Batch, *, learning_rate: float) -> None:
    """Scale each convolution that batch norm follows to where a step changes it by `CHANGE_A_STEP`.

    Args:
        predictor: Its network has drawn, untrained weights. Nothing but these convolutions' weights, and the running
            statistics behind them, is changed.
        batch: The first images, uint8 [n, 3, h, w], with their labels. Batch norm must be able to take its statistics
            from them.
        learning_rate: Learning rate of the first step.

    Raises:
        ModuleOutOfMemoryError: The device has too little memory.
    """
    if not normalized_convolutions(predictor.network):
        return
    buffers = [(buffer, buffer.clone()) for buffer in predictor.network.buffers()]
    predictor.network.train()
    with memory_errors(len(batch.labels)):
        _, loss = batch_loss(predictor, batch.images, batch.labels.to(predictor.plan.device))
        loss.backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for buffer, before in buffers:
            buffer.copy_(before)
    scale_by_gradients(predictor.network, learning_rate)


@torch.no_grad()
def scale_by_gradients(network: nn.Module, learning_rate: float) -> None:
    """As `scale_initial_weights`, with the gradients that are there, which are removed.

    The running statistics that validation normalises by are scaled with the weights: what the network computes stays
    the same in either mode.
    """
    for convolution, norm in normalized_convolutions(network):
        factor = _factor(convolution, max(learning_rate, LEAST_RATE))
        convolution.weight.mul_(factor)
        if norm.running_mean is not None and norm.running_var is not None:
            norm.running_mean.mul_(factor)
            norm.running_var.mul_(factor**2)
    network.zero_grad(set_to_none=True)


def normalized_convolutions(network: nn.Module) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """The convolutions that a batch norm of as many channels directly follows, with it, in the order of definition."""
    found = []
    previous: nn.Module | None = None
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            if isinstance(previous, nn.Conv2d) and previous.out_channels == module.num_features:
                found.append((previous, module))
            previous = module
        elif next(module.children(), None) is None:
            previous = module
    return found


def _factor(convolution: nn.Conv2d, learning_rate: float) -> float:
    if convolution.weight.grad is None:
        return 1.0
    size = convolution.weight.double().norm().item()
    change = learning_rate * convolution.weight.grad.double().norm().item()
    squared = change / (CHANGE_A_STEP * size) if size else math.nan
    if not 0 < squared < math.inf:  # no gradient, or none that is a number: the first step will tell
        return 1.0
    return min(max(math.sqrt(squared), 1 / _MOST_TIMES), _MOST_TIMES)
