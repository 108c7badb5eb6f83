"""Early termination: which trials have so poor a primary metric that they are ended.

A trial's interval i is the i-th value of the metric that it has logged. A policy looks at a trial at each interval that
is a multiple of `evaluation_interval` and not before `delay_evaluation`. It compares the best value that the trial has
logged up to this interval with those of all trials that have got as far.

    bandit                worse than the best trial by more than `slack_amount`, or by the ratio 1 + `slack_factor`
    median_stopping       worse than the median of the trials' mean values up to this interval
    truncation_selection  among the worst `truncation_percentage` percent of the trials

https://learn.microsoft.com/azure/machine-learning/how-to-tune-hyperparameters
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytorch_designer.harness.node_kinds.sweep_settings import Termination


def reason_to_end(
    policy: Termination, number: int, histories: Mapping[int, Sequence[float]], *, is_maximized: bool
) -> str | None:
    """Reason for which a trial is to be ended, in words; None if it goes on.

    Args:
        policy: The policy.
        number: The trial, which runs.
        histories: What each trial has logged, in order.
        is_maximized: Whether larger is better.
    """
    interval = _last_evaluated(policy, len(histories[number]))
    if interval is None:
        return None
    sign = 1 if is_maximized else -1  # all below is about values of which the largest is best
    reached = {
        other: [sign * value for value in history[:interval]]
        for other, history in histories.items()
        if len(history) >= interval
    }
    own = max(reached[number])
    limit = _limit(policy, reached)
    if own >= limit:
        return None
    return f"{policy.type} at interval {interval}: {sign * own:.4g} is worse than {sign * limit:.4g}"


def _last_evaluated(policy: Termination, num_logged: int) -> int | None:
    """The last interval at which the policy looks at a trial that has logged so many values."""
    interval = num_logged - num_logged % policy.evaluation_interval
    return interval if interval >= max(policy.delay_evaluation, 1) else None


def _limit(policy: Termination, reached: Mapping[int, Sequence[float]]) -> float:
    """The value that a trial must have at least."""
    bests = sorted(max(history) for history in reached.values())
    if policy.type == "median_stopping":
        return statistics.median(statistics.fmean(history) for history in reached.values())
    if policy.type == "truncation_selection":
        return bests[len(bests) * policy.truncation_percentage // 100]
    best = bests[-1]
    if policy.slack_amount is not None:
        return best - policy.slack_amount
    ratio = 1 + (policy.slack_factor or 0)
    return best / ratio if best > 0 else best * ratio
