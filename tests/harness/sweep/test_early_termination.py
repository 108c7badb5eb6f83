"""Policies of early termination, with limits computed by hand."""

from __future__ import annotations

import pytest

from pytorch_designer.harness.node_kinds.sweep_settings import Termination
from pytorch_designer.harness.sweep.early_termination import reason_to_end

BEST = [0.5, 0.8]


def _ends(policy: Termination, own: list[float], *others: list[float], is_maximized: bool = True) -> bool:
    histories = dict(enumerate((own, *others)))
    return reason_to_end(policy, 0, histories, is_maximized=is_maximized) is not None


@pytest.mark.parametrize(
    ("policy", "own", "ends"),
    [
        # 0.8 / 1.2 = 0.667: the example of Azure ML's documentation
        (Termination("bandit", slack_factor=0.2), [0.1, 0.66], True),
        (Termination("bandit", slack_factor=0.2), [0.1, 0.67], False),
        (Termination("bandit", slack_amount=0.1), [0.1, 0.69], True),
        (Termination("bandit", slack_amount=0.1), [0.71, 0.0], False),  # the best value so far counts
        (Termination("bandit", slack_amount=0.1, delay_evaluation=3), [0.1, 0.1], False),
        (Termination("bandit", slack_amount=0.1, evaluation_interval=3), [0.1, 0.1], False),
        (Termination("bandit", slack_amount=0.1), [], False),
        (Termination("bandit", slack_amount=0.1), [0.1], True),  # at interval 1 the best is 0.5
        (Termination("bandit", slack_amount=0.1), [0.1, 0.1, 0.1], False),  # no other has got that far
    ],
)
def test_bandit(policy: Termination, own: list[float], ends: bool) -> None:
    assert _ends(policy, own, BEST) is ends


def test_bandit_where_less_is_better() -> None:
    policy = Termination("bandit", slack_factor=0.5)  # the limit is 2 * 1.5 = 3

    assert _ends(policy, [3.1], [2.0], is_maximized=False)
    assert not _ends(policy, [2.9], [2.0], is_maximized=False)


def test_median_stopping_compares_with_the_median_of_the_means() -> None:
    policy = Termination("median_stopping")  # means 0.1 to 0.3, own 0.15: the median is 0.175

    others = [[0.1, 0.1], [0.1, 0.3], [0.3, 0.3]]
    assert _ends(policy, [0.1, 0.16], *others)
    assert not _ends(policy, [0.1, 0.3], *others)
    assert not _ends(policy, [0.1, 0.1])


def test_truncation_selection_ends_the_worst_share() -> None:
    policy = Termination("truncation_selection", truncation_percentage=40)

    others = [[0.1], [0.3], [0.4], [0.5]]  # the worst two of five are 0.1 and the own one
    assert _ends(policy, [0.2], *others)
    assert not _ends(policy, [0.35], *others)
    assert not _ends(policy, [0.2], [0.1])  # 40% of two trials is none
