"""Automatic policies: operations drawn from a fixed list, each with a random or given strength.

RandAugment: https://arxiv.org/abs/1909.13719. TrivialAugment: https://arxiv.org/abs/2103.10158.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, NamedTuple

from pydantic import Field, model_validator

from pytorch_designer.transforms.transform import Fill, OneByOne, RandomTransform, Sampling, Switch, fill_argument

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch
    from typing_extensions import Self

    from pytorch_designer.transforms.rng import Rng
    from pytorch_designer.transforms.transform import ImageSize

_ONE_BY_ONE = OneByOne("it draws different operations for each image")


_RAND_AUGMENT: dict[str, float | None] = {
    "Identity": None,
    "ShearX": 0.3,
    "ShearY": 0.3,
    "TranslateX": 150 / 331,
    "TranslateY": 150 / 331,
    "Rotate": 30.0,
    "Brightness": 0.9,
    "Color": 0.9,
    "Contrast": 0.9,
    "Sharpness": 0.9,
    "Posterize": 4.0,
    "Solarize": 1.0,
    "AutoContrast": None,
    "Equalize": None,
}
"""The strength in the last bin; 0 in the first. Translations are shares of the image, Posterize is in bits removed."""

_TRIVIAL_AUGMENT_WIDE = _RAND_AUGMENT | {
    "ShearX": 0.99,
    "ShearY": 0.99,
    "TranslateX": 32.0,
    "TranslateY": 32.0,
    "Rotate": 135.0,
    "Brightness": 0.99,
    "Color": 0.99,
    "Contrast": 0.99,
    "Sharpness": 0.99,
    "Posterize": 6.0,
}
"""Likewise; translations are in pixels."""


class PolicyOperation(NamedTuple):
    """An operation by torchvision's name, and its strength in torchvision's unit; 0 where it has none."""

    name: str
    strength: float


class RandAugment(RandomTransform):
    """Several operations drawn from 14, all of one strength."""

    switch: ClassVar = Switch(
        "rand_augment",
        "Apply rand_augment_num_ops operations drawn from 14 that change geometry and colors (RandAugment). "
        "Training then augments images on the processor, on a machine with a GPU too.",
        parameters={
            "rand_augment_num_ops": Field(
                2, ge=1, le=14, description="Number of operations of rand_augment per image."
            ),
            "rand_augment_magnitude": Field(
                9, ge=0, le=30, description="Strength of the operations, for rand_augment; 30 is the strongest."
            ),
        },
        arguments=lambda rand_augment_num_ops, rand_augment_magnitude: {
            "num_ops": rand_augment_num_ops,
            "magnitude": rand_augment_magnitude,
        },
    )

    num_ops: Annotated[int, Field(ge=0, le=100)] = 2
    magnitude: Annotated[int, Field(ge=0)] = 9
    num_magnitude_bins: Annotated[int, Field(ge=2)] = 31
    interpolation: Sampling = "nearest"
    fill: Fill = None

    @model_validator(mode="after")
    def _check_magnitude(self) -> Self:
        if self.magnitude >= self.num_magnitude_bins:
            raise ValueError("magnitude must be below num_magnitude_bins")
        return self

    def draw(self, height: int, width: int, rng: Rng) -> tuple[PolicyOperation, ...]:
        """The operations in their order."""
        share = self.magnitude / (self.num_magnitude_bins - 1)
        strongest = _RAND_AUGMENT | {"TranslateX": 150 / 331 * width, "TranslateY": 150 / 331 * height}
        return tuple(_draw_operation(strongest, lambda: share, rng) for _ in range(self.num_ops))

    def apply(self, image_u8: torch.Tensor, drawn: tuple[PolicyOperation, ...]) -> torch.Tensor:
        """See `Transform`."""
        for operation in drawn:
            image_u8 = _apply(operation, image_u8, self.interpolation, self.fill)
        return image_u8

    def batch(self, size: ImageSize) -> OneByOne:
        """See `Transform`."""
        return _ONE_BY_ONE


class TrivialAugmentWide(RandomTransform):
    """One operation drawn from 14, with a random strength."""

    switch: ClassVar = Switch(
        "trivial_augment_wide",
        "Apply one operation of random strength, drawn from 14 that change geometry and colors (TrivialAugment). "
        "Training then augments images on the processor, on a machine with a GPU too.",
    )

    num_magnitude_bins: Annotated[int, Field(ge=2)] = 31
    interpolation: Sampling = "nearest"
    fill: Fill = None

    def draw(self, height: int, width: int, rng: Rng) -> PolicyOperation:
        """The operation."""
        last = self.num_magnitude_bins - 1
        return _draw_operation(_TRIVIAL_AUGMENT_WIDE, lambda: rng.integer(0, last + 1) / last, rng)

    def apply(self, image_u8: torch.Tensor, drawn: PolicyOperation) -> torch.Tensor:
        """See `Transform`."""
        return _apply(drawn, image_u8, self.interpolation, self.fill)

    def batch(self, size: ImageSize) -> OneByOne:
        """See `Transform`."""
        return _ONE_BY_ONE


def _draw_operation(strongest: Mapping[str, float | None], share: Callable[[], float], rng: Rng) -> PolicyOperation:
    """The operation, its share of the greatest strength, and its sign, in this order."""
    name = list(strongest)[rng.integer(0, len(strongest))]
    greatest = strongest[name]
    if greatest is None:
        return PolicyOperation(name, 0.0)
    strength = greatest * share()
    if name == "Posterize":
        return PolicyOperation(name, float(round(8 - strength)))
    if name == "Solarize":
        return PolicyOperation(name, 1 - strength)
    return PolicyOperation(name, -strength if rng.happens(0.5) else strength)


def _apply(operation: PolicyOperation, image_u8: torch.Tensor, interpolation: str, fill: Fill) -> torch.Tensor:
    """As torchvision's policies: shears keep the top left corner in its place, rotations the middle."""
    from torchvision.transforms.v2 import InterpolationMode, functional

    name, strength = operation
    sampling = {"interpolation": InterpolationMode(interpolation), "fill": fill_argument(fill)}
    shear, shift = math.degrees(math.atan(strength)), int(strength)
    unmoved = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0], **sampling}
    corner = {**unmoved, "center": [0.0, 0.0]}
    functions: dict[str, Callable[[], torch.Tensor]] = {
        "Identity": lambda: image_u8,
        "ShearX": lambda: functional.affine(image_u8, **corner | {"shear": [shear, 0.0]}),
        "ShearY": lambda: functional.affine(image_u8, **corner | {"shear": [0.0, shear]}),
        "TranslateX": lambda: functional.affine(image_u8, **unmoved | {"translate": [shift, 0]}),
        "TranslateY": lambda: functional.affine(image_u8, **unmoved | {"translate": [0, shift]}),
        "Rotate": lambda: functional.rotate(image_u8, angle=strength, **sampling),
        "Brightness": lambda: functional.adjust_brightness(image_u8, 1.0 + strength),
        "Color": lambda: functional.adjust_saturation(image_u8, 1.0 + strength),
        "Contrast": lambda: functional.adjust_contrast(image_u8, 1.0 + strength),
        "Sharpness": lambda: functional.adjust_sharpness(image_u8, 1.0 + strength),
        "Posterize": lambda: functional.posterize(image_u8, int(strength)),
        "Solarize": lambda: functional.solarize(image_u8, 255.0 * strength),
        "AutoContrast": lambda: functional.autocontrast(image_u8),
        "Equalize": lambda: functional.equalize(image_u8),
    }
    return functions[name]()
