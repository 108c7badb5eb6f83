"""Pixels of a batch are moved as tensors that were filled by hand say."""

from __future__ import annotations

import pytest
import torch

from pytorch_designer.transforms.drawn_batch import ImageSubset
from pytorch_designer.transforms.flips import Flip
from pytorch_designer.transforms.geometry import Warp
from pytorch_designer.transforms.resampling import AxisWeights, Resample
from pytorch_designer.transforms.sizes import Rearrange


def lines(*values: list[int]) -> torch.Tensor:
    """uint8 [n, 3, 1, width] of three equal channels."""
    return torch.tensor(values, dtype=torch.uint8)[:, None, None].expand(-1, 3, -1, -1)


def values_of(images: torch.Tensor) -> list[list[int]]:
    """The first channel of images of one row."""
    values: list[list[int]] = images[:, 0, 0].tolist()
    return values


def test_only_flagged_images_are_flipped() -> None:
    happens = torch.tensor([True, False]).view(2, 1, 1, 1)
    assert values_of(Flip(happens, 3).apply(lines([1, 2, 3], [4, 5, 6]))) == [[3, 2, 1], [4, 5, 6]]
    upright = torch.arange(12, dtype=torch.uint8).view(1, 3, 2, 2)
    assert Flip(happens[:1], 2).apply(upright)[0, 0].tolist() == [[2, 3], [0, 1]]


def test_pixels_are_copied_from_rows_and_columns_of_each_image() -> None:
    rearrange = Rearrange(torch.tensor([[0]]), torch.tensor([[2, 1], [0, 0]]))
    assert values_of(rearrange.apply(lines([1, 2, 3], [4, 5, 6]))) == [[3, 2], [4, 4]]


def test_what_is_outside_is_filled() -> None:
    fill = torch.tensor([7, 8, 9], dtype=torch.uint8).view(1, 3, 1, 1)
    filled = Rearrange(torch.tensor([[-1, 0]]), torch.tensor([[0, -1]]), fill).apply(lines([1, 2], [3, 4]))
    assert filled[:, 0].tolist() == [[[7, 7], [1, 7]], [[7, 7], [3, 7]]]
    assert filled[0, :, 0, 0].tolist() == [7, 8, 9]


def test_weights_are_spread_over_the_pixels_they_belong_to() -> None:
    axis = AxisWeights(torch.tensor([[0, 2], [1, 3]]), torch.tensor([[[0, 0.75, 0.25, 0]] * 2, [[0, 1.0, 0, 0]] * 2]))
    assert axis.matrix(4).tolist() == [[[0.75, 0.25, 0, 0], [0, 0, 0.75, 0.25]], [[0, 1, 0, 0], [0, 0, 0, 1]]]


def test_halves_are_rounded_up_after_each_axis() -> None:
    average = AxisWeights(torch.tensor([[0]]), torch.tensor([[[0, 0.5, 0.5, 0]]]))
    image = torch.tensor([[0, 1], [2, 2]], dtype=torch.uint8).expand(1, 3, 2, 2)
    # 0.5 becomes 1 along the width, then (1 + 2) / 2 becomes 2; in one go it would be 1.25.
    assert Resample(average, average).apply(image).flatten().tolist() == [2, 2, 2]


def test_weights_that_overshoot_stay_within_8_bits() -> None:
    columns = AxisWeights(torch.tensor([[0, 0]]), torch.tensor([[[0, 1.5, -0.5, 0], [0, -0.5, 1.5, 0]]]))
    rows = AxisWeights(torch.tensor([[0]]), torch.tensor([[[0, 1.0, 0]]]))
    assert values_of(Resample(rows, columns).apply(lines([250, 0]))) == [[255, 0]]


@pytest.mark.parametrize(
    ("mode", "fill", "expected"),
    [("nearest", None, [2, 3, 4, 0]), ("nearest", 9.0, [2, 3, 4, 9]), ("bilinear", 9.0, [2, 3, 4, 9])],
)
def test_images_of_the_subset_are_shifted(mode: str, fill: float | None, expected: list[int]) -> None:
    # One pixel to the right in a width of 4 is 1 / 2 of the range from -1 to 1; pixels are counted from the middle.
    matrices = torch.tensor([[[0.5, 0, 0.5], [0, 2, 0], [0, 0, 1]]])
    color = None if fill is None else torch.full((1, 1, 1, 1), fill)
    warp = Warp(ImageSubset.where([False, True]), matrices, is_perspective=False, mode=mode, fill=color)
    assert values_of(warp.apply(lines([1, 2, 3, 4], [1, 2, 3, 4]))) == [[1, 2, 3, 4], expected]


def test_a_perspective_divides_by_its_third_row() -> None:
    # x' = 2 x / 2 and y' = 2 y / 2: the image as it is.
    matrices = torch.tensor([[[2 / 2, 0, 0], [0, 2 / 0.5, 0], [0, 0, 2]]])
    warp = Warp(ImageSubset.where([True]), matrices, is_perspective=True, mode="bilinear", fill=None)
    assert values_of(warp.apply(lines([1, 2, 3, 4]))) == [[1, 2, 3, 4]]
