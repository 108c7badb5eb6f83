"""The learning rate of every step: held, then lowered along a line to zero (docs/decisions/0004-optimizer.md)."""

from __future__ import annotations

HELD_SHARE = 0.5
"""Share of a run's steps that are taken at the initial learning rate."""


def learning_rate_at(step: int, *, num_steps: int, initial: float) -> float:
    """The learning rate of a step.

    Args:
        step: Steps taken before this one, from 0 to num_steps - 1.
        num_steps: Steps of the whole run, if it is not stopped early.
        initial: Learning rate of step 0.

    Returns:
        `initial` in the first half of the run, then initial * 2 * (1 - step / num_steps), which is positive for every
        step.
    """
    return initial * min(1.0, (1.0 - step / num_steps) / (1.0 - HELD_SHARE))
