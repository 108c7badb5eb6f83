"""Random steps for a whole batch: first everything is drawn, then it is carried out on the device of the images.

    plan_batch      what each image draws, as tensors for all         on the CPU, a tenth of a millisecond an image
    plan.to         the tensors to the device, in one copy            not waited for
    plan.carry_out  images to images, in so many operations           on the device, which is never waited for

The three may run in different threads. The pixels are those that `transforms.apply_steps` and `crop_and_resize` make of
one image at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch

from pytorch_designer.directories.transform_steps import CenterCrop, Resize
from pytorch_designer.images.bad_files import BadImageError
from pytorch_designer.images.preprocess import crop_and_resize
from pytorch_designer.images.transforms.batch_steps import batch_steps, has_batch_steps
from pytorch_designer.images.transforms.batch_tensors import on_device
from pytorch_designer.images.transforms.draws import Draws
from pytorch_designer.images.transforms.random_parameters import drawn_parameters
from pytorch_designer.images.transforms.steps import apply_steps, size_after

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytorch_designer.directories.preprocessing import Preprocessing
    from pytorch_designer.directories.transform_steps import TransformStep
    from pytorch_designer.images.transforms.batch_tensors import BatchStep

    Size = tuple[int, int]

MAX_ELEMENTS = 2**26
"""Numbers in the tensors that carrying out has at a time; a batch that needs more is carried out in parts."""

_PLANES = 16  # 4 bytes a pixel of an image: what the hungriest steps, resizing and warps, were measured to take


@dataclass(frozen=True)
class BatchPart:
    """Images of a batch that are carried out together: how many, and their steps."""

    num_images: int
    steps: tuple[BatchStep, ...]


@dataclass(frozen=True)
class BatchPlan:
    """All that random steps need for the images of one batch.

    Attributes:
        source_size: Height and width of the images before.
        size: Height and width of the images after.
        parts: In the order of the images.
        device: Where the tensors of the parts are.
    """

    source_size: Size
    size: Size
    parts: tuple[BatchPart, ...]
    device: torch.device

    @property
    def num_images(self) -> int:
        """How many images the plan is for."""
        return sum(part.num_images for part in self.parts)

    def to(self, device: torch.device) -> BatchPlan:
        """The plan on `device`: one copy, from pinned memory to CUDA, for which the calling thread does not wait.

        The copy is in the order of the calling thread's current stream; whoever carries the plan out on another
        stream makes that one wait first.
        """
        if device == self.device:
            return self
        parts, anchor = on_device((self.parts, torch.empty(0)), device)
        return replace(self, parts=parts, device=anchor.device)

    def carry_out(self, images_u8: torch.Tensor) -> torch.Tensor:
        """The images as the plan's epoch sees them, computed on their device.

        Args:
            images_u8: uint8 [n, 3, height, width] of `source_size`, in any memory format; in the order of the rows.

        Returns:
            uint8 [n, 3, crop_height, crop_width] on the same device, in channels-last memory format.

        Raises:
            ValueError: The images are not of the number or the size that the plan is for.
        """
        expected = (self.num_images, 3, *self.source_size)
        if images_u8.shape != expected or images_u8.dtype != torch.uint8:
            raise ValueError(f"uint8 images of shape {expected} expected, not {images_u8.dtype} {images_u8.shape}")
        plan = self.to(images_u8.device)
        done = [images_u8.new_empty((0, 3, *self.size))]
        first = 0
        with torch.autocast(images_u8.device.type, enabled=False):  # it would resize with 8 bits a weight
            for part in plan.parts:
                images = images_u8[first : first + part.num_images]
                for step in part.steps:
                    images = step.carry_out(images)
                done.append(images)
                first += part.num_images
        return torch.cat(done).contiguous(memory_format=torch.channels_last)


def can_plan(steps: Sequence[TransformStep], sizing: Preprocessing, size: Size) -> bool:
    """Whether batches of images of one size can be planned: False where steps draw a size, or do not take the images.

    Args:
        steps: From the first random one on.
        sizing: How what comes out is brought to the network's size.
        size: Height and width of all images.
    """
    if not all(has_batch_steps(step, size_after(steps[:index], *size)) for index, step in enumerate(steps)):
        return False
    try:
        crop_and_resize(apply_steps(torch.zeros(3, *size, dtype=torch.uint8), steps, Draws(0)), sizing)
    except BadImageError:  # as all images would be, each with its message, one by one
        return False
    return True


def plan_batch(steps: Sequence[TransformStep], sizing: Preprocessing, size: Size, draws: Sequence[Draws]) -> BatchPlan:
    """Draw for all images of a batch, image by image, in the order in which one image alone draws.

    Args:
        steps: Steps for which `can_plan` holds.
        sizing: How what comes out is brought to the network's size.
        size: Height and width of all images.
        draws: Random numbers for each image.
    """
    sized = [*steps, *_sizing_steps(sizing)]
    sizes = [size_after(sized[:index], *size) for index in range(len(sized) + 1)]
    drawn = [_drawn(sized, sizes, each) for each in draws]
    per_part = max(1, MAX_ELEMENTS // (_PLANES * max(height * width for height, width in sizes)))
    parts = [_part(sized, sizes, drawn[first : first + per_part]) for first in range(0, len(drawn), per_part)]
    return BatchPlan(size, sizes[-1], tuple(parts), torch.device("cpu"))


def _sizing_steps(sizing: Preprocessing) -> list[TransformStep]:
    """What `crop_and_resize` does, as steps."""
    steps: list[TransformStep] = [CenterCrop(size=(sizing.crop_height, sizing.crop_width))]
    if sizing.resize_size is not None:
        steps.insert(0, Resize(size=(sizing.resize_size,), interpolation=sizing.interpolation))
    return steps


def _drawn(steps: Sequence[TransformStep], sizes: Sequence[Size], draws: Draws) -> list[Any]:
    """What each of the steps draws for one image; None for deterministic ones."""
    sized = zip(steps, sizes, strict=False)
    return [drawn_parameters(step, *size, draws) if step.is_random else None for step, size in sized]


def _part(steps: Sequence[TransformStep], sizes: Sequence[Size], drawn: Sequence[list[Any]]) -> BatchPart:
    planned = [batch_steps(step, [each[index] for each in drawn], sizes[index]) for index, step in enumerate(steps)]
    return BatchPart(len(drawn), tuple(chain.from_iterable(planned)))
