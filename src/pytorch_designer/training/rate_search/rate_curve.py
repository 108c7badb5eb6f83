"""Curve of a learning-rate range test, and the learning rate that it suggests; knows no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOWEST_RATE, HIGHEST_RATE = 1e-5, 1.0
_DEFAULT_RATE = 0.001  # of Train PyTorch Model
_SMOOTHING_DECADES = 0.2  # standard deviation of the Gaussian average, along the logarithm of the rate
_START_DECADES = 0.5  # of the range, in which nearly nothing is learned: the loss before training
_SHARE_OF_FALL = 0.9  # reached at the suggested rate, of the fall to the lowest loss
_LEAST_FALL = 4.0  # times the noise
_ROUNDING = 1e-6
_DIGITS = (1, 2, 3, 5)


@dataclass(frozen=True)
class RateCurve:
    """Training loss by learning rate, of one short run in which the rate grows with each step.

    Attributes:
        rates: Learning rates, growing by an equal factor.
        losses: Mean cross-entropy in nats of the batch at each of them, before its step; all finite.
        has_diverged: Whether the test ended before its highest rate because the loss was far above its lowest value,
            or not finite.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    has_diverged: bool

    @cached_property
    def smoothed(self) -> NDArray[np.float64]:
        """Losses averaged over neighboring rates, by weights of a Gaussian; float64 [n]."""
        positions = np.log10(self.rates)
        distances = (positions[:, None] - positions[None]) / _SMOOTHING_DECADES
        weights = np.exp(-0.5 * distances**2)
        return np.asarray(weights @ np.array(self.losses) / weights.sum(1))

    @property
    def start(self) -> float:
        """Mean loss at the lowest rates, at which nearly nothing is learned."""
        return float(np.mean(self._first_losses))

    @property
    def noise(self) -> float:
        """Standard deviation of the smoothed losses that comes from the choice of the batches alone."""
        per_decade = len(self.rates) / max(math.log10(self.rates[-1] / self.rates[0]), 1e-9)
        averaged = max(1.0, 2 * math.sqrt(math.pi) * _SMOOTHING_DECADES * per_decade)
        return float(np.std(self._first_losses, ddof=1)) / math.sqrt(averaged) if len(self._first_losses) > 1 else 0.0

    @property
    def _first_losses(self) -> tuple[float, ...]:
        return tuple(
            loss
            for rate, loss in zip(self.rates, self.losses, strict=True)
            if rate <= self.rates[0] * 10**_START_DECADES
        )


@dataclass(frozen=True)
class RateSuggestion:
    """Learning rate to train with.

    Attributes:
        rate: The suggestion; None where the curve shows none.
        reason: What the curve shows, as a sentence.
    """

    rate: float | None
    reason: str


def suggest_rate(curve: RateCurve) -> RateSuggestion:
    """The learning rate that a curve suggests: the lowest with nine tenths of the fall, rounded down to 1, 2, 3 or 5.

    Where the curve is flat around its lowest point, the position of that point is chance; the rate at which most of the
    fall is reached is not. Where the loss falls by no more than its noise, which is usual for published weights, only
    the default is named. Other rules, measured: docs/benchmarks_log.md.
    """
    smoothed = curve.smoothed
    lowest = int(smoothed.argmin())
    fall = curve.start - float(smoothed[lowest])
    if fall <= max(_LEAST_FALL * curve.noise, _ROUNDING):
        return RateSuggestion(
            None,
            "The loss did not fall by more than its noise at any learning rate: train at the default, "
            f"{_DEFAULT_RATE:g}. A whole run, whose rate falls towards its end, learns more than these few steps.",
        )
    reached = int(np.flatnonzero(smoothed[: lowest + 1] <= curve.start - _SHARE_OF_FALL * fall)[0])
    rate = rounded_down(curve.rates[reached])
    reason = f"The loss fell from {curve.start:.3f} to {smoothed[lowest]:.3f} at {curve.rates[lowest]:.2g}"
    rises = curve.has_diverged or smoothed[-1] > smoothed[lowest] + curve.noise
    end = "and rose beyond" if rises else "the end of the range"
    return RateSuggestion(
        rate, f"{reason}, {end}. The suggestion is where nine tenths of the fall were reached, rounded down."
    )


def rounded_down(rate: float) -> float:
    """The largest of 1, 2, 3 and 5 times a power of ten that is not above `rate`."""
    power = 10.0 ** math.floor(math.log10(rate) + 1e-9)
    digit = max(step for step in _DIGITS if step <= rate / power * (1 + 1e-9))
    return float(f"{digit * power:.1g}")


def table_lines(curve: RateCurve, suggestion: RateSuggestion) -> list[str]:
    """The curve as a table for a terminal, with a row per half decade."""
    smoothed = curve.smoothed
    lowest = float(curve.rates[int(smoothed.argmin())])
    lines = ["learning rate      loss"]
    marks = {suggestion.rate: "suggested", lowest: "lowest loss"}
    half_decades = [rounded_down(10 ** (exponent / 2) * 1.001) for exponent in range(-10, 1)]
    for rate in sorted({*half_decades, *(rate for rate in marks if rate is not None)}):
        if rate > curve.rates[-1] * 1.001:
            lines.append(f"{rate:>13.2g}         -  the test had ended: the loss was too high")
            break
        loss = float(np.interp(math.log10(rate), np.log10(curve.rates), smoothed))
        mark = marks.get(rate, "")
        lines.append(f"{rate:>13.2g}  {loss:>8.4f}" + (f"  {mark}" if mark else ""))
    return lines
