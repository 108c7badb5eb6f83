"""Flips: images mirrored with a probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pytorch_designer.transforms.transform import Probability, RandomTransform, Switch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from pytorch_designer.transforms.rng import Rng
    from pytorch_designer.transforms.transform import BatchFunction, BatchOperation, ImageSize


class _RandomFlip(RandomTransform):
    dim: ClassVar[int]

    p: Probability = 0.5

    def draw(self, height: int, width: int, rng: Rng) -> bool:
        """True if the image is flipped."""
        return rng.happens(self.p)

    def apply(self, image_u8: torch.Tensor, drawn: bool) -> torch.Tensor:
        """See `Transform`."""
        return image_u8.flip(self.dim) if drawn else image_u8

    def batch(self, size: ImageSize) -> BatchFunction:
        """One `Flip`."""
        return self._flips

    def _flips(self, drawn: Sequence[bool]) -> list[BatchOperation]:
        from pytorch_designer.transforms.drawn_batch import per_image

        return [Flip(per_image(drawn), self.dim)] if any(drawn) else []


class RandomHorizontalFlip(_RandomFlip):
    """Left and right exchanged, sometimes."""

    dim: ClassVar[int] = -1
    switch: ClassVar = Switch("random_horizontal_flip", "Mirror images left to right, half of the time.", default=True)


class RandomVerticalFlip(_RandomFlip):
    """Top and bottom exchanged, sometimes."""

    dim: ClassVar[int] = -2
    switch: ClassVar = Switch("random_vertical_flip", "Mirror images top to bottom, half of the time.")


@dataclass(frozen=True)
class Flip:
    """Left and right, or top and bottom, exchanged in some images.

    Attributes:
        happens: bool [n, 1, 1, 1].
        dim: -1: left and right; -2: top and bottom.
    """

    happens: torch.Tensor
    dim: int

    def apply(self, images_u8: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, height, width] to the same."""
        return images_u8.flip(self.dim).where(self.happens, images_u8)
