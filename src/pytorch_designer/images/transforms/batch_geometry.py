"""Steps that move pixels, for a whole batch on its device: flips, crops and margins, resizing, turning and bending.

    images          uint8 [n, 3, height, width]
    one launch      of each operation for all images, however many there are; what differs between them is in tensors
    images          uint8 [n, 3, new height, new width]

Rounding is done after each step, as the steps of one image do it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import grid_sample

if TYPE_CHECKING:
    from pytorch_designer.images.transforms.batch_tensors import ImageSubset


@dataclass(frozen=True)
class Flip:
    """Left and right, or top and bottom, exchanged in some images.

    Attributes:
        happens: bool [n, 1, 1, 1].
        dim: 3: left and right; 2: top and bottom.
    """

    happens: torch.Tensor
    dim: int

    def carry_out(self, images_u8: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, height, width] to the same."""
        return torch.where(self.happens, images_u8.flip(self.dim), images_u8)


@dataclass(frozen=True)
class Rearrange:
    """Each pixel copied from one of the same image, whose row and column are independent: crops, margins, nearest.

    Attributes:
        rows: int64 [n or 1, new height], -1 for a pixel outside the image.
        columns: int64 [n or 1, new width], likewise.
        fill: uint8 [1, 3 or 1, 1, 1], the colour outside; None where nothing is outside.
    """

    rows: torch.Tensor
    columns: torch.Tensor
    fill: torch.Tensor | None = None

    def carry_out(self, images_u8: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, height, width] to uint8 [n, 3, new height, new width]."""
        rows, columns = self.rows[:, None, :, None], self.columns[:, None, None, :]
        images = torch.arange(images_u8.shape[0], device=images_u8.device)[:, None, None, None]
        channels = torch.arange(images_u8.shape[1], device=images_u8.device)[None, :, None, None]
        copied = images_u8[images, channels, rows, columns]
        if self.fill is None:
            return copied
        return torch.where((rows < 0) | (columns < 0), self.fill, copied)


@dataclass(frozen=True)
class AxisWeights:
    """How pixels are averaged along one axis; see `resampling.Taps`.

    Attributes:
        starts: int64 [n or 1, num_out].
        weights: float32 [n or 1, num_out, num_taps + 2], the first and the last of them 0.
    """

    starts: torch.Tensor
    weights: torch.Tensor

    def matrix(self, num_in: int) -> torch.Tensor:
        """float32 [n or 1, num_out, num_in], the weights of all pixels."""
        pixels = torch.arange(num_in, device=self.starts.device)
        taps = (pixels - self.starts[:, :, None]).clamp_(-1, self.weights.shape[2] - 2).add_(1)
        return self.weights.gather(2, taps)


@dataclass(frozen=True)
class Resample:
    """Parts of the images resized with bilinear or bicubic weights.

    In float32, where nothing is rounded before it is to be; TF32, if somebody switches it on, rounds the weights.
    """

    rows: AxisWeights
    columns: AxisWeights

    def carry_out(self, images_u8: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, height, width] to uint8 [n, 3, new height, new width]."""
        num_images, num_channels, height, width = images_u8.shape
        lines = images_u8.reshape(num_images, num_channels * height, width).to(torch.float32)
        narrowed = _rounded(torch.matmul(lines, self.columns.matrix(width).transpose(1, 2)))
        narrowed = narrowed.view(num_images, num_channels, height, -1)
        return _rounded(torch.matmul(self.rows.matrix(height)[:, None], narrowed)).to(torch.uint8)


@dataclass(frozen=True)
class Warp:
    """Some images sampled along a grid of their own: rotation, affine map or perspective.

    Attributes:
        subset: Which of the images.
        matrices: float32 [m, 3, 3], from places (x, y, 1) in the result to places in the image, both axes from -1 to 1.
        is_perspective: Whether the third row is divided by, and places are counted from the top left corner in place
            of the middle.
        mode: "nearest" or "bilinear".
        fill: float32 [1, 3 or 1, 1, 1], the colour outside; None for black that blends in.
    """

    subset: ImageSubset
    matrices: torch.Tensor
    is_perspective: bool
    mode: str
    fill: torch.Tensor | None

    def carry_out(self, images_u8: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, height, width] to the same."""
        return self.subset.change(images_u8, self._warped)

    def _warped(self, images_u8: torch.Tensor) -> torch.Tensor:
        images = images_u8.to(torch.float32)
        if self.fill is not None:  # a fourth channel tells how much of a pixel is image
            images = torch.cat((images, torch.ones_like(images[:, :1])), dim=1)
        grid = self._grid(images.shape[2], images.shape[3])
        sampled = grid_sample(images, grid, mode=self.mode, padding_mode="zeros", align_corners=False)
        if self.fill is not None:
            sampled = self._filled(sampled[:, :3], sampled[:, 3:], self.fill)
        return sampled.round_().to(torch.uint8)

    def _filled(self, sampled: torch.Tensor, shares: torch.Tensor, fill: torch.Tensor) -> torch.Tensor:
        if self.mode == "nearest":
            return torch.where(shares < 0.5, fill, sampled)
        return (sampled - fill).mul_(shares).add_(fill)  # torchvision's: the border is darkened twice

    def _grid(self, height: int, width: int) -> torch.Tensor:
        """float32 [m, height, width, 2] for `grid_sample`; by plain operations, which no precision setting touches."""
        device = self.matrices.device
        from_x, from_y = (0.5, 0.5) if self.is_perspective else ((1 - width) / 2, (1 - height) / 2)
        x = torch.arange(width, dtype=torch.float32, device=device).add_(from_x)
        y = torch.arange(height, dtype=torch.float32, device=device).add_(from_y)[:, None]
        per_x, per_y, constant = self.matrices[..., None, None].unbind(2)
        places = torch.addcmul(per_x * x, per_y, y).add_(constant)
        grid = places[:, :2]
        if self.is_perspective:
            grid = (grid / places[:, 2:]).sub_(1.0)
        return grid.permute(0, 2, 3, 1)


def _rounded(values: torch.Tensor) -> torch.Tensor:
    """To whole numbers from 0 to 255, halves upwards, as torch's operators on 8 bit pixels."""
    return values.add_(0.5).floor_().clamp_(0, 255)
