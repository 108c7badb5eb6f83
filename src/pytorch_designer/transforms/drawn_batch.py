"""Random transforms of a whole batch: first everything is drawn, then it is applied on the device of the images.

    draw_batch         what each image draws, as tensors for all     on the CPU, a tenth of a millisecond per image
    DrawnBatch.to      the tensors to the device, in one copy        the CPU does not wait for it
    DrawnBatch.apply   images to images, in so many operations       on the device, without synchronization

The three may run in different threads. The pixels are those that the transforms make of one image at a time. One launch
of each operation serves all images; what differs between them is in tensors.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

from pytorch_designer.transforms.transform import OneByOne, size_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from pytorch_designer.transforms.rng import Rng
    from pytorch_designer.transforms.transform import BatchOperation, ImageSize, Transform

MAX_ELEMENTS = 2**26
"""Numbers in the tensors that exist at a time; a batch that needs more is computed in parts."""

_PLANES = 16  # 4 bytes per pixel of an image: what the hungriest transforms, resizing and warps, were measured to take
_ALIGNMENT = 16

T = TypeVar("T")


@dataclass(frozen=True)
class BatchPart:
    """Images of a batch that are computed together: how many, and their operations."""

    num_images: int
    operations: tuple[BatchOperation, ...]


@dataclass(frozen=True)
class DrawnBatch:
    """All that random transforms need for the images of one batch.

    Attributes:
        source_size: Height and width of the images before.
        size: Height and width of the images after.
        parts: In the order of the images.
        device: Where the tensors of the parts are.
    """

    source_size: ImageSize
    size: ImageSize
    parts: tuple[BatchPart, ...]
    device: torch.device

    @property
    def num_images(self) -> int:
        """Number of images that were drawn for."""
        return sum(part.num_images for part in self.parts)

    def to(self, device: torch.device) -> DrawnBatch:
        """The same on `device`: one copy, from pinned memory to CUDA, for which the calling thread does not wait.

        The copy is in the order of the calling thread's current stream; whoever applies it on another stream makes
        that one wait first.
        """
        if device == self.device:
            return self
        parts, anchor = on_device((self.parts, torch.empty(0)), device)
        return replace(self, parts=parts, device=anchor.device)

    def apply(self, images_u8: torch.Tensor) -> torch.Tensor:
        """The transformed images, computed on their device.

        Args:
            images_u8: uint8 [n, 3, height, width] of `source_size`, in any memory format; in the order of the rows.

        Returns:
            uint8 [n, 3, *size] on the same device, in channels-last memory format.

        Raises:
            ValueError: The number or the size of the images is not what was drawn for.
        """
        expected = (self.num_images, 3, *self.source_size)
        if images_u8.shape != expected or images_u8.dtype != torch.uint8:
            raise ValueError(f"uint8 images of shape {expected} expected, not {images_u8.dtype} {images_u8.shape}")
        drawn = self.to(images_u8.device)
        done = [images_u8.new_empty((0, 3, *self.size))]
        first = 0
        with torch.autocast(images_u8.device.type, enabled=False):  # it would resize with weights of 8 bits
            for part in drawn.parts:
                images = images_u8[first : first + part.num_images]
                for operation in part.operations:
                    images = operation.apply(images)
                done.append(images)
                first += part.num_images
        return torch.cat(done).contiguous(memory_format=torch.channels_last)


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


def draw_batch(transforms: Sequence[Transform], size: ImageSize, rngs: Sequence[Rng]) -> DrawnBatch:
    """Draw for all images of a batch, image by image, in the order in which one image alone draws.

    Args:
        transforms: None of them `one_by_one`.
        size: Height and width of all images.
        rngs: Random numbers for each image.

    Raises:
        ValueError: A transform is not applied to batches.
    """
    sizes = [size_after(transforms[:index], *size) for index in range(len(transforms) + 1)]
    drawn = [[each.draw(*at, rng) for each, at in zip(transforms, sizes, strict=False)] for rng in rngs]
    per_part = max(1, MAX_ELEMENTS // (_PLANES * max(height * width for height, width in sizes)))
    parts = [_part(transforms, sizes, drawn[first : first + per_part]) for first in range(0, len(drawn), per_part)]
    return DrawnBatch(size, sizes[-1], tuple(parts), torch.device("cpu"))


def one_by_one(transforms: Sequence[Transform], size: ImageSize) -> str | None:
    """Reason why images of `size` cannot go through `transforms` as a batch; None where they can."""
    for index, transform in enumerate(transforms):
        stated = transform.batch(size_after(transforms[:index], *size))
        if isinstance(stated, OneByOne):
            return f"{transform}: {stated.reason}"
    return None


def per_image(values: Sequence[float] | NDArray[np.float64]) -> torch.Tensor:
    """One value per image, float32 or bool [n, 1, 1, 1]."""
    array = np.asarray(values)
    array = array if array.dtype == np.bool_ else array.astype(np.float32)
    return torch.from_numpy(array).view(-1, 1, 1, 1)


def color_tensor(fill: float | tuple[float, ...]) -> torch.Tensor:
    """float32 [1, 3 or 1, 1, 1]."""
    return torch.tensor(fill, dtype=torch.float32).view(1, -1, 1, 1)


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


def _part(transforms: Sequence[Transform], sizes: Sequence[ImageSize], drawn: Sequence[Sequence[Any]]) -> BatchPart:
    operations = []
    for index, transform in enumerate(transforms):
        function = transform.batch(sizes[index])
        if isinstance(function, OneByOne):
            raise ValueError(f"{transform} is not applied to batches: {function.reason}")
        operations.append(function([each[index] for each in drawn]))
    return BatchPart(len(drawn), tuple(chain.from_iterable(operations)))
