"""Random numbers for one image in one epoch, as a function of the seed, the epoch and the image's row alone.

They are made from the raw numbers of PCG64, which are the same in every release of numpy. Those of torch's global
generator would depend on which thread asks first.
"""

from __future__ import annotations

import math

import numpy as np

from pytorch_designer.seeds import derive_seed

_RANDOM_BITS = 53  # as many as a float64 between 0 and 1 holds
_UNIT = 1 << _RANDOM_BITS


class Rng:
    """Stream of random numbers.

    Args:
        seed: The run's seed, any integer.
        keys: What the stream is for: equal seeds and keys give equal numbers, others give independent ones.
    """

    def __init__(self, seed: int, *keys: str | int) -> None:
        self._generator = np.random.PCG64(derive_seed(seed, *keys))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """A number from `low` up to `high`."""
        return low + (high - low) * (self._bits() / _UNIT)

    def integer(self, low: int, high: int) -> int:
        """A whole number from `low` to `high` - 1, each as likely."""
        return low + ((self._bits() * (high - low)) >> _RANDOM_BITS)

    def happens(self, probability: float) -> bool:
        """True with this probability."""
        return self.uniform() < probability

    def permutation(self, length: int) -> list[int]:
        """The numbers from 0 to `length` - 1 in an order drawn from all orders."""
        keys = [self._bits() for _ in range(length)]
        return sorted(range(length), key=keys.__getitem__)

    def sides(self, area: int, scale: tuple[float, float], ratio: tuple[float, float]) -> tuple[int, int]:
        """Sides of a rectangle: its share of `area` is from `scale`, the ratio of first to second side from `ratio`."""
        part = area * self.uniform(*scale)
        drawn = math.exp(self.uniform(math.log(ratio[0]), math.log(ratio[1])))
        return round(math.sqrt(part * drawn)), round(math.sqrt(part / drawn))

    def place(self, height: int, width: int, *, within: tuple[int, int]) -> tuple[int, int]:
        """Top and left of a rectangle anywhere in an image of `within` (height, width) pixels."""
        top = self.integer(0, within[0] - height + 1)
        return top, self.integer(0, within[1] - width + 1)

    def values(self, num_values: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        """uint8 [num_values], each from 0 to 255."""
        raw = self._generator.random_raw(-(-num_values // 8))
        return np.asarray(raw, dtype="<u8").view(np.uint8)[:num_values]

    def _bits(self) -> int:
        return int(self._generator.random_raw()) >> (64 - _RANDOM_BITS)
