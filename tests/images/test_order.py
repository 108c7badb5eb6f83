"""Orders depend on their keys alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytorch_designer.images.order import batch_slices, epoch_order, share_of


@given(st.integers(0, 300), st.integers(), st.integers(1, 1000))
def test_an_epoch_sees_every_image_once(num_images: int, seed: int, epoch: int) -> None:
    assert sorted(epoch_order(num_images, seed=seed, epoch=epoch).tolist()) == list(range(num_images))


def test_order_is_the_same_each_time_and_differs_by_seed_and_epoch() -> None:
    orders = [epoch_order(100, seed=seed, epoch=epoch).tolist() for seed in (-1, 1, 10**30) for epoch in (1, 2)]
    assert orders[0] == epoch_order(100, seed=-1, epoch=1).tolist()
    assert len({tuple(order) for order in orders}) == 6


def test_order_does_not_change_between_releases() -> None:
    assert epoch_order(8, seed=1, epoch=1).tolist() == [4, 7, 2, 6, 1, 0, 5, 3]


def test_every_place_is_equally_likely() -> None:
    firsts = np.array([epoch_order(5, seed=seed, epoch=1)[0] for seed in range(2000)])
    assert np.bincount(firsts, minlength=5).min() > 330  # 400 expected, standard deviation 18


@pytest.mark.parametrize(
    ("num_images", "batch_size", "sizes"),
    [
        (10, 5, [5, 5]),
        (10, 4, [4, 4, 2]),
        (9, 4, [4, 5]),
        (3, 2, [3]),
        (5, 16, [5]),
        (1, 16, [1]),
        (3, 1, [1, 1, 1]),
        (0, 4, []),
    ],
)
def test_a_last_batch_of_one_is_folded_into_the_one_before(num_images: int, batch_size: int, sizes: list[int]) -> None:
    slices = batch_slices(num_images, batch_size)
    assert [part.stop - part.start for part in slices] == sizes
    assert [row for part in slices for row in range(num_images)[part]] == list(range(num_images))


def test_folding_can_be_left_out() -> None:
    assert batch_slices(9, 4, least_last=1) == [slice(0, 4), slice(4, 8), slice(8, 9)]


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 5))
def test_processes_share_each_batch_evenly_and_none_runs_dry(num_images: int, batch_size: int, size: int) -> None:
    batches = batch_slices(num_images, batch_size * size, least_last=2 * size)
    shares = [[share_of(batch, rank=rank, size=size) for rank in range(size)] for batch in batches]
    assert [row for parts in shares for part in parts for row in range(num_images)[part]] == list(range(num_images))
    for parts in shares:
        sizes = [part.stop - part.start for part in parts]
        assert max(sizes) - min(sizes) <= 1
        assert min(sizes) >= min(2, batch_size) or len(batches) == 1, "only where there are too few images for all"


def test_one_process_has_the_batches_of_before() -> None:
    assert share_of(slice(3, 10), rank=0, size=1) == slice(3, 10)
    assert [share_of(slice(3, 10), rank=rank, size=3) for rank in range(3)] == [slice(3, 6), slice(6, 8), slice(8, 10)]
