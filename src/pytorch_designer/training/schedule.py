"""The learning rate of every step: half a cosine from the given rate to zero (docs/decisions/0004-optimizer.md)."""

from __future__ import annotations

import math


def learning_rate_at(step: int, *, num_steps: int, initial: float) -> float:
    """The learning rate of a step.

    Args:
        step: Steps taken before this one, from 0 to num_steps - 1.
        num_steps: Steps of the whole run, if it is not stopped early.
        initial: Learning rate of step 0.

    Returns:
        initial * (1 + cos(pi * step / num_steps)) / 2, which is positive for every step of the run.
    """
    return initial * (0.5 * (1.0 + math.cos(math.pi * step / num_steps)))
