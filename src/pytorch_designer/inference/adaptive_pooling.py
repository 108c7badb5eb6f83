"""Adaptive average pooling whose gradients repeat to the last bit on a GPU.

torch adds them up there in no fixed order where a pixel counts towards several averages, as at the end of AlexNet and
VGG for images that are not of the usual size. Written as two matrix products, the order is fixed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.functional import avg_pool2d

if TYPE_CHECKING:
    from torch import Tensor


def pool_in_fixed_order(network: nn.Module) -> None:
    """Let each `nn.AdaptiveAvgPool2d` of `network` add up in a fixed order, forward and backward.

    The averages are the same, apart from rounding. Subclasses are left alone.
    """
    for module in network.modules():
        if type(module) is nn.AdaptiveAvgPool2d:
            module.__class__ = _AveragePool


class _AveragePool(nn.AdaptiveAvgPool2d):
    """`nn.AdaptiveAvgPool2d`."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, the name that nn.AdaptiveAvgPool2d gives it
        source = tuple(input.shape[-2:])
        target = _sides(self.output_size, source)
        if target == source:
            return input
        if target == (1, 1):
            return super().forward(input)
        if all(size % wanted == 0 for size, wanted in zip(source, target, strict=True)):
            return avg_pool2d(input, (source[0] // target[0], source[1] // target[1]))
        rows, columns = (_averages(size, wanted, input.device) for size, wanted in zip(source, target, strict=True))
        with torch.autocast(input.device.type, enabled=False):  # a third, say, is no number in bf16
            return (rows @ input.float() @ columns.T).to(input.dtype)


def _sides(output_size: Any, source: tuple[int, ...]) -> tuple[int, ...]:
    """Height and width; torch takes one number for both, and None for a side that stays as it is."""
    sides = output_size if isinstance(output_size, tuple | list) else (output_size, output_size)
    return tuple(size if wanted is None else wanted for wanted, size in zip(sides, source, strict=True))


@lru_cache(maxsize=16)
def _averages(size: int, wanted: int, device: torch.device) -> Tensor:
    """float32 [wanted, size]: row i averages pixels floor(i * size / wanted) to ceil((i + 1) * size / wanted)."""
    weights = torch.zeros(wanted, size)
    for index in range(wanted):
        start, end = index * size // wanted, -(-(index + 1) * size // wanted)
        weights[index, start:end] = 1 / (end - start)
    return weights.to(device)
