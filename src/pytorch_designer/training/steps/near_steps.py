"""Steps of a run that stays near given weights: for centered inputs, and of bounded length.

Batch norm that keeps given statistics does not take away the mean of its input any more, as it does with those of the
batch. A change of the weights before it then moves that mean, in proportion to the mean input of the convolution, and
where this is large most of the gradient points there. Here the running mean follows the weights instead, as far as they
move the output of the mean input, so that the weights learn from what differs between images; the mean has the bias of
the batch norm to learn by. Sources: Centering Neural Network Gradient Factors (Schraudolph 1998), Mean-normalized
Stochastic Gradient for Large-Scale Deep Learning (Wiesler et al. 2014).

Why, with figures: docs/decisions/0052-bounded-steps.md and docs/decisions/0053-centered-inputs.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.utils import get_total_norm

from pytorch_designer.models.batch_norm import normalized_convolutions

if TYPE_CHECKING:
    from collections.abc import Mapping, Set

    from torch import Tensor, nn

LONGEST_STEP = 0.02
"""Norm of the gradients times the learning rate, to which steps are shortened."""

_LEAST_DIVISOR = 1e-30


class NearSteps:
    """Takes the steps of a run that stays near given weights.

    A step, which is the learning rate times the gradients, is no longer than `LONGEST_STEP`, nor than the way to where
    the loss would be zero if it fell as steeply as it begins to: loss / norm of the gradients (a Polyak step,
    arXiv 2002.10542).

    Args:
        optimizer: Takes the steps. Its gradients are scaled, all by the same factor.
        learning_rate: By which all steps are bounded, the highest of the run; None: each by the optimizer's own, which
            may be a tensor on a GPU whose value changes without Python.
        centered: The convolutions that learn for centered inputs; None: none does.
    """

    def __init__(
        self,
        optimizer: torch.optim.SGD,
        learning_rate: float | None = None,
        centered: CenteredConvolutions | None = None,
    ) -> None:
        self._optimizer = optimizer
        self._learning_rate = learning_rate
        self._centered = centered

    def take(self, loss: float | Tensor) -> None:
        """Change the weights by their gradients.

        Args:
            loss: Of this step, in nats, from 0; a number or a tensor on the gradients' device.
        """
        if self._centered is not None:
            self._centered.center_gradients()
        self._shorten(loss)
        self._optimizer.step()
        if self._centered is not None:
            self._centered.follow()

    def _shorten(self, loss: float | Tensor) -> None:
        groups = self._optimizer.param_groups
        parameters = [parameter for group in groups for parameter in group["params"]]
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        norm = get_total_norm(gradients)
        rate = groups[0]["lr"] if self._learning_rate is None else self._learning_rate
        to_zero_loss = torch.as_tensor(loss, dtype=norm.dtype, device=norm.device) / norm.clamp(min=_LEAST_DIVISOR)
        longest = to_zero_loss.clamp(max=LONGEST_STEP)
        factor = (longest / (norm * rate).clamp(min=_LEAST_DIVISOR)).clamp(max=1.0)
        if factor.device.type != "cpu" or factor < 1.0:  # a GPU is not asked, as this would wait for it
            for gradient in gradients:
                gradient.mul_(factor)


@dataclass(frozen=True)
class _Centered:
    """A convolution with its batch norm.

    Attributes:
        convolution: The convolution.
        norm: The batch norm, whose running mean follows.
        mean: The mean patch, [1 or o, c, height, width] for o output channels.
        inverse_deviation_o: What the norm multiplies by, but for its weights; changed in place.
        output_o: Output for the mean patch by the weights before the next step, without the bias; changed in place.
    """

    convolution: nn.Conv2d
    norm: nn.BatchNorm2d
    mean: Tensor
    inverse_deviation_o: Tensor
    output_o: Tensor


class CenteredConvolutions:
    """The convolutions before batch norms that learn as if their mean input were zero.

    With W the weights of one, c its mean patch and m the running mean behind it, training changes W and m so that
    m - W c stays as it is. In terms of such W, the gradient is that by W less, for each output channel, c times the
    gradient by W c.

    Args:
        network: Its batch norms normalize by running statistics.
        means: See `measure_input_means`.
    """

    def __init__(self, network: nn.Module, means: Mapping[str, Tensor]) -> None:
        self._layers: dict[str, _Centered] = {}
        for name, (convolution, norm) in normalized_convolutions(network).items():
            if name in means and norm.running_mean is not None and norm.running_var is not None:
                weight = convolution.weight
                mean = means[name].to(weight.device, memory_format=_layout(weight))  # else it is slow
                empty_o = torch.empty_like(norm.running_var)
                self._layers[name] = _Centered(convolution, norm, mean, empty_o, torch.empty_like(empty_o))
        self.begin()

    @property
    def names(self) -> Set[str]:
        """Names of these convolutions in the network."""
        return self._layers.keys()

    @torch.no_grad()
    def begin(self) -> None:
        """Begin from the weights and statistics as they are now, after something else has changed them."""
        for layer in self._layers.values():
            assert layer.norm.running_var is not None
            layer.inverse_deviation_o.copy_(1.0 / torch.sqrt(layer.norm.running_var + layer.norm.eps))
            layer.output_o.copy_(_output(layer.convolution, layer.mean))

    @torch.no_grad()
    def center_gradients(self) -> None:
        """Make the gradients those for centered inputs, before a step."""
        for layer in self._layers.values():
            weight, bias_o = layer.convolution.weight, layer.norm.bias
            if weight.grad is not None and bias_o.grad is not None:
                by_output_o = bias_o.grad * layer.norm.weight * layer.inverse_deviation_o
                weight.grad.addcmul_(by_output_o[:, None, None, None], layer.mean, value=-1.0)

    @torch.no_grad()
    def follow(self) -> None:
        """Let the running means follow the weights, after a step."""
        for layer in self._layers.values():
            output_o = _output(layer.convolution, layer.mean)
            assert layer.norm.running_mean is not None
            layer.norm.running_mean.add_(output_o - layer.output_o)
            layer.output_o.copy_(output_o)


def _output(convolution: nn.Conv2d, mean: Tensor) -> Tensor:
    """What a convolution gives for its mean patch, without its bias, [o]; in fp32, as TF32 would round changes away."""
    return (convolution.weight.detach() * mean).sum((1, 2, 3))


def _layout(weight: Tensor) -> torch.memory_format:
    is_last = weight.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if is_last else torch.contiguous_format
