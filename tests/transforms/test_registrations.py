"""Transforms mean what torchvision documents, however a file spells them, and nothing else is taken."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torchvision.transforms import v2

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.transforms.color import ColorJitter, Grayscale
from pytorch_designer.transforms.erasing import RandomErasing
from pytorch_designer.transforms.flips import RandomHorizontalFlip
from pytorch_designer.transforms.geometry import RandomAffine, RandomRotation
from pytorch_designer.transforms.registrations import (
    TRANSFORMS,
    deterministic_transforms,
    parse_transform,
    parse_transforms,
    split_at_first_random,
)
from pytorch_designer.transforms.sizes import CenterCrop, Pad, RandomCrop, Resize
from pytorch_designer.transforms.transform import Transform


@pytest.mark.parametrize("op", TRANSFORMS)
def test_arguments_and_defaults_are_torchvisions(op: str) -> None:
    documented = inspect.signature(getattr(v2, op)).parameters
    fields = TRANSFORMS[op].model_fields
    assert list(fields) == list(documented)
    for name, parameter in documented.items():
        assert fields[name].is_required() == (parameter.default is inspect.Parameter.empty)
        if parameter.default is not inspect.Parameter.empty:
            assert fields[name].default == parameter.default


def test_random_transforms_are_those_that_torchvision_draws_for() -> None:
    bases = (v2.RandomHorizontalFlip.__base__, v2.RandAugment.__base__)  # with a probability, and policies
    theirs = {op: getattr(v2, op) for op in TRANSFORMS}
    random = {op for op, each in theirs.items() if "make_params" in vars(each) or issubclass(each, bases)}
    assert {op for op, transform in TRANSFORMS.items() if transform.is_random} == random


@pytest.mark.parametrize(
    ("op", "spellings", "meant"),
    [
        ("Resize", [256, [256], [[256]], {"size": 256}, {"size": [256]}, {"size": 256, "interpolation": 2}], (256,)),
        ("Resize", [[[20, 30]], {"size": [20, 30]}], (20, 30)),
        ("CenterCrop", [224, [224], {"size": 224}, {"size": [224, 224]}, {"size": [224]}], (224, 224)),
        ("Pad", [3, [3], {"padding": 3}, {"padding": [3]}, {"padding": [3, 3]}, [3, 0, "constant"]], (3, 3, 3, 3)),
        ("Pad", [{"padding": [1, 2]}, [[1, 2, 1, 2]]], (1, 2, 1, 2)),
        ("RandomRotation", [10, 10.0, [10], {"degrees": 10}, {"degrees": [-10, 10]}], (-10.0, 10.0)),
        ("RandomHorizontalFlip", [{}, [], 0.5, {"p": 0.5}], 0.5),
    ],
)
def test_spellings_of_one_step_are_equal(op: str, spellings: list[Any], meant: Any) -> None:
    transforms = [parse_transform(op, args) for args in spellings]
    assert set(transforms) == {transforms[0]}
    assert next(iter(transforms[0].model_dump().values())) == meant


def test_numbers_become_the_ranges_that_torchvision_documents() -> None:
    jitter = parse_transform("ColorJitter", {"brightness": 0.25, "contrast": 2, "saturation": [0.5, 3], "hue": 0.5})
    assert jitter == ColorJitter(brightness=(0.75, 1.25), contrast=(0, 3), saturation=(0.5, 3), hue=(-0.5, 0.5))
    affine = parse_transform("RandomAffine", {"degrees": [1, 2], "shear": 5})
    assert isinstance(affine, RandomAffine)
    assert (affine.degrees, affine.shear) == ((1, 2), (-5, 5))


@pytest.mark.parametrize(
    ("op", "args", "message"),
    [
        ("Rezise", {}, "Rezise is not one of the known transforms"),
        (["Resize"], {}, "is not one of the known transforms"),
        ("Resize", {}, "Resize: size: Field required"),
        ("Resize", {"size": 0}, "Resize: size: .*greater than or equal to 1"),
        ("Resize", {"size": [1, 2, 3]}, "Resize: size: "),
        ("Resize", {"size": 2.5}, "Resize: size: "),
        ("Resize", {"size": 256, "crop": 1}, "Resize: crop: Extra inputs are not permitted"),
        ("Resize", {"size": 256, "interpolation": "lanczos"}, "Resize: interpolation: "),
        ("Resize", {"size": 256, "interpolation": 1}, "Resize: interpolation: "),
        ("Resize", {"size": 256, "max_size": 256}, "Resize: max_size must be above size"),
        ("Resize", True, "Resize: its arguments are not an object, a list or a number"),
        ("Resize", None, "Resize: its arguments are not an object, a list or a number"),
        ("Resize", "256", "Resize: its arguments are not an object, a list or a number"),
        ("CenterCrop", [224, 224], "CenterCrop: 2 arguments, of which it takes at most 1"),
        ("Pad", {"padding": -1}, "Pad: padding: "),
        ("Pad", {"padding": [1, 2, 3]}, "Pad: padding: "),
        ("ColorJitter", {"hue": 0.6}, "ColorJitter: hue must be from -0.5 to 0.5"),
        ("ColorJitter", {"brightness": -1}, "ColorJitter: brightness: "),
        ("ColorJitter", {"brightness": [-1, 1]}, "ColorJitter: brightness must not be negative"),
        ("RandomRotation", {"degrees": -5}, "RandomRotation: degrees: "),
        ("RandomRotation", {"degrees": [5, -5]}, "must not be above the second"),
        ("RandomHorizontalFlip", {"p": 1.5}, "RandomHorizontalFlip: p: "),
        ("RandomHorizontalFlip", {"p": float("nan")}, "RandomHorizontalFlip: p: "),
        ("RandomErasing", {"value": "red"}, "RandomErasing: value: "),
        ("RandomErasing", {"scale": [0.1, 1.1]}, "RandomErasing: scale: "),
        ("Grayscale", 2, "Grayscale: num_output_channels: "),
    ],
)
def test_wrong_transforms_are_named_with_their_fault(op: Any, args: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_transform(op, args)


def test_number_of_the_wrong_transform_is_told() -> None:
    with pytest.raises(ValueError, match="transform 2: Pad: padding"):
        parse_transforms([("Grayscale", {}), ("Pad", {})])


def test_long_names_do_not_flood_the_message() -> None:
    with pytest.raises(ValueError, match="known transforms") as caught:
        parse_transform("x" * 10_000, {})
    assert len(str(caught.value)) < 400


sides = st.integers(1, 10_000)
shares = st.floats(0, 1)


@given(
    st.lists(
        st.builds(Resize, size=st.tuples(sides) | st.tuples(sides, sides), interpolation=st.just("bicubic"))
        | st.builds(CenterCrop, size=st.tuples(sides, sides))
        | st.builds(Pad, padding=st.tuples(sides, sides, sides, sides), fill=st.tuples(shares, shares, shares))
        | st.builds(RandomCrop, size=st.tuples(sides, sides), padding=st.none() | st.just((1, 2, 3, 4)))
        | st.builds(RandomErasing, p=shares, value=st.just("random") | shares)
        | st.builds(RandomRotation, degrees=st.tuples(st.floats(-180, 0), st.floats(0, 180)), expand=st.booleans())
    )
)
def test_transforms_survive_the_way_through_a_json_file(transforms: list[Transform]) -> None:
    pairs = json.loads(json.dumps([transform.to_pair() for transform in transforms]))
    assert parse_transforms((op, args) for op, args in pairs) == tuple(transforms)


def test_transforms_are_cut_before_the_first_random_one() -> None:
    resize, flip, gray = Resize(size=(9,)), RandomHorizontalFlip(), Grayscale()
    assert split_at_first_random((resize, flip, gray)) == ((resize,), (flip, gray))
    assert split_at_first_random((resize, gray)) == ((resize, gray), ())
    assert split_at_first_random(()) == ((), ())
    assert deterministic_transforms((resize, flip, gray)) == (resize, gray)


def test_preprocessing_carries_deterministic_transforms_through_a_file() -> None:
    transforms = (Resize(size=(40,)), Grayscale())
    preprocessing = Preprocessing(crop_height=3, crop_width=4, transforms=transforms)
    content = json.loads(json.dumps(preprocessing.to_dict()))
    assert content["transforms"] == [["Resize", {"size": [40]}], ["Grayscale", {}]]
    assert Preprocessing.model_validate(content) == preprocessing


def test_preprocessing_without_transforms_is_written_as_before() -> None:
    assert "transforms" not in Preprocessing(crop_height=3, crop_width=4).to_dict()


@pytest.mark.parametrize("pair", [["RandomErasing", {}], ["Resize", {}], ["Resize"], "Resize", None])
def test_preprocessing_of_a_file_takes_no_other_transforms(pair: Any) -> None:
    with pytest.raises(ValidationError):
        Preprocessing.model_validate({"crop_height": 3, "crop_width": 4, "transforms": [pair]})
