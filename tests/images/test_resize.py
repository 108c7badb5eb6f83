"""Computing no further than the crop reaches gives the very pixels that torchvision gives by resizing it all."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from pytorch_designer.images.resize import resize_and_crop
from tests.images.image_corpus import noise_pixels

SIDES = st.integers(8, 300)


def as_documented(
    image: torch.Tensor, resize_size: int, crop: tuple[int, int], interpolation: InterpolationMode
) -> torch.Tensor:
    resized = functional.resize(image, [resize_size], interpolation, antialias=True)
    cropped: torch.Tensor = functional.center_crop(resized, list(crop))
    return cropped


@pytest.mark.slow
@given(height=SIDES, width=SIDES, resize_size=SIDES, crop=st.tuples(SIDES, SIDES), seed=st.integers(0, 9))
@example(height=375, width=500, resize_size=256, crop=(224, 224), seed=0)
@example(height=500, width=375, resize_size=256, crop=(224, 224), seed=0)
@example(height=256, width=256, resize_size=256, crop=(224, 224), seed=0)  # nothing to resize
@example(height=240, width=500, resize_size=256, crop=(224, 224), seed=0)  # the part has the height of the image
@example(height=100, width=130, resize_size=256, crop=(224, 224), seed=0)  # enlarged
@example(height=99, width=99, resize_size=20, crop=(30, 10), seed=0)  # padded
def test_pixels_are_those_of_resizing_and_cropping(
    height: int, width: int, resize_size: int, crop: tuple[int, int], seed: int
) -> None:
    image = torch.from_numpy(noise_pixels(height, width, seed=seed)).permute(2, 0, 1)
    expected = as_documented(image, resize_size, crop, InterpolationMode.BILINEAR)
    assert torch.equal(resize_and_crop(image, resize_size, crop, InterpolationMode.BILINEAR), expected)


@pytest.mark.parametrize("interpolation", [InterpolationMode.BICUBIC, InterpolationMode.NEAREST])
def test_other_interpolations_are_torchvisions(interpolation: InterpolationMode) -> None:
    image = torch.from_numpy(noise_pixels(75, 100)).permute(2, 0, 1)
    assert torch.equal(
        resize_and_crop(image, 50, (40, 40), interpolation), as_documented(image, 50, (40, 40), interpolation)
    )


def test_memory_order_does_not_matter() -> None:
    image = torch.from_numpy(noise_pixels(75, 100)).permute(2, 0, 1)
    bilinear = InterpolationMode.BILINEAR
    assert torch.equal(
        resize_and_crop(image.contiguous(), 50, (40, 40), bilinear), resize_and_crop(image, 50, (40, 40), bilinear)
    )


def test_an_extreme_contrast_is_resized_the_same() -> None:
    image = (torch.from_numpy(noise_pixels(333, 217)) > 127).to(torch.uint8).mul(255).permute(2, 0, 1)
    expected = as_documented(image, 128, (100, 90), InterpolationMode.BILINEAR)
    assert torch.equal(resize_and_crop(image, 128, (100, 90), InterpolationMode.BILINEAR), expected)
