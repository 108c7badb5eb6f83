"""Augmentation: random transforms of training images, drawn afresh in each epoch."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.images.bad_files import BadImageError
from pytorch_designer.images.decoding.memory_budget import (
    BYTES_PER_PIXEL,
    decoding_budget,
    is_counted,
    refusal_for_memory,
)
from pytorch_designer.images.preprocess import crop_and_resize
from pytorch_designer.settings import settings
from pytorch_designer.system.out_of_memory import is_out_of_memory
from pytorch_designer.transforms.drawn_batch import draw_batch, one_by_one
from pytorch_designer.transforms.registrations import deterministic_transforms
from pytorch_designer.transforms.rng import Rng
from pytorch_designer.transforms.sizes import CenterCrop, Resize

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from pytorch_designer.transforms.drawn_batch import DrawnBatch
    from pytorch_designer.transforms.transform import Transform

_log = logging.getLogger(__name__)


class UntransformableImageError(BadImageError):
    """A transform cannot be applied to this image."""


@dataclass(frozen=True)
class Augmentation:
    """The way of a training image from its file to the batch.

    Attributes:
        fixed: Deterministic transforms that come first; what comes out of them can be kept in memory.
        random: From the first random transform on, deterministic ones after it included.
        sizing: How what comes out is brought to the network's size.
        source_size: Height and width of all images after `fixed`; None where they differ.
        seed: The run's seed.
    """

    fixed: tuple[Transform, ...]
    random: tuple[Transform, ...]
    sizing: Preprocessing
    source_size: tuple[int, int] | None
    seed: int

    @property
    def source_sizing(self) -> Preprocessing:
        """Sizing of an image that is not of `source_size`, although all that were looked at are.

        Raises:
            ValueError: There is no such size.
        """
        if self.source_size is None:
            raise ValueError("batches need images of one size")
        height, width = self.source_size
        return Preprocessing(resize_size=min(self.source_size), crop_height=height, crop_width=width)

    def draw(self, image_u8: torch.Tensor, *, epoch: int, row: int) -> torch.Tensor:
        """The image of row `row` as `epoch` sees it; the same for the same seed, whoever asks and in whatever order.

        Args:
            image_u8: uint8 [3, height, width] after `fixed`.
            epoch: Number of the epoch.
            row: The image's row in the dataset.

        Returns:
            uint8 [3, crop_height, crop_width].

        Raises:
            BadImageError: The image cannot take a transform.
        """
        rng = self._rng(epoch, row)
        return crop_and_resize(apply_transforms(image_u8, self.random, rng), self.sizing)

    def without_random(self, preprocessing: Preprocessing) -> Augmentation:
        """The way of the same image where nothing is drawn: the deterministic transforms, and the model's sizes.

        Args:
            preprocessing: What validation does to images; its sizes are meant.
        """
        return replace(self, random=deterministic_transforms(self.random), sizing=preprocessing)

    def can_draw_batches(self) -> bool:
        """True if `draw_batch` can do what `draw` does; if not, the log says why.

        All images have one size, keep having one after each transform, and no transform is stated to be applied to one
        image at a time. False, too, where images of that size cannot take the transforms; `draw` says why. It tries
        the transforms on an image: ask once.
        """
        reason = self._why_one_by_one()
        if reason is not None:
            _log.info("Training images are augmented one at a time, on the processor. %s", reason)
        return reason is None

    def draw_batch(self, images_u8: torch.Tensor, *, epoch: int, rows: NDArray[np.int64]) -> torch.Tensor:
        """The results of `draw` for each image, computed on their device with operations on the whole batch.

        The random numbers are those of `draw`. So are the pixels of flips, crops, margins, grayscale, autocontrast and
        erasing, and of resizing that keeps at least a quarter of the pixels per side (`draw` on a processor with AVX2).
        Others differ by 1 of 255 in one value of thousands; by more where a turned image takes the next pixel, or where
        other changes of color follow that of the hue.

        Args:
            images_u8: uint8 [n, 3, height, width] after `fixed`, of `source_size`; on any device, in any memory
                format.
            epoch: Number of the epoch.
            rows: int64 [n], the images' rows in the dataset.

        Returns:
            uint8 [n, 3, crop_height, crop_width] on the same device, in channels-last memory format.

        Raises:
            ValueError: `can_draw_batches` does not hold, or the images do not fit `source_size` and `rows`.
        """
        return self.drawn_batch(epoch=epoch, rows=rows).apply(images_u8)

    def drawn_batch(self, *, epoch: int, rows: NDArray[np.int64]) -> DrawnBatch:
        """All that `draw` draws for these rows in `epoch`; on the CPU, in any thread.

        Args:
            epoch: Number of the epoch.
            rows: int64 [n], the images' rows in the dataset.

        Raises:
            ValueError: The images differ in size, or a transform is not applied to batches.
        """
        if self.source_size is None:
            raise ValueError("batches need images of one size")
        rngs = [self._rng(epoch, row) for row in rows.tolist()]
        return draw_batch([*self.random, *_as_transforms(self.sizing)], self.source_size, rngs)

    def describe(self) -> str:
        """The random transforms, for the log."""
        return ", ".join(str(transform) for transform in self.random)

    def _why_one_by_one(self) -> str | None:
        if self.source_size is None:
            return "They differ in size."
        reason = one_by_one(self.random, self.source_size)
        if reason is not None:
            return f"{reason}."
        try:
            tried = apply_transforms(torch.zeros(3, *self.source_size, dtype=torch.uint8), self.random, Rng(0))
            crop_and_resize(tried, self.sizing)
        except BadImageError as error:  # as all images would be, each with its message, one by one
            return f"{error.reason}."
        return None

    def _rng(self, epoch: int, row: int) -> Rng:
        return Rng(self.seed, "augmentation", epoch, row)


def apply_transforms(image_u8: torch.Tensor, transforms: Sequence[Transform], rng: Rng | None = None) -> torch.Tensor:
    """Apply `transforms` in their order.

    Args:
        image_u8: uint8 [3, height, width].
        transforms: Deterministic ones only, unless there is an `rng`.
        rng: Random numbers for this image.

    Returns:
        uint8 [3, new height, new width]; `image_u8` itself where there are no transforms.

    Raises:
        UntransformableImageError: The image is too small for a transform, or a transform would make it too large.
    """
    for transform in transforms:
        if transform.is_random and rng is None:
            raise TypeError(f"{transform.op} without random numbers")
        num_bytes = memory_of_transform(image_u8, transform)
        if is_counted(num_bytes):
            with decoding_budget().take(num_bytes):
                image_u8 = _applied(image_u8, transform, rng)
        else:
            image_u8 = _applied(image_u8, transform, rng)
    return image_u8


def memory_of_transform(image_u8: torch.Tensor, transform: Transform) -> int:
    """Bytes that a transform of this image takes.

    Raises:
        UntransformableImageError: What it would make of the image is no image, or too large.
    """
    height, width = transform.size_after(*image_u8.shape[1:])
    limit = settings().max_image_pixels
    what = f"{transform} would make {_size_text(image_u8)} an image of {width}x{height}"
    if min(height, width) < 1 or height * width > limit:
        raise UntransformableImageError(f"{what}, {limit:,} pixels are allowed (PYTORCH_DESIGNER_MAX_IMAGE_PIXELS)")
    num_bytes = height * width * BYTES_PER_PIXEL
    refusal = refusal_for_memory(num_bytes)
    if refusal is not None:
        raise UntransformableImageError(f"{what}: {refusal}")
    return num_bytes


def _applied(image_u8: torch.Tensor, transform: Transform, rng: Rng | None) -> torch.Tensor:
    try:
        drawn = None if rng is None else transform.draw(image_u8.shape[1], image_u8.shape[2], rng)
        return transform.apply(image_u8, drawn)
    except (RuntimeError, ValueError) as error:
        if is_out_of_memory(error):
            raise MemoryError(f"{transform} of {_size_text(image_u8)}") from error
        raise UntransformableImageError(f"{transform} does not take {_size_text(image_u8)}: {error}") from error


def _size_text(image_u8: torch.Tensor) -> str:
    return f"{image_u8.shape[2]}x{image_u8.shape[1]} pixels"


def _as_transforms(sizing: Preprocessing) -> list[Transform]:
    """The same as `crop_and_resize`."""
    transforms: list[Transform] = [CenterCrop(size=(sizing.crop_height, sizing.crop_width))]
    if sizing.resize_size is not None:
        transforms.insert(0, Resize(size=(sizing.resize_size,), interpolation=sizing.interpolation))
    return transforms
