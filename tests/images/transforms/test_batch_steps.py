"""Each step becomes operations on a batch, and none where it changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

from pytorch_designer.directories.transform_steps import STEPS, parse_step
from pytorch_designer.images.transforms.batch_colors import Blend, HueShift
from pytorch_designer.images.transforms.batch_steps import batch_steps, has_batch_steps
from pytorch_designer.images.transforms.random_parameters import JitterParameters

NEEDED: dict[str, Any] = {"Resize": 9, "CenterCrop": 9, "Pad": 1, "RandomResizedCrop": 9, "RandomCrop": 9}
NEEDED |= {"RandomRotation": 10, "RandomAffine": 10}


@pytest.mark.parametrize("op", list(STEPS))
def test_every_known_step_can_be_done_in_batches(op: str) -> None:
    assert has_batch_steps(parse_step(op, NEEDED.get(op, {})), (32, 32))


def test_a_rotation_that_expands_draws_a_size() -> None:
    assert not has_batch_steps(parse_step("RandomRotation", {"degrees": 10, "expand": True}), (32, 32))


@pytest.mark.parametrize(("distortion_scale", "side"), [(0.7, 32), (0.5, 15)])
def test_a_perspective_that_may_fold_an_image_is_not_done_in_batches(distortion_scale: float, side: int) -> None:
    step = parse_step("RandomPerspective", {"distortion_scale": distortion_scale})
    assert not has_batch_steps(step, (32, side))


@pytest.mark.parametrize(
    ("op", "args", "drawn"),
    [
        ("RandomHorizontalFlip", {}, [False, False]),
        ("RandomGrayscale", {}, [False, False]),
        ("RandomPerspective", {}, [None, None]),
        ("RandomErasing", {}, [None, None]),
        ("Resize", [7], [None, None]),
        ("CenterCrop", [[7, 9]], [None, None]),
    ],
)
def test_what_happens_to_no_image_takes_no_operation(op: str, args: Any, drawn: list[Any]) -> None:
    assert batch_steps(parse_step(op, args), drawn, (7, 9)) == []


def test_jitter_is_done_in_the_order_of_each_image() -> None:
    factors: dict[str, float | None] = {"brightness": 1.5, "contrast": None, "saturation": 0.25, "hue": 0.5}
    one = JitterParameters(("hue", "brightness", "contrast", "saturation"), factors)
    two = JitterParameters(("saturation", "contrast", "brightness", "hue"), factors)
    steps = batch_steps(parse_step("ColorJitter", {}), [one, two], (7, 9))
    blends = [step for step in steps if isinstance(step, Blend)]
    assert [step.factors.flatten().tolist() for step in blends] == [[1, 0.25], [1.5, 1], [1, 1.5], [0.25, 1]]
    saturated = [step.gray_shares for step in blends]
    assert [None if shares is None else shares.flatten().tolist() for shares in saturated] == [
        [0, 0.75],
        None,
        None,
        [0.75, 0],
    ]
    assert all(step.mean_shares is None for step in blends)
    turns = [step for step in steps if isinstance(step, HueShift)]
    assert [step.subset.rows.tolist() for step in turns] == [[0], [1]]
    assert turns[0].shifts.flatten().tolist() == [8, 6, 4]
    assert [isinstance(step, HueShift) for step in steps] == [False, True, False, False, False, True]
