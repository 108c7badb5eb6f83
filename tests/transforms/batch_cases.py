"""Transforms of every kind, and the images that they make one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.images.augmentation import Augmentation
from pytorch_designer.transforms.registrations import parse_transform
from pytorch_designer.transforms.transform import size_after
from tests.images.image_corpus import noise_pixels, smooth_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytorch_designer.transforms.transform import Transform

RESAMPLED: list[tuple[str, Any]] = [
    (op, {"size": [13, 22], "interpolation": interpolation, "antialias": antialias})
    for op in ("Resize", "RandomResizedCrop")
    for interpolation in ("nearest", "nearest-exact", "bilinear", "bicubic")
    for antialias in (True, False)
]
"""Exact where torch resizes 8 bit images in 8 bits."""

EXACT: list[tuple[str, Any]] = [
    ("RandomHorizontalFlip", {}),
    ("RandomVerticalFlip", {"p": 0.3}),
    ("RandomGrayscale", {"p": 0.4}),
    ("RandomAutocontrast", {}),
    ("Grayscale", {}),
    ("Pad", {"padding": [1, 2, 3, 4]}),
    ("Pad", {"padding": [0, 5], "fill": [1, 2, 3]}),
    ("Pad", {"padding": 3, "padding_mode": "edge"}),
    ("Pad", {"padding": 3, "padding_mode": "reflect"}),
    ("Pad", {"padding": 3, "padding_mode": "symmetric"}),
    ("CenterCrop", {"size": [9, 40]}),
    ("CenterCrop", {"size": [8, 11]}),
    ("RandomCrop", {"size": [9, 12]}),
    ("RandomCrop", {"size": [9, 12], "padding": [4, 3, 2, 1], "fill": [9, 200, 3.7]}),
    ("RandomCrop", {"size": 12, "padding": 4, "padding_mode": "reflect"}),
    ("RandomCrop", {"size": [40, 12], "pad_if_needed": True, "padding_mode": "edge"}),
    ("RandomErasing", {}),
    ("RandomErasing", {"p": 1, "value": [1, 2, 3]}),
    ("RandomErasing", {"p": 0.8, "value": "random"}),
    ("RandomErasing", {"p": 1, "scale": [1, 1], "ratio": [1, 1]}),  # no part is found
]

ROUNDED: list[tuple[str, Any]] = [
    ("ColorJitter", {"brightness": 0.5}),
    ("ColorJitter", {"contrast": 0.5}),
    ("ColorJitter", {"saturation": 0.9}),
    ("ColorJitter", {"hue": 0.5}),
    ("ColorJitter", {"brightness": [1, 1], "hue": [0.1, 0.1]}),
    ("ColorJitter", {}),
    ("RandomRotation", {"degrees": 30}),
    ("RandomRotation", {"degrees": 180, "interpolation": "bilinear", "fill": [9, 100, 200], "center": [3, 4]}),
    ("RandomRotation", {"degrees": [180, 180]}),
    ("RandomRotation", {"degrees": 0, "interpolation": "bilinear", "fill": 77}),
    ("RandomRotation", {"degrees": 40, "interpolation": "bilinear", "fill": None}),
    ("RandomAffine", {"degrees": 20, "translate": [0.1, 0.2], "scale": [0.7, 1.3], "shear": [-9, 9, -5, 5], "fill": 7}),
    ("RandomAffine", {"degrees": 0, "shear": 10, "interpolation": "bilinear", "fill": 100, "center": [1, 2.5]}),
    ("GaussianBlur", {"kernel_size": 5}),
    ("GaussianBlur", {"kernel_size": [9, 3], "sigma": [0.5, 4]}),
    ("GaussianBlur", {"kernel_size": 1}),
    ("RandomPerspective", {}),
    ("RandomPerspective", {"p": 1, "interpolation": "nearest", "fill": None}),
    ("RandomPerspective", {"p": 1, "distortion_scale": 0.6, "fill": [1, 200, 3]}),
]
"""Within 1 of 255, but for a pixel in thousands that falls on the other side of a border."""


def transform_of(case: tuple[str, Any]) -> Transform:
    return parse_transform(*case)


def augmentation_of(transforms: Sequence[Transform], size: tuple[int, int], **changes: Any) -> Augmentation:
    """With the size that comes out of the transforms as the network's."""
    height, width = size_after(transforms, *size)
    sizing = Preprocessing(resize_size=None, crop_height=height, crop_width=width)
    parts: dict[str, Any] = {"fixed": (), "sizing": sizing, "source_size": size, "seed": 5}
    return Augmentation(random=tuple(transforms), **(parts | changes))


def images_of(num_images: int, size: tuple[int, int], seed: int = 0) -> torch.Tensor:
    """uint8 [n, 3, height, width] in channels-last format as the loader's, every other one of noise."""
    kinds = (smooth_pixels, noise_pixels)
    pixels = [kinds[image % 2](*size, seed=seed + image) for image in range(num_images)]
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)


def one_by_one_drawn(
    augmentation: Augmentation, images_u8: torch.Tensor, *, epoch: int, rows: Sequence[int]
) -> torch.Tensor:
    return torch.stack(
        [augmentation.draw(image, epoch=epoch, row=int(row)) for image, row in zip(images_u8, rows, strict=True)]
    )


def share_beyond(one: torch.Tensor, two: torch.Tensor, tolerance: int) -> float:
    """The share of values that differ by more than `tolerance`."""
    assert one.shape == two.shape
    assert one.dtype == two.dtype == torch.uint8
    return ((one.int() - two.int()).abs() > tolerance).float().mean().item()
