"""Every row of the dataset gets its probabilities, in order, whatever was left out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.errors import InvalidDatasetError, ModuleOutOfMemoryError
from pytorch_designer.inference.compute import Compute
from pytorch_designer.inference.image_batch import ImageBatch
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.inference.probabilities import row_probabilities

PLAN = Compute(torch.device("cpu"), "fp32", torch.contiguous_format, num_threads=1, is_deterministic=True)
PREPROCESSING = Preprocessing(crop_height=1, crop_width=1, mean=(0, 0, 0), std=(1, 1, 1))


class FirstTwoChannels(nn.Module):
    """Its logits are the red and the green of a pixel in 0 to 255."""

    def forward(self, images_nchw: Tensor) -> Tensor:
        return images_nchw[:, :2, 0, 0] * 255


class NotFinite(nn.Module):
    """Its logits are NaN where red is 9."""

    def forward(self, images_nchw: Tensor) -> Tensor:
        logits_n2 = images_nchw[:, :2, 0, 0] * 255
        return torch.where((logits_n2[:, :1].round() == 9).expand(-1, 2), torch.nan, logits_n2)


class WantsFivePixels(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 2, kernel_size=5), nn.Flatten())


class IsBroken(nn.Module):
    def forward(self, images_nchw: Tensor) -> Tensor:
        if images_nchw.is_meta:
            return images_nchw[:, :2, 0, 0]
        raise RuntimeError("a bug")


class Fails(nn.Module):
    def forward(self, images_nchw: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory.")


def batch(rows: list[int]) -> ImageBatch:
    """One pixel an image: red is the row, green is 0."""
    pixels = [[row % 256, 0, 0] for row in rows]
    return ImageBatch(np.array(rows), torch.tensor(pixels, dtype=torch.uint8)[:, :, None, None])


def pieces(
    network: nn.Module, batches: list[ImageBatch], num_rows: int
) -> Iterator[tuple[slice, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]]:
    predictor = Predictor(network, PREPROCESSING, PLAN)
    return row_probabilities(batches, predictor, num_rows=num_rows, num_classes=2, port="dataset")


def test_rows_without_an_image_are_empty_and_all_others_in_place() -> None:
    found = list(pieces(FirstTwoChannels(), [batch([1, 2, 5]), batch([6]), batch([9])], num_rows=12))
    assert [row for rows, _ in found for row in range(rows.start, rows.stop)] == list(range(12))
    probabilities = np.concatenate([part for _, part in found])
    assert np.flatnonzero(~np.isnan(probabilities).any(axis=1)).tolist() == [1, 2, 5, 6, 9]
    for row in (1, 2, 5, 6, 9):
        assert probabilities[row, 0] == pytest.approx(1 / (1 + np.exp(-row)), rel=1e-6)


def test_probabilities_are_float64_and_sum_to_one() -> None:
    [(_, probabilities)] = pieces(FirstTwoChannels(), [batch(list(range(40)))], num_rows=40)
    assert probabilities.dtype == np.float64
    assert np.abs(probabilities.sum(axis=1) - 1).max() <= 2**-52
    assert probabilities[39, 1] == pytest.approx(np.exp(-39), rel=1e-4)  # in float32, 1 - p would be 0


def test_many_rows_without_images_come_in_bounded_pieces() -> None:
    found = list(pieces(FirstTwoChannels(), [batch([1000])], num_rows=3000))
    assert max(len(part) for _, part in found) <= 256
    assert sum(len(part) for _, part in found) == 3000


def test_output_that_is_not_finite_is_not_a_score() -> None:
    [(_, probabilities)] = pieces(NotFinite(), [batch(list(range(11)))], num_rows=11)
    assert np.flatnonzero(np.isnan(probabilities).all(axis=1)).tolist() == [9]


def test_memory_that_runs_out_is_named_with_advice_for_scoring() -> None:
    with pytest.raises(ModuleOutOfMemoryError, match="batch of 3 images") as caught:
        list(pieces(Fails(), [batch([0, 1, 2])], num_rows=3))
    assert caught.value.where == "dataset"
    assert "batch_size" not in caught.value.advice


def test_images_of_a_size_that_the_network_does_not_take_are_named() -> None:
    with pytest.raises(InvalidDatasetError, match="WantsFivePixels does not take images of 1 x 1 pixels") as caught:
        list(pieces(WantsFivePixels(), [batch([0, 1])], num_rows=2))
    assert caught.value.reason == "image_size"


def test_other_faults_of_a_network_stay_what_they_are() -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        list(pieces(IsBroken(), [batch([0])], num_rows=1))
