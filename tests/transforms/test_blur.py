"""Blurring is torchvision's, for one image and for a batch."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms.v2 import functional

from pytorch_designer.transforms.blur import Blur, GaussianBlur
from pytorch_designer.transforms.rng import Rng
from tests.images.image_corpus import noise_pixels

IMAGE = torch.from_numpy(noise_pixels(20, 30, seed=3)).permute(2, 0, 1)


def test_one_image_is_blurred_with_the_drawn_width() -> None:
    transform = GaussianBlur(kernel_size=(5, 9), sigma=(0.5, 3))
    sigma = transform.draw(20, 30, Rng(1))
    assert 0.5 <= sigma <= 3
    expected = functional.gaussian_blur(IMAGE, [5, 9], [sigma, sigma])
    assert torch.equal(transform.apply(IMAGE, sigma), expected)


def test_images_of_a_batch_have_weights_of_their_own() -> None:
    row = torch.tensor([0, 0, 8, 0, 0], dtype=torch.uint8).expand(2, 3, 1, 5)
    weights = torch.tensor([[0.25, 0.5, 0.25], [0.0, 1.0, 0.0]])
    blurred = Blur(weights, torch.ones(2, 1)).apply(row)
    assert blurred[:, 0, 0].tolist() == [[0, 2, 4, 2, 0], [0, 0, 8, 0, 0]]


def test_borders_are_mirrored() -> None:
    row = torch.tensor([4, 8, 0], dtype=torch.uint8).expand(1, 3, 1, 3)
    blurred = Blur(torch.tensor([[0.5, 0.0, 0.5]]), torch.ones(1, 1)).apply(row)
    assert blurred[0, 0, 0].tolist() == [8, 2, 8]


@pytest.mark.parametrize(("kernel_size", "sigma"), [((4, 5), (0.1, 2)), ((5, 5), (2, 1)), ((5, 5), (0, 1))])
def test_wrong_kernels_are_refused(kernel_size: tuple[int, int], sigma: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"odd|first of two|greater than 0"):
        GaussianBlur(kernel_size=kernel_size, sigma=sigma)
