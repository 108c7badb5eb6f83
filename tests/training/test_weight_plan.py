from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytorch_designer.training.weight_plan import StartingPoint, WeightPlan, plan_weights

LEARNS_LITTLE = StartingPoint(
    has_weights=True,
    are_published=False,
    has_new_head=True,
    has_batch_norm=True,
    num_steps=35,
    images_per_class=20.0,
    batch_size=16,
)
LEARNS_MUCH = replace(LEARNS_LITTLE, num_steps=150, images_per_class=200.0)


def plan_of(start: StartingPoint, **changes: Any) -> WeightPlan:
    return plan_weights(replace(start, **changes))


@pytest.mark.parametrize("has_batch_norm", [True, False])
@pytest.mark.parametrize("start", [LEARNS_LITTLE, LEARNS_MUCH])
def test_random_weights_are_left_and_scaled(start: StartingPoint, *, has_batch_norm: bool) -> None:
    plan = plan_of(start, has_weights=False, has_new_head=False, has_batch_norm=has_batch_norm)
    assert plan == WeightPlan(are_given=False, stays_near=False, scales_convolutions=True, shrinks_head=True)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"num_steps": 1}, True),
        ({"images_per_class": 199.9}, True),
        ({"num_steps": 149}, True),
        ({"batch_size": 15}, True),
        ({}, False),
        ({"num_steps": 1501}, False),
        ({"num_steps": 1501, "images_per_class": 1.0}, False),
        ({"has_new_head": False}, True),
        ({"has_new_head": False, "num_steps": 1500}, True),
        ({"has_new_head": False, "num_steps": 1501}, False),
        ({"has_batch_norm": False}, True),
        ({"has_batch_norm": False, "num_steps": 1500}, True),
        ({"has_batch_norm": False, "num_steps": 1501}, False),
        ({"are_published": True}, True),
        ({"are_published": True, "num_steps": 1500}, True),
        ({"are_published": True, "num_steps": 1501}, False),
    ],
)
def test_a_run_leaves_weights_with_much_to_learn_and_sizes_to_choose_or_many_steps(
    changes: dict[str, Any], expected: bool
) -> None:
    assert plan_of(LEARNS_MUCH, **changes).stays_near is expected


@pytest.mark.parametrize("num_steps", [1, 1500])
def test_a_run_stays_near_weights_with_little_to_learn_and_scales_them(num_steps: int) -> None:
    plan = plan_of(LEARNS_LITTLE, num_steps=num_steps)
    assert plan == WeightPlan(are_given=True, stays_near=True, scales_convolutions=True, shrinks_head=True)


@pytest.mark.parametrize(
    ("start", "changes", "expected"),
    [
        (LEARNS_LITTLE, {}, True),
        (LEARNS_LITTLE, {"are_published": True}, True),
        (LEARNS_LITTLE, {"has_new_head": False}, False),
        (LEARNS_MUCH, {}, True),
        (LEARNS_MUCH, {"are_published": True}, False),
        (LEARNS_MUCH, {"has_new_head": False}, False),
        (LEARNS_MUCH, {"are_published": True, "num_steps": 1501}, True),
        (LEARNS_MUCH, {"has_new_head": False, "num_steps": 1501}, False),
    ],
)
def test_given_weights_are_scaled_with_a_new_classifier_but_near_them_only_where_little_is_learned(
    start: StartingPoint, changes: dict[str, Any], expected: bool
) -> None:
    assert plan_of(start, **changes).scales_convolutions is expected


@pytest.mark.parametrize("start", [LEARNS_LITTLE, LEARNS_MUCH])
def test_near_weights_without_batch_norm_the_whole_start_is_kept(start: StartingPoint) -> None:
    assert not plan_of(start, has_batch_norm=False).shrinks_head
    assert plan_of(start, has_batch_norm=False, num_steps=1501).shrinks_head
    assert plan_of(start).shrinks_head
