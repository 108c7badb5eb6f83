"""Scale of initial weights in networks with batch norm (docs/decisions/0020-initial-scale.md).

Batch norm divides by the size of the weights before it, so the output does not depend on their size. The speed at which
they turn does: one step changes them by learning_rate * |gradient| / |weight|, which falls with the square of their
size. Common initializations preserve the variance of the signal, which batch norm makes needless, and give each layer
its own speed. In ResNet-18 the last convolutions turn a hundred times more slowly than the first ones, so that most
layers are nearly unchanged after a few hundred steps.

Here each convolution gets the size at which one step changes it by the same share. Before that, the weights of the
batch norms are reduced, most of all at the ends of residual branches: a network whose branches add little is nearly
linear at first, and learns faster. Sources: Accurate, Large Minibatch SGD (arXiv 1706.02677, section 5.1), Batch
Normalization Biases Residual Blocks Towards the Identity Function (2002.10444), L2 Regularization versus Batch and
Weight Normalization (1706.05350), Theoretical Analysis of Auto Rate-Tuning by Batch Normalization (1812.03981).

Given weights get sizes of their own kind: those at which a step changes them neither by less nor by more than fixed
shares, with all batch norms as they are, so that the network computes what it did
(docs/decisions/0047-leaving-given-weights.md). In a run that stays near them the gradients for this are those of its
steps, for centered inputs (docs/decisions/0054-scale-near-given-weights.md).
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from pytorch_designer.inference.torch_errors import torch_errors
from pytorch_designer.models.batch_norm import normalized_convolutions, noted_uses
from pytorch_designer.seeds import derive_seed
from pytorch_designer.training.steps.step import MEMORY_ADVICE, batch_loss, kept_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor
    from torch.autograd.graph import Node

    from pytorch_designer.images.loader import Batch
    from pytorch_designer.inference.predictor import Predictor
    from pytorch_designer.models.batch_norm import NormalizedUse
    from pytorch_designer.training.state import TrainingRun
    from pytorch_designer.training.steps.near_steps import CenteredConvolutions

    ForwardLoss = Callable[[slice], tuple[Tensor, Tensor]]

CHANGE_PER_STEP = 0.004
"""Share of its size by which a plain gradient step changes a weight at first; with momentum it is ten times as much."""

LEAST_CHANGE_OF_GIVEN = 0.001
"""The least such share of weights that were given. It lies between this and `CHANGE_PER_STEP`; their sizes are changed
only as far as that takes."""

LEAST_RATE = 0.001
"""Default learning rate. Below it the sizes are those for the default, so that a lower rate learns more slowly."""

NORM_SHARE = 0.5
"""Factor for the initial weights of batch norms, which are usually 1."""

BRANCH_SHARE = 0.25
"""Further factor for them at the ends of residual branches."""

_NUM_TRACED = 2  # images: enough for batch norm to take its statistics from
_MOST_TIMES = 32.0  # either way, so that no weight exceeds the range of fp32
_LEAST_EPSILONS = 10.0  # in the variance that batch norm divides by: with less, epsilon would suppress the signal
_LEAST_EPSILONS_OF_GIVEN = 100.0  # fewer would change what the network computes

_ADDITION = "AddBackward"
_BATCH_NORM = "BatchNorm"
_SKIPPED = ("MulBackward", "DivBackward", "NativeDropoutBackward", "ToCopyBackward")


def scale_by_first_batch(
    run: TrainingRun, batch: Batch, *, learning_rate: float, centered: CenteredConvolutions | None = None
) -> None:
    """Scale the weights of a run before its first step, as `scale_initial_weights` does.

    Where the first batch is too small for batch norm to take its statistics from, nothing is done.

    Args:
        run: Its network is changed.
        batch: The first one, as the loader gives it.
        learning_rate: Learning rate of the first step.
        centered: The convolutions of a run near given weights that learn for centered inputs.

    Raises:
        ModuleOutOfMemoryError: The device has too little memory.
    """
    num_images = len(batch.labels)
    if not num_images or not (run.plan.stays_near or run.predictor.can_normalize(num_images)):
        return
    if run.batch_augmentation is not None:
        images = run.predictor.send(batch.images)
        batch = replace(batch, images=run.batch_augmentation.draw_batch(images, epoch=1, rows=batch.indices))
    torch.manual_seed(derive_seed(run.hyperparameters.random_seed, "initial_scale"))
    scale_initial_weights(
        run.predictor,
        batch,
        learning_rate=learning_rate,
        are_given=run.plan.are_given,
        centered=centered,
    )


def scale_initial_weights(
    predictor: Predictor,
    batch: Batch,
    *,
    learning_rate: float,
    are_given: bool = False,
    centered: CenteredConvolutions | None = None,
) -> None:
    """Reduce the weights of batch norms, unless they are given, and scale the convolutions before them.

    Args:
        predictor: Only these weights of its network, and the running statistics behind the convolutions, are changed.
        batch: The first images, uint8 [n, 3, h, w], with their labels. Batch norm must be able to take its statistics
            from them.
        learning_rate: Learning rate of the first step.
        are_given: Whether the weights are learned ones, but for the classifier's; else all are random.
        centered: The convolutions that learn for centered inputs, which alone are scaled then; None: see
            `scale_convolutions`.

    Raises:
        ModuleOutOfMemoryError: The device has too little memory.
    """
    network = predictor.network
    if not normalized_convolutions(network):
        return
    labels_n = batch.labels.to(predictor.compute.device)

    def forward_loss(rows: slice) -> tuple[Tensor, Tensor]:
        return batch_loss(predictor, batch.images[rows], labels_n[rows])

    predictor.train_mode(len(labels_n))
    with torch_errors(len(labels_n), advice=MEMORY_ADVICE):
        if not are_given:
            reduce_norms(network, forward_loss)
        scale_convolutions(network, forward_loss, len(labels_n), learning_rate, are_given=are_given, centered=centered)


def reduce_norms(network: nn.Module, forward_loss: ForwardLoss) -> None:
    """Multiply the weights of all batch norms by `NORM_SHARE`, at the ends of residual branches by `BRANCH_SHARE` too.

    Args:
        network: With its initial weights, in training mode.
        forward_loss: The network's output and its loss for some of the first images, by a slice of these.
    """
    with torch.no_grad():
        for norm in _weighted_norms(network):
            norm.weight.mul_(NORM_SHARE)
    with kept_values(network.buffers()):
        output, _ = forward_loss(slice(_NUM_TRACED))
    with torch.no_grad():
        for weight in last_norm_weights(output):
            weight.mul_(BRANCH_SHARE)


def scale_convolutions(
    network: nn.Module,
    forward_loss: ForwardLoss,
    num_images: int,
    learning_rate: float,
    *,
    are_given: bool = False,
    centered: CenteredConvolutions | None = None,
) -> None:
    """Scale each convolution before a batch norm to the size at which a step changes it by `CHANGE_PER_STEP`.

    Given weights are scaled to the nearest size at which the change is that at most, and `LEAST_CHANGE_OF_GIVEN` at
    least.

    The running statistics that validation normalizes by are scaled with the weights: the network computes the same as
    before in either mode.

    Args:
        network: With its initial weights, in training mode, without gradients.
        forward_loss: As for `reduce_norms`.
        num_images: Number of first images.
        learning_rate: Learning rate of the first step.
        are_given: Whether the weights are learned ones.
        centered: The convolutions that learn for centered inputs, which alone are scaled then, by such gradients; None:
            all are.
    """
    least_change = LEAST_CHANGE_OF_GIVEN if are_given else CHANGE_PER_STEP
    least_epsilons = _LEAST_EPSILONS_OF_GIVEN if are_given else _LEAST_EPSILONS
    with kept_values(network.buffers()), _active_zero_norms(network), _variances(network) as variances:
        _, loss = forward_loss(slice(num_images))
        loss.backward()
        if centered is not None:
            centered.center_gradients()
    with torch.no_grad():
        for name, (convolution, norm) in normalized_convolutions(network).items():
            if norm not in variances or (centered is not None and name not in centered.names):
                continue
            factor = _factor(convolution, max(learning_rate, LEAST_RATE), least_change)
            if convolution.weight.grad is not None and variances[norm] > 0:
                least = math.sqrt(least_epsilons * norm.eps / variances[norm])
                factor = max(factor, min(least, 1.0) if are_given else least)
            factor = min(max(factor, 1 / _MOST_TIMES), _MOST_TIMES)
            convolution.weight.mul_(factor)
            if convolution.bias is not None:
                convolution.bias.mul_(factor)
            if norm.running_mean is not None and norm.running_var is not None:
                norm.running_mean.mul_(factor)
                norm.running_var.mul_(factor**2)
    network.zero_grad(set_to_none=True)


def last_norm_weights(output: Tensor) -> list[Tensor]:
    """The weights of the batch norms at the ends of residual branches, each once, whatever the network's classes.

        x ---------------------------------------------- + ---      an addition of two paths, the longer of which
        |                                                |          ends with a batch norm: that one is found
        +-- conv -- norm -- relu -- conv -- batch norm --+

    Multiplications on the way, as those of stochastic depth, are skipped.

    Args:
        output: Of a forward pass in training mode, with its graph.
    """
    depths = _depths(output)
    found: dict[Tensor, None] = {}
    for node in depths:
        inputs = _inputs(node) if _ADDITION in node.name() else []
        if len(inputs) == 2:
            weight = _norm_weight(max(inputs, key=depths.__getitem__))
            if weight is not None:
                found[weight] = None
    return list(found)


def _depths(output: Tensor) -> dict[Node, int]:
    """All operations behind a tensor, each with the number of operations on the longest way to it."""
    depths: dict[Node, int] = {}
    waiting = [] if output.grad_fn is None else [output.grad_fn]
    while waiting:
        node = waiting[-1]
        missing = [before for before in _inputs(node) if before not in depths]
        if missing:
            waiting += missing
        else:
            waiting.pop()
            depths[node] = 1 + max((depths[before] for before in _inputs(node)), default=0)
    return depths


def _norm_weight(node: Node) -> Tensor | None:
    """The weight of the batch norm at `node`; None for other operations, and norms without weights."""
    while any(name in node.name() for name in _SKIPPED):
        node = _inputs(node)[0]
    if _BATCH_NORM not in node.name():
        return None
    weights = [before.variable for before in _inputs(node) if hasattr(before, "variable")]
    return weights[0] if weights else None


def _inputs(node: Node) -> list[Node]:
    return [before for before, _ in node.next_functions if before is not None]


@contextmanager
def _active_zero_norms(network: nn.Module) -> Iterator[None]:
    """Let norms that start from zero, as a user may ask for, pass gradients on: weights are scaled by these."""
    weights = [norm.weight for norm in _weighted_norms(network) if not norm.weight.any()]
    with torch.no_grad():
        for weight in weights:
            weight.fill_(NORM_SHARE * BRANCH_SHARE)
    try:
        yield
    finally:
        with torch.no_grad():
            for weight in weights:
                weight.zero_()


@contextmanager
def _variances(network: nn.Module) -> Iterator[dict[nn.BatchNorm2d, float]]:
    """For the pass within it: the median over channels of the variance of each batch norm's input.

    Those are left out that do not take the very output of the convolution defined before them, as after the addition of
    a branch: another size of the weights would change what the network computes.
    """
    found: dict[nn.BatchNorm2d, float] = {}

    def note(use: NormalizedUse) -> None:
        found[use.norm] = use.output.detach().float().var(dim=(0, 2, 3), unbiased=False).median().item()

    with noted_uses(network, note):
        yield found


def _weighted_norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d) and module.affine]


def _factor(convolution: nn.Conv2d, learning_rate: float, least_change: float) -> float:
    """By which a step's change of the weights comes to lie between `least_change` and `CHANGE_PER_STEP`."""
    if convolution.weight.grad is None:
        return 1.0
    size = convolution.weight.double().norm().item()
    step = learning_rate * convolution.weight.grad.double().norm().item()
    change = step / size if size else math.nan
    if not 0 < change < math.inf:  # no gradient, or one that is not finite, which the first step reports
        return 1.0
    return math.sqrt(change / min(max(change, least_change), CHANGE_PER_STEP))
