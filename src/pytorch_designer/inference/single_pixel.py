"""Convolutions whose output is a single pixel, computed as matrix products.

For images of 32 pixels, a network made for 224 pixels ends with feature maps of one pixel. There, eight of the nine
weights of a 3 x 3 kernel only meet padding. A convolution library multiplies by them anyway, forward and backward, and
is slower than a matrix library at the rest (docs/benchmarks_log.md, "Training speed"). Leaving them out
changes only the order of a sum: their gradient is zero either way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.functional import linear

if TYPE_CHECKING:
    from torch import Tensor


def multiply_single_pixels(network: nn.Module) -> None:
    """Compute each convolution of `network` as a matrix product wherever its output is a single pixel.

    Parameters, their names and `state_dict` stay as they are. Convolutions with groups, dilation or a padding other
    than zeros of a given size, and subclasses of `nn.Conv2d`, are left alone.
    """
    for module in network.modules():
        if (
            type(module) is nn.Conv2d
            and module.padding_mode == "zeros"
            and not isinstance(module.padding, str)
            and module.groups == 1
            and module.dilation == (1, 1)
        ):
            module.__class__ = _Convolution


class _Convolution(nn.Conv2d):
    """`nn.Conv2d` without groups and dilation."""

    padding: tuple[int, int]

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, the name that nn.Conv2d gives it
        height, width = input.shape[-2:]
        rows, columns = self._covered(0, height), self._covered(1, width)
        if input.ndim != 4 or rows is None or columns is None:
            return super().forward(input)
        weight = _part(self.weight, _moved(rows, self.padding[0]), _moved(columns, self.padding[1]))
        return linear(input[:, :, rows, columns].flatten(1), weight.flatten(1), self.bias)[:, :, None, None]

    def _covered(self, side: int, size: int) -> slice | None:
        """The pixels of `size` that the kernel covers; None where the output has more than one pixel."""
        kernel, padding = self.kernel_size[side], self.padding[side]
        return overlap(size, kernel, padding) if 0 <= size + 2 * padding - kernel < self.stride[side] else None


def overlap(size: int, kernel: int, padding: int) -> slice | None:
    """The pixels of a side of `size` covered by a kernel that starts `padding` before it; None if there are none."""
    end = min(size, kernel - padding)
    return slice(0, end) if end > 0 else None


def _moved(pixels: slice, padding: int) -> slice:
    return slice(pixels.start + padding, pixels.stop + padding)


def _part(weight: Tensor, rows: slice, columns: slice) -> Tensor:
    """`weight[:, :, rows, columns]`, whose gradient costs one pass over the memory instead of one per slice."""
    if rows.stop - rows.start == weight.shape[2] and columns.stop - columns.start == weight.shape[3]:
        return weight
    part: Tensor = _Part.apply(weight, rows, columns)
    return part


class _Part(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, rows: slice, columns: slice) -> Tensor:
        ctx.place = (weight.shape, weight.stride(), rows, columns)
        return weight[:, :, rows, columns].contiguous()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        shape, stride, rows, columns = ctx.place
        whole = torch.empty_strided(shape, stride, dtype=gradient.dtype, device=gradient.device).zero_()
        whole[:, :, rows, columns] = gradient
        return whole, None, None
