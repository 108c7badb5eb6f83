"""Resampling weights of resized images, equal to those of torch's operators on 8-bit images.

Torch resizes 8 bit images on the CPU first along the width and then along the height, with a result of 8 bits after
each, and with weights rounded to 16 bits: whole numbers of 2^-p, the same p for all of an axis. A float32 holds the
sums of such numbers without rounding as long as p is at most 16, that is up to a reduction to a quarter, so that any
device that multiplies and adds them in any order gets what torch gets on the CPU, to the last bit.

Sources: `aten/src/ATen/native/cpu/UpSampleKernel.cpp`, `_compute_index_ranges_int16_weights` (bilinear and bicubic);
`aten/src/ATen/native/UpSample.h`, `nearest_idx` and `nearest_exact_idx`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

_MAX_PRECISION = 22
_WEIGHT_BITS = 15
_ANTIALIASED_CUBIC = -0.5
_PLAIN_CUBIC = -0.75


class Taps(NamedTuple):
    """The pixels along one axis that each pixel of the results is made of, for n images.

    Attributes:
        starts: int64 [n, num_out], the first of the pixels.
        weights: float32 [n, num_out, num_taps], the weights of it and its successors; 0 for those outside the image.
    """

    starts: Integers
    weights: NDArray[np.float32]


@dataclass(frozen=True)
class AxisWeights:
    """Averaging of pixels along one axis; see `Taps`.

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

    def apply(self, images_u8: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, height, width] to uint8 [n, 3, new height, new width]."""
        num_images, num_channels, height, width = images_u8.shape
        lines = images_u8.reshape(num_images, num_channels * height, width).to(torch.float32)
        narrowed = _rounded(torch.matmul(lines, self.columns.matrix(width).transpose(1, 2)))
        narrowed = narrowed.view(num_images, num_channels, height, -1)
        return _rounded(torch.matmul(self.rows.matrix(height)[:, None], narrowed)).to(torch.uint8)


def resampling_axis(
    starts: Integers, lengths: Integers, num_out: int, *, interpolation: str, antialias: bool
) -> AxisWeights:
    """`resampling_taps` as tensors."""
    taps = resampling_taps(starts, lengths, num_out, interpolation=interpolation, antialias=antialias)
    padded = np.pad(taps.weights, ((0, 0), (0, 0), (1, 1)))
    return AxisWeights(torch.from_numpy(taps.starts), torch.from_numpy(padded))


def resampling_taps(starts: Integers, lengths: Integers, num_out: int, *, interpolation: str, antialias: bool) -> Taps:
    """The taps of images of which a part is resized along one axis.

    Args:
        starts: int64 [n], the first pixel of each part.
        lengths: int64 [n], its number of pixels.
        num_out: Pixels that the part is resized to.
        interpolation: "bilinear" or "bicubic".
        antialias: Whether as many pixels are averaged as are left out.
    """
    is_cubic = interpolation == "bicubic"
    firsts, weights = (_antialiased if antialias else _interpolated)(lengths[:, None], num_out, is_cubic)
    return Taps(firsts + starts[:, None], _in_16_bits(weights))


def nearest_indices(starts: Integers, lengths: Integers, num_out: int, *, is_exact: bool) -> Integers:
    """The pixels that "nearest" or, where `is_exact`, "nearest-exact" takes, int64 [n, num_out]."""
    scales = lengths[:, None].astype(np.float32) / np.float32(num_out)  # as torch
    if is_exact:  # torch multiplies and subtracts with one rounding, and adds with another
        centers = (np.arange(num_out) + 0.5) * scales.astype(np.float64) - 0.5
        places = np.maximum(centers.astype(np.float32), np.float32(0)) + np.float32(0.5)
    else:
        places = np.arange(num_out, dtype=np.float32) * scales
    pixels: Integers = np.minimum(places.astype(np.int64), lengths[:, None] - 1)
    return starts[:, None] + pixels


def _antialiased(lengths: Integers, num_out: int, is_cubic: bool) -> tuple[Integers, Floats]:
    """First pixels of the part [n, num_out] and weights [n, num_out, num_taps]."""
    scales = lengths / num_out
    stretch = np.maximum(scales, 1.0)
    support = (2 if is_cubic else 1) * stretch
    centers = scales * (np.arange(num_out) + 0.5)
    firsts = np.maximum((centers - support + 0.5).astype(np.int64), 0)
    num_used = np.minimum((centers + support + 0.5).astype(np.int64), lengths) - firsts
    num_used = np.minimum(num_used, 2 * np.ceil(support).astype(np.int64) + 1)
    taps = np.arange(num_used.max())
    distances = np.abs(taps + firsts[..., None] - centers[..., None] + 0.5) * (1.0 / stretch)[..., None]
    weights = _cubic(distances, _ANTIALIASED_CUBIC) if is_cubic else np.maximum(1.0 - distances, 0.0)
    weights *= taps < num_used[..., None]
    return firsts, weights / weights.sum(axis=2, keepdims=True)


def _interpolated(lengths: Integers, num_out: int, is_cubic: bool) -> tuple[Integers, Floats]:
    """As `_antialiased`, from the two or four next pixels; the outermost stands for those that are outside."""
    num_taps = 4 if is_cubic else 2
    places = lengths / num_out * (np.arange(num_out) + 0.5) - 0.5
    if not is_cubic:
        places = np.maximum(places, 0.0)
    below = np.minimum(np.floor(places).astype(np.int64), lengths - 1)
    taps = np.arange(num_taps) + (1 - num_taps // 2)
    distances = np.abs(taps - np.clip(places - below, 0.0, 1.0)[..., None])
    weights = _cubic(distances, _PLAIN_CUBIC) if is_cubic else 1.0 - distances
    last = lengths[..., None] - 1
    pixels = np.clip(below[..., None] + taps, 0, last)
    firsts = pixels[..., 0]
    gathered = np.zeros_like(weights)
    images, places_out, _ = np.indices(weights.shape)
    np.add.at(gathered, (images, places_out, pixels - firsts[..., None]), weights)
    return firsts, gathered


def _cubic(distances: Floats, a: float) -> Floats:
    """The cubic convolution kernel (Keys, 1981)."""
    x = distances
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    far = (((x - 5.0) * x + 8.0) * x - 4.0) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def _in_16_bits(weights: Floats) -> NDArray[np.float32]:
    """Rounded to whole numbers of 2^-p, where p is the greatest with which the largest weight of an image fits."""
    largest = weights.max(axis=(1, 2))[:, None]
    grown = (0.5 + largest * 2.0 ** np.arange(1, _MAX_PRECISION + 1)).astype(np.int64)
    units = 2.0 ** (grown < 2**_WEIGHT_BITS).sum(axis=1)[:, None, None]
    rounded: NDArray[np.float32] = (np.trunc(weights * units + np.copysign(0.5, weights)) / units).astype(np.float32)
    return rounded


def _rounded(values: torch.Tensor) -> torch.Tensor:
    """To whole numbers from 0 to 255, halves upwards, as torch's operators on 8 bit pixels."""
    return values.add_(0.5).floor_().clamp_(0, 255)
