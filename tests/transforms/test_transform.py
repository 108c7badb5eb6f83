"""Every transform is registered once, with all its parts, and a batch becomes what its images become one by one."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytorch_designer import transforms
from pytorch_designer.transforms.color import Blend, ColorJitter, HueShift, JitterParameters
from pytorch_designer.transforms.drawn_batch import one_by_one
from pytorch_designer.transforms.registrations import TRANSFORMS, parse_transform
from pytorch_designer.transforms.transform import OneByOne, RandomTransform, Switch, Transform
from tests.transforms.batch_cases import (
    EXACT,
    RESAMPLED,
    ROUNDED,
    augmentation_of,
    images_of,
    one_by_one_drawn,
    share_beyond,
    transform_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = (32, 32)


def defined_transforms() -> Iterator[type[Transform]]:
    """All classes of transforms that the modules of the folder define."""
    for module in pkgutil.iter_modules(transforms.__path__):
        for _, value in inspect.getmembers(importlib.import_module(f"{transforms.__name__}.{module.name}")):
            if inspect.isclass(value) and issubclass(value, Transform) and value.__module__.endswith(module.name):
                yield value


def test_every_public_transform_is_registered() -> None:
    bases = {Transform, RandomTransform}
    defined = {each for each in defined_transforms() if each not in bases and not each.__name__.startswith("_")}
    assert defined == set(TRANSFORMS.values())


@pytest.mark.parametrize("op", TRANSFORMS)
def test_a_registration_has_all_parts(op: str) -> None:
    transform = TRANSFORMS[op]
    assert not inspect.isabstract(transform), "apply, batch or, where it is random, draw is missing"
    assert issubclass(transform, RandomTransform) == transform.is_random
    assert inspect.getdoc(transform) != inspect.getdoc(Transform)
    assert isinstance(transform.switch, Switch)
    assert transform.switch.description
    assert all(field.description for field in transform.switch.parameters.values())
    defaults = {name: field.default for name, field in transform.switch.parameters.items()}
    made = parse_transform(op, transform.switch.arguments(**defaults))
    stated = made.batch(SIZE)
    assert stated.reason if isinstance(stated, OneByOne) else callable(stated)


def test_a_transform_without_a_part_cannot_be_made() -> None:
    class Halfway(RandomTransform):
        def apply(self, image_u8: Any, drawn: Any) -> Any:
            return image_u8

    with pytest.raises(TypeError, match=r"batch.*draw"):
        Halfway()  # type: ignore[abstract]  # is refused


@pytest.mark.parametrize("op", TRANSFORMS)
def test_every_transform_is_compared_with_itself_in_batches_or_says_that_it_has_none(op: str) -> None:
    cases = [case for case in (*EXACT, *RESAMPLED, *ROUNDED) if case[0] == op]
    if not cases:
        assert isinstance(parse_transform(op, {}).batch(SIZE), OneByOne)
    for case in cases:
        augmentation = augmentation_of([transform_of(case)], SIZE)
        assert augmentation.can_draw_batches(), case
        images, rows = images_of(6, SIZE), np.arange(6)
        ours = augmentation.draw_batch(images, epoch=1, rows=rows)
        expected = one_by_one_drawn(augmentation, images, epoch=1, rows=rows.tolist())
        assert share_beyond(ours, expected, 1) < 1e-3


@pytest.mark.slow
def test_transforms_are_opened_and_validated_without_torch_and_numpy() -> None:
    program = (
        "import sys; from pytorch_designer.transforms.registrations import TRANSFORMS, parse_transform; "
        "[parse_transform(op, each.switch.arguments(**{n: f.default for n, f in each.switch.parameters.items()})) "
        "for op, each in TRANSFORMS.items()]; print([name for name in ('torch', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("op", "args", "size", "reason"),
    [
        ("RandomRotation", {"degrees": 10, "expand": True}, SIZE, "different sizes"),
        ("RandomPerspective", {"distortion_scale": 0.7}, SIZE, "on a line"),
        ("RandomPerspective", {}, (32, 15), "on a line"),
        ("RandAugment", {}, SIZE, "different operations"),
        ("TrivialAugmentWide", {}, SIZE, "different operations"),
    ],
)
def test_reason_why_a_batch_is_impossible(op: str, args: Any, size: tuple[int, int], reason: str) -> None:
    stated = one_by_one([parse_transform("RandomHorizontalFlip", {}), parse_transform(op, args)], size)
    assert stated is not None
    assert stated.startswith(op)
    assert reason in stated


@pytest.mark.parametrize(
    ("op", "args", "drawn"),
    [
        ("RandomHorizontalFlip", {}, [False, False]),
        ("RandomGrayscale", {}, [False, False]),
        ("RandomAutocontrast", {}, [False, False]),
        ("RandomPerspective", {}, [None, None]),
        ("RandomErasing", {}, [None, None]),
        ("Resize", [17], [None, None]),
        ("CenterCrop", [[17, 19]], [None, None]),
    ],
)
def test_what_happens_to_no_image_takes_no_operation(op: str, args: Any, drawn: list[Any]) -> None:
    function = parse_transform(op, args).batch((17, 19))
    assert not isinstance(function, OneByOne)
    assert function(drawn) == []


def test_jitter_is_applied_in_the_order_of_each_image() -> None:
    factors: dict[str, float | None] = {"brightness": 1.5, "contrast": None, "saturation": 0.25, "hue": 0.5}
    one = JitterParameters(("hue", "brightness", "contrast", "saturation"), factors)
    two = JitterParameters(("saturation", "contrast", "brightness", "hue"), factors)
    function = ColorJitter().batch((7, 9))
    operations = function([one, two])
    blends = [each for each in operations if isinstance(each, Blend)]
    assert [each.factors.flatten().tolist() for each in blends] == [[1, 0.25], [1.5, 1], [1, 1.5], [0.25, 1]]
    saturated = [each.gray_shares for each in blends]
    assert [None if shares is None else shares.flatten().tolist() for shares in saturated] == [
        [0, 0.75],
        None,
        None,
        [0.75, 0],
    ]
    assert all(each.mean_shares is None for each in blends)
    turns = [each for each in operations if isinstance(each, HueShift)]
    assert [each.subset.rows.tolist() for each in turns] == [[0], [1]]
    assert turns[0].shifts.flatten().tolist() == [8, 6, 4]
    assert [isinstance(each, HueShift) for each in operations] == [False, True, False, False, False, True]
