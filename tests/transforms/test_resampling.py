"""Taps are those with which torch resizes 8 bit images, and those that follow from the definition of the filters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from pytorch_designer.transforms.resampling import Taps, nearest_indices, resampling_taps


def taps_of(length: int, num_out: int, interpolation: str = "bilinear", *, antialias: bool = True) -> Taps:
    starts, lengths = np.zeros(1, dtype=np.int64), np.array([length])
    return resampling_taps(starts, lengths, num_out, interpolation=interpolation, antialias=antialias)


def matrix_of(taps: Taps, length: int) -> torch.Tensor:
    """float32 [num_out, length], with a loop instead of the tricks."""
    matrix = np.zeros((taps.starts.shape[1], length), dtype=np.float32)
    for place, (start, weights) in enumerate(zip(taps.starts[0], taps.weights[0], strict=True)):
        for tap, weight in enumerate(weights):
            if start + tap < length:
                matrix[place, start + tap] += weight
            else:
                assert weight == 0
    return torch.from_numpy(matrix)


def test_halving_averages_a_triangle_of_four_pixels() -> None:
    # The triangle around the border between pixels 1 and 2 reaches 2 to each side: 1/4, 3/4, 3/4, 1/4 of 2.
    matrix = matrix_of(taps_of(8, 4), 8)
    assert matrix[1].tolist() == [0, 0.125, 0.375, 0.375, 0.125, 0, 0, 0]
    # The first pixel misses the 1/4 that is outside; what is left of the triangle counts for all.
    assert matrix[0, :4].tolist() == pytest.approx([3 / 7, 3 / 7, 1 / 7, 0], abs=2**-16)


def test_doubling_takes_three_quarters_of_the_nearer_pixel() -> None:
    for antialias in (True, False):
        matrix = matrix_of(taps_of(3, 6, antialias=antialias), 3)
        assert matrix[:3].tolist() == [[1, 0, 0], [0.75, 0.25, 0], [0.25, 0.75, 0]]
        assert matrix[3:].tolist() == [[0, 0.75, 0.25], [0, 0.25, 0.75], [0, 0, 1]]


def test_without_antialiasing_pixels_are_left_out() -> None:
    matrix = matrix_of(taps_of(8, 2, antialias=False), 8)
    assert matrix.tolist() == [[0, 0.5, 0.5, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0.5, 0.5, 0]]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
def test_a_part_that_keeps_its_size_is_copied(interpolation: str, antialias: bool) -> None:
    assert torch.equal(matrix_of(taps_of(7, 7, interpolation, antialias=antialias), 7), torch.eye(7))


def test_images_have_taps_of_their_own() -> None:
    starts, lengths = np.array([2, 0, 5]), np.array([3, 11, 1])
    together = resampling_taps(starts, lengths, 4, interpolation="bilinear", antialias=True)
    for image in range(3):
        alone = matrix_of(taps_of(int(lengths[image]), 4), 16)
        assert torch.equal(
            matrix_of(Taps(together.starts[[image]] - starts[image], together.weights[[image]]), 16), alone
        )


@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in {"AVX2", "AVX512"}, reason="torch computes in 8 bits with AVX2"
)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
@settings(max_examples=60)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 99))
def test_lines_are_resized_to_the_last_bit_as_torch_does(
    interpolation: str, antialias: bool, length: int, num_out: int, seed: int
) -> None:
    line = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (1, 3, 5, length), dtype=np.uint8))
    expected = interpolate(line, (5, num_out), mode=interpolation, antialias=antialias, align_corners=False)
    weights = matrix_of(taps_of(length, num_out, interpolation, antialias=antialias), length).double()
    ours = torch.floor(line.double() @ weights.T + 0.5).clamp(0, 255)
    assert torch.equal(ours.to(torch.uint8), expected)


@settings(max_examples=60)
@given(st.integers(1, 3000), st.integers(1, 3000), st.booleans())
@example(2, 159, True)  # a place between two pixels, but for rounding
def test_nearest_pixels_are_torchs(length: int, num_out: int, is_exact: bool) -> None:
    line = torch.arange(length, dtype=torch.float32)[None, None]
    expected = interpolate(line, num_out, mode="nearest-exact" if is_exact else "nearest")[0, 0]
    pixels = nearest_indices(np.array([7]), np.array([length]), num_out, is_exact=is_exact)
    assert pixels[0].tolist() == (expected + 7).tolist()
