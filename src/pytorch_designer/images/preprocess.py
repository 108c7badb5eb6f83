"""Preprocessing: from a decoded image to the network's input, as defined by torchvision's transforms v2.

v2.Resize(resize_size, interpolation, antialias=True), v2.CenterCrop((crop_height, crop_width))    on uint8
(value / 255 - mean) / std                                                                          in float32
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from torchvision.transforms import InterpolationMode

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.images.bad_files import BadImageError, UndecodableImageError
from pytorch_designer.images.decode import upright_size
from pytorch_designer.images.decoding.memory_budget import BYTES_PER_PIXEL, decoding_budget, is_counted
from pytorch_designer.images.resize import center_crop, resize_and_crop

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.directories.image_directory import ImageDirectory

MAX_KEPT_SIDE = 512
"""Largest side in pixels at which images of one size keep it."""

DEFAULT_RESIZE = 256
DEFAULT_CROP = 224

_INTERPOLATIONS = {mode.value: mode for mode in InterpolationMode}
MAX_SAMPLE = 256
"""Files of a dataset whose headers are read for their sizes."""
_HEADER_THREADS = 16  # a cloud mount takes 5 to 30 ms to open a file, whatever is read of it
_MAX_RESIZED_PIXELS = 2**26


def crop_and_resize(image_u8: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """Resize the shorter side and cut out the middle, padded with zeros where the image is smaller.

    Args:
        image_u8: uint8 [3, height, width].
        preprocessing: The sizes and the interpolation.

    Returns:
        uint8 [3, crop_height, crop_width].

    Raises:
        UndecodableImageError: The image is so long and thin that resizing its shorter side would make it huge.
    """
    crop = (preprocessing.crop_height, preprocessing.crop_width)
    if preprocessing.resize_size is None:
        return center_crop(image_u8, crop)
    num_bytes = _check_aspect_ratio(image_u8, preprocessing.resize_size) * BYTES_PER_PIXEL
    with decoding_budget().take(num_bytes) if is_counted(num_bytes) else nullcontext():
        return resize_and_crop(image_u8, preprocessing.resize_size, crop, _INTERPOLATIONS[preprocessing.interpolation])


def normalize(batch_u8: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """(value / 255 - mean) / std of uint8 [n, 3, h, w], as float32 on the same device in the same memory format."""
    mean, std = _statistics(preprocessing.mean, preprocessing.std, batch_u8.device)
    return batch_u8.to(torch.float32).div_(255).sub_(mean).div_(std)


def preprocessing_for_dataset(
    dataset: ImageDirectory,
    *,
    minimum_size: tuple[int, int],
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
) -> Preprocessing:
    """Preprocessing for a model without its own.

    Images that all have one size (of at most 256 sampled headers) keep it, unless they are larger than 512 pixels; they
    are enlarged where the network needs more pixels. All others are resized to 256 pixels on the shorter side and
    center-cropped to 224x224. The shorter side is given even where nothing is resized, so that an image of another
    size, met later or in serving, is brought to the same scale.

    Args:
        dataset: The training images.
        minimum_size: Smallest height and width in pixels that the network takes.
        mean: Of the channels, 0 to 1.
        std: Of the channels.
    """
    sizes = sample_sizes(dataset)
    if len(sizes) == 1 and max(size := next(iter(sizes))) <= MAX_KEPT_SIDE:
        resize_size, (crop_height, crop_width) = enlarged(size, minimum_size)
    else:
        resize_size = max(DEFAULT_RESIZE, *minimum_size)
        crop_height, crop_width = (max(DEFAULT_CROP, side) for side in minimum_size)
    return Preprocessing(resize_size=resize_size, crop_height=crop_height, crop_width=crop_width, mean=mean, std=std)


def _check_aspect_ratio(image: torch.Tensor, resize_size: int) -> int:
    """Pixels of the whole image once it is resized, which are not too many."""
    _, height, width = image.shape
    shorter, longer = min(height, width), max(height, width)
    num_pixels: int = resize_size * resize_size * longer // shorter
    if num_pixels > max(_MAX_RESIZED_PIXELS, 4 * resize_size**2):
        raise UndecodableImageError(f"too long and thin: {image.shape[2]}x{image.shape[1]} pixels")
    return num_pixels


@lru_cache(maxsize=16)  # so that nothing is copied to a GPU in each step
def _statistics(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    mean_c11, std_c11 = (torch.tensor(values, device=device).view(-1, 1, 1) for values in (mean, std))
    return mean_c11, std_c11


def sample_sizes(dataset: ImageDirectory) -> set[tuple[int, int]]:
    """The different sizes (height, width) in pixels of at most 256 images, from their headers."""
    num_images = len(dataset)
    rows = np.unique(np.linspace(0, max(num_images - 1, 0), min(num_images, MAX_SAMPLE)).round().astype(int))
    with ThreadPoolExecutor(_HEADER_THREADS) as threads:
        return {size for size in threads.map(_size_or_none, [dataset.path(int(row)) for row in rows]) if size}


def _size_or_none(path: Path) -> tuple[int, int] | None:
    try:
        return upright_size(path)
    except BadImageError:  # reported by the loader, which reads all files
        return None


def enlarged(size: tuple[int, int], minimum_size: tuple[int, int]) -> tuple[int, tuple[int, int]]:
    """The shorter side, and the whole size, after enlarging `size` until both sides have their minimum."""
    shorter = min(size)
    resized = shorter
    while any(side * resized // shorter < least for side, least in zip(size, minimum_size, strict=True)):
        resized += 1
    height, width = (side * resized // shorter for side in size)
    return resized, (height, width)
