"""Steps that change colours, for a whole batch on its device: grayscale, color jitter and erasing.

One launch of each operation for all images, as in `batch_geometry`. The arithmetic is that of torchvision's functions,
with a factor for each image in place of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torchvision.transforms.v2 import functional

if TYPE_CHECKING:
    from pytorch_designer.images.transforms.batch_tensors import ImageSubset

_TO_8_BITS = (255 + 1.0 - 1e-3) / 255
"""What torchvision multiplies by before it cuts off, so that a full channel stays full."""


@dataclass(frozen=True)
class Gray:
    """Brightness instead of colour in some images.

    Attributes:
        happens: bool [n, 1, 1, 1]; None for all.
    """

    happens: torch.Tensor | None

    def carry_out(self, images_u8: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, height, width] to the same."""
        gray: torch.Tensor = functional.rgb_to_grayscale(images_u8, num_output_channels=3)
        return gray if self.happens is None else torch.where(self.happens, gray, images_u8)


@dataclass(frozen=True)
class Blend:
    """Brightness, contrast or saturation, another of them in each image.

    All three are image * factor + other * (1 - factor), cut off at 0 and 255: the other is black, the image's mean
    brightness, or the image in gray. A factor of 1 leaves an image as it is.

    Attributes:
        factors: float32 [n, 1, 1, 1].
        gray_shares: 1 - factor where the saturation is changed, 0 elsewhere; None where it is in no image.
        mean_shares: Likewise for the contrast.
    """

    factors: torch.Tensor
    gray_shares: torch.Tensor | None
    mean_shares: torch.Tensor | None

    def carry_out(self, images_u8: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, height, width] to the same."""
        blended = images_u8 * self.factors
        if self.gray_shares is not None or self.mean_shares is not None:
            gray = functional.rgb_to_grayscale(images_u8, num_output_channels=1).to(torch.float32)
            if self.gray_shares is not None:
                blended.addcmul_(gray, self.gray_shares)
            if self.mean_shares is not None:
                blended.addcmul_(gray.mean(dim=(1, 2, 3), keepdim=True), self.mean_shares)
        return blended.clamp_(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class HueShift:
    """The hue of some images turned on the colour wheel.

    Attributes:
        subset: Which of the images.
        shifts: float32 [m, 3, 1, 1], sixths of a turn, for each channel with its own place on the wheel.
    """

    subset: ImageSubset
    shifts: torch.Tensor

    def carry_out(self, images_u8: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, height, width] to the same."""
        return self.subset.change(images_u8, self._shifted)

    def _shifted(self, images_u8: torch.Tensor) -> torch.Tensor:
        """From hue and back in one: channel = value - chroma * clamp(min(k, 4 - k), 0, 1), k = channel's place + hue.

        Value and chroma, which stay as they are, are the greatest channel and its distance from the least one.
        """
        images = images_u8.to(torch.float32)
        value = images.amax(dim=1, keepdim=True)
        chroma = value - images.amin(dim=1, keepdim=True)
        turned = (_hue_in_sixths(images, value, chroma) + self.shifts).remainder_(6)
        shares = torch.minimum(turned, 4 - turned).clamp_(0, 1)
        return (value - shares.mul_(chroma)).mul_(_TO_8_BITS).to(torch.uint8)


@dataclass(frozen=True)
class Erase:
    """A rectangle of some images painted over.

    Attributes:
        boxes: int64 [n, 4], top, left, height and width; no height where nothing is painted.
        paint: uint8: [3 or 1, 1, 1], one colour; or, with `paint_starts`, the pixels of all rectangles in one row.
        paint_starts: int64 [n], where in `paint` those of an image begin: channel, line and column.
    """

    boxes: torch.Tensor
    paint: torch.Tensor
    paint_starts: torch.Tensor | None

    def carry_out(self, images_u8: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, height, width] to the same."""
        top, left, height, width = self.boxes[:, :, None, None, None].unbind(1)
        y = torch.arange(images_u8.shape[2], device=images_u8.device)[:, None] - top
        x = torch.arange(images_u8.shape[3], device=images_u8.device) - left
        is_painted = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        paint = self.paint
        if self.paint_starts is not None:
            channel = torch.arange(images_u8.shape[1], device=images_u8.device)[:, None, None]
            line = self.paint_starts[:, None, None, None] + (channel * height + y) * width
            paint = self.paint[(line + x).clamp_(0, len(self.paint) - 1)]
        return torch.where(is_painted, paint, images_u8)


def _hue_in_sixths(images: torch.Tensor, value: torch.Tensor, chroma: torch.Tensor) -> torch.Tensor:
    """Float32 [m, 1, height, width], sixths of a turn from red; anything where there is no colour."""
    red, green, blue = images[:, :1], images[:, 1:2], images[:, 2:]
    from_green = torch.where(green == value, blue - red + 2 * chroma, red - green + 4 * chroma)
    return torch.where(red == value, green - blue, from_green) / chroma.clamp(min=1)
