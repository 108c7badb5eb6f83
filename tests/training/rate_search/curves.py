"""Curves of range tests whose shape is known."""

from __future__ import annotations

import math

import numpy as np

from pytorch_designer.training.rate_search.rate_curve import RateCurve

RATES = tuple(float(rate) for rate in np.logspace(-5, 0, 101))


def valley(lowest: float, *, start: float = 1.6, depth: float = 1.2, noise: float = 0.0, seed: int = 0) -> RateCurve:
    """A loss that falls to its lowest value at `lowest`, over a decade and a half, and rises over half a decade."""
    positions = np.log10(RATES) - math.log10(lowest)
    falling = depth * np.clip(1 + positions / 1.5, 0, 1)
    rising = 4 * np.clip(positions, 0, None)
    losses = start - falling + rising + noise * np.random.default_rng(seed).normal(size=len(RATES))
    return RateCurve(RATES, tuple(losses.tolist()), has_diverged=False)
