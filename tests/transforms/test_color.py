"""Colors of a batch are changed as in the textbook, and as tensors that were filled by hand say."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch

from pytorch_designer.transforms.color import Blend, Gray, HueShift
from pytorch_designer.transforms.drawn_batch import ImageSubset
from pytorch_designer.transforms.erasing import Erase


def pixels(*colors: tuple[int, int, int]) -> torch.Tensor:
    """uint8 [n, 3, 1, 1], one pixel an image."""
    return torch.tensor(colors, dtype=torch.uint8)[:, :, None, None]


def each(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1)


def colors_of(images: torch.Tensor) -> list[tuple[int, ...]]:
    return [tuple(image.flatten().tolist()) for image in images]


def test_gray_is_the_brightness_cut_off() -> None:
    # 0.2989 * 100 + 0.587 * 50 + 0.114 * 200 = 82.04
    gray = Gray(torch.tensor([True, False]).view(2, 1, 1, 1)).apply(pixels((100, 50, 200), (1, 2, 3)))
    assert colors_of(gray) == [(82, 82, 82), (1, 2, 3)]
    assert colors_of(Gray(None).apply(pixels((100, 50, 200)))) == [(82, 82, 82)]


def test_each_image_is_blended_with_its_own_color() -> None:
    images = pixels((100, 50, 200), (100, 50, 200), (100, 50, 200), (100, 50, 200))
    blend = Blend(each(1.5, 0.5, 0.5, 1.0), each(0, 0.5, 0, 0), each(0, 0, 0.5, 0))
    # brightness * 1.5; half of the image and half of its gray 82; half and half of its mean, which is 82 too.
    assert colors_of(blend.apply(images)) == [(150, 75, 255), (91, 66, 141), (91, 66, 141), (100, 50, 200)]


def test_contrast_is_against_the_mean_of_the_image() -> None:
    images = torch.tensor([[0, 200], [40, 40]], dtype=torch.uint8)[:, None, None].expand(-1, 3, -1, -1)
    blend = Blend(each(0, 0), None, each(1, 1))
    # The gray of equal channels is 0.9999 of them, cut off: 199 and 39. The mean of 0 and 199 is 99.5, cut off 99.
    assert blend.apply(images)[:, 0, 0].tolist() == [[99, 99], [39, 39]]


def test_the_hue_of_the_subset_is_turned() -> None:
    third = torch.tensor([5.0, 3.0, 1.0]).view(1, 3, 1, 1) + 2
    shift = HueShift(ImageSubset.where([True, False]), third)
    assert colors_of(shift.apply(pixels((255, 0, 0), (255, 0, 0)))) == [(0, 255, 0), (255, 0, 0)]


@pytest.mark.parametrize("turn", [-0.5, -0.2, 0.0, 0.13, 0.5])
def test_hues_are_those_of_the_color_wheel(turn: float) -> None:
    colors = np.random.default_rng(3).integers(0, 256, (500, 3))
    colors[:100] = colors[:100, :1]  # gray has no hue
    colors[100:150, 1] = colors[100:150, 0]  # two greatest or two least channels
    shifts = (torch.tensor([5.0, 3.0, 1.0]) + 6 * turn).view(1, 3, 1, 1).expand(500, -1, -1, -1)
    images = torch.from_numpy(colors.astype(np.uint8))[:, :, None, None]
    ours = HueShift(ImageSubset.where([True] * 500), shifts).apply(images)[:, :, 0, 0].numpy()
    for color, changed in zip(colors, ours, strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(int(channel) / 255 for channel in color))
        expected = np.array(colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)) * 255.999
        assert np.abs(changed + 0.5 - expected).max() <= 0.5 + 1e-3


def test_rectangles_are_painted_in_one_color() -> None:
    boxes = torch.tensor([[1, 0, 1, 2], [0, 0, 0, 0]])
    paint = torch.tensor([7, 8, 9], dtype=torch.uint8).view(3, 1, 1)
    painted = Erase(boxes, paint, None).apply(torch.zeros(2, 3, 2, 3, dtype=torch.uint8))
    assert painted[0].tolist() == [[[0, 0, 0], [value, value, 0]] for value in (7, 8, 9)]
    assert not painted[1].any()


def test_rectangles_are_painted_with_pixels_of_their_own() -> None:
    boxes = torch.tensor([[0, 1, 2, 1], [0, 0, 0, 0], [1, 1, 1, 2]])
    paint = torch.arange(1, 13, dtype=torch.uint8)  # 3 x 2 x 1 for the first image, 3 x 1 x 2 for the last
    painted = Erase(boxes, paint, torch.tensor([0, 6, 6])).apply(torch.zeros(3, 3, 2, 3, dtype=torch.uint8))
    assert painted[0].tolist() == [[[0, 1, 0], [0, 2, 0]], [[0, 3, 0], [0, 4, 0]], [[0, 5, 0], [0, 6, 0]]]
    assert not painted[1].any()
    assert painted[2].tolist() == [[[0, 0, 0], [0, 7, 8]], [[0, 0, 0], [0, 9, 10]], [[0, 0, 0], [0, 11, 12]]]
