"""What is known of a batch's random steps before they are carried out: tensors, and their way to the device.

Everything is drawn and computed on the CPU, and goes to an accelerator in one copy. Nothing comes back: a device is
never waited for.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_ALIGNMENT = 16

T = TypeVar("T")


class BatchStep(Protocol):
    """One step for all images of a batch: a dataclass of tensors, of dataclasses of tensors and of plain values."""

    def carry_out(self, images_u8: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, height, width] to uint8 [n, 3, new height, new width], on the tensors' device."""
        ...


@dataclass(frozen=True)
class ImageSubset:
    """Some images of a batch.

    Attributes:
        rows: int64 [m], which they are.
        sources: int64 [n], where each image of the batch comes from: its own row, or n + its place among `rows`.
    """

    rows: torch.Tensor
    sources: torch.Tensor

    @classmethod
    def where(cls, is_in: Sequence[bool]) -> ImageSubset:
        """Those of n images whose flag is True."""
        flags = np.asarray(is_in, dtype=np.bool_)
        rows, sources = np.flatnonzero(flags), np.arange(len(flags))
        sources[rows] = len(flags) + np.arange(len(rows))
        return cls(torch.from_numpy(rows), torch.from_numpy(sources))

    def change(self, images: torch.Tensor, function: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """The batch with `function` of the images of the subset in their place; other images are not computed with."""
        if len(self.rows) == len(self.sources):
            return function(images)
        changed = function(images.index_select(0, self.rows))
        return torch.cat((images, changed)).index_select(0, self.sources)


def on_device(value: T, device: torch.device) -> T:
    """`value` with copies of all its tensors on `device`, sent together; the CPU does not wait for them.

    Args:
        value: A tensor, or dataclasses and tuples of tensors and plain values, on the CPU.
        device: Any device.
    """
    tensors = list(_tensors_of(value))
    buffer = packed(tensors, is_pinned=device.type == "cuda")
    sent = iter(unpacked(buffer.to(device, non_blocking=True), tensors))
    moved: T = _mapped(value, lambda _: next(sent))
    return moved


def packed(tensors: Sequence[torch.Tensor], *, is_pinned: bool = False) -> torch.Tensor:
    """The bytes of all `tensors` one after the other, uint8; each begins at a multiple of 16 bytes.

    Args:
        tensors: On the CPU.
        is_pinned: Whether the result is to be in page-locked memory.
    """
    ends = _ends(tensors)
    buffer = torch.empty(ends[-1] if ends else 0, dtype=torch.uint8, pin_memory=is_pinned)
    content = buffer.numpy()  # by numpy, which takes a fraction of the time that torch takes for small tensors
    for tensor, end in zip(tensors, ends, strict=True):
        start = end - _padded(tensor.nbytes)
        content[start : start + tensor.nbytes] = tensor.numpy().reshape(-1).view(np.uint8)
    return buffer


def unpacked(buffer: torch.Tensor, like: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Views of the parts of what `packed` made of `like`, in their shapes and dtypes, wherever the buffer is."""
    by_dtype = {dtype: buffer.view(dtype) for dtype in {tensor.dtype for tensor in like}}
    return [
        by_dtype[tensor.dtype].as_strided(
            tensor.shape, _contiguous_strides(tensor.shape), (end - _padded(tensor.nbytes)) // tensor.itemsize
        )
        for tensor, end in zip(like, _ends(like), strict=True)
    ]


def _contiguous_strides(shape: Sequence[int]) -> list[int]:
    strides = [1]
    for side in reversed(shape[1:]):
        strides.insert(0, strides[0] * side)
    return strides[: len(shape)]


def _ends(tensors: Sequence[torch.Tensor]) -> list[int]:
    return list(accumulate(_padded(tensor.nbytes) for tensor in tensors))


def _padded(num_bytes: int) -> int:
    return -(-num_bytes // _ALIGNMENT) * _ALIGNMENT


def _tensors_of(value: Any) -> Iterator[torch.Tensor]:
    """In the order in which `_mapped` meets them."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _tensors_of(item)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _tensors_of(getattr(value, field.name))


def _mapped(value: Any, function: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        return function(value)
    if isinstance(value, tuple):
        return tuple(_mapped(item, function) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _mapped(getattr(value, field.name), function) for field in fields(value)})
    return value
