"""Resizing and center-cropping in one operation, bit-identical to torchvision's two.

    +-----------------+          torchvision resizes the whole image and cuts the middle out of it. Here nothing is
    |     +-----+     |          computed below or to the right of the crop, a fifth of the work for a photo:
    |     |crop | not |          the operator computes each pixel from the scale and from its place, counted from the
    |     +-----+     |          top left corner, so that it can be given the scale of the whole and a smaller size.
    |       not       |
    +-----------------+

Only where the operator computes in 8 bits and in this way, which is on x86 processors with AVX2, and where the scale
comes through unchanged; elsewhere torchvision does both.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional


def resize_and_crop(
    image_u8: torch.Tensor, resize_size: int, crop: tuple[int, int], interpolation: InterpolationMode
) -> torch.Tensor:
    """Resize the shorter side and cut out the middle, padded with zeros where the image is smaller.

    Args:
        image_u8: uint8 [3, height, width].
        resize_size: Pixels of the shorter side.
        crop: Height and width of the middle.
        interpolation: How pixels are computed; always with antialiasing.

    Returns:
        uint8 [3, *crop].
    """
    if interpolation is InterpolationMode.BILINEAR:
        height, width = (int(side) for side in image_u8.shape[1:])
        arguments = _operator_arguments(height, width, resize_size, *crop)
        is_channels_last = image_u8.stride() == (1, 3 * width, 3)
        if arguments is not None and is_channels_last:
            end, start, scales = arguments
            # Reshaped and cropped by numpy: torch would release Python's lock each time, and threads would wait for it.
            # The strides of a batch of one tell the operator the memory format of its output.
            batch_nhwc = image_u8.numpy().transpose(1, 2, 0).reshape(1, height, width, 3)
            batch = torch.from_numpy(batch_nhwc.transpose(0, 3, 1, 2))
            resized = torch.ops.aten._upsample_bilinear2d_aa(batch, end, False, *scales)
            return torch.from_numpy(resized.numpy()[0, :, start[0] :, start[1] :])
    resized = functional.resize_image(image_u8, [resize_size], interpolation, antialias=True)
    return center_crop(resized, crop)


def center_crop(image_u8: torch.Tensor, crop: tuple[int, int]) -> torch.Tensor:
    """The middle, uint8 [3, *crop], padded with zeros where the image is smaller."""
    return image_u8 if image_u8.shape[1:] == crop else functional.center_crop_image(image_u8, list(crop))


@lru_cache(maxsize=256)  # the sizes of a dataset's images repeat
def _operator_arguments(
    height: int, width: int, resize_size: int, crop_height: int, crop_width: int
) -> tuple[list[int], tuple[int, int], tuple[float, float]] | None:
    """The size to compute, where the crop starts in it, and the operator's scales; None: torchvision is to do it."""
    if torch.backends.cpu.get_cpu_capability() not in {"AVX2", "AVX512"}:
        return None
    shorter = min(height, width)
    end, start, scales = [], [], []
    for side, crop in ((height, crop_height), (width, crop_width)):
        resized = resize_size * side // shorter
        first = round((resized - crop) / 2)
        scale = _operator_scale(side, resized)
        # The operator leaves an axis as it is where it has the size asked for.
        if crop > resized or resized == side or first + crop == side or scale is None:
            return None
        end.append(first + crop)
        start.append(first)
        scales.append(scale)
    return end, (start[0], start[1]), (scales[0], scales[1])


def _operator_scale(side: int, resized: int) -> float | None:
    """The number whose reciprocal, which is what the operator computes with, is `side / resized` to the last bit."""
    nearest = resized / side
    candidates = (nearest, math.nextafter(nearest, 0.0), math.nextafter(nearest, math.inf))
    return next((scale for scale in candidates if 1.0 / scale == side / resized), None)
