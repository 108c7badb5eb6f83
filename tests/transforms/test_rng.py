"""Random numbers are keyed, uniform, and the same whatever else is drawn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from pytorch_designer.transforms.rng import Rng


def test_equal_keys_give_equal_numbers_and_others_give_others() -> None:
    def first(*keys: str | int, seed: int = 1) -> float:
        return Rng(seed, *keys).uniform()

    assert first("augmentation", 2, 3) == first("augmentation", 2, 3)
    keys = [("augmentation", epoch, row) for epoch in range(20) for row in range(50)]
    assert len({first(*key) for key in keys}) == len(keys)
    assert first("augmentation", 2, 3) != first("augmentation", 2, 3, seed=-(10**30))


def test_numbers_stay_what_they_were() -> None:
    """Written down once: a change would make runs unrepeatable, and checkpoints wrong."""
    rng = Rng(1, "augmentation", 1, 0)
    assert rng.uniform() == 0.05713158548269659
    assert (rng.integer(0, 1000), rng.happens(0.5), rng.permutation(4)) == (221, False, [0, 2, 1, 3])
    assert rng.values(3).tolist() == [205, 26, 234]


def test_integers_are_uniform_and_within_their_bounds() -> None:
    rng = Rng(0)
    counts = Counter(rng.integer(-3, 7) for _ in range(20_000))
    assert sorted(counts) == list(range(-3, 7))
    assert max(abs(count - 2000) for count in counts.values()) < 5 * np.sqrt(2000 * 0.9)
    assert {rng.integer(4, 5) for _ in range(50)} == {4}


def test_uniform_numbers_fill_their_range_evenly() -> None:
    rng = Rng(0)
    values = np.array([rng.uniform(-2, 3) for _ in range(20_000)])
    assert -2 <= values.min() < -1.99
    assert 2.99 < values.max() < 3
    counts, _ = np.histogram(values, bins=10, range=(-2, 3))
    assert np.abs(counts - 2000).max() < 5 * np.sqrt(2000 * 0.9)
    assert rng.uniform(2, 2) == 2


@pytest.mark.parametrize(("probability", "expected"), [(0, 0), (1, 1), (0.3, 0.3)])
def test_events_happen_as_often_as_asked(probability: float, expected: float) -> None:
    rng = Rng(0)
    share = np.mean([rng.happens(probability) for _ in range(10_000)])
    assert abs(share - expected) <= 5 * np.sqrt(expected * (1 - expected) / 10_000)


def test_every_order_is_as_likely() -> None:
    rng = Rng(0)
    counts = Counter(tuple(rng.permutation(4)) for _ in range(24 * 500))
    assert len(counts) == 24
    assert max(abs(count - 500) for count in counts.values()) < 5 * np.sqrt(500)


@pytest.mark.parametrize("num_values", [1, 7, 8, 9, 100_000])
def test_values_are_bytes_of_all_sizes(num_values: int) -> None:
    values = Rng(0).values(num_values)
    assert values.shape == (num_values,)
    assert values.dtype == np.uint8
    if num_values == 100_000:
        assert np.bincount(values, minlength=256).min() > 300
