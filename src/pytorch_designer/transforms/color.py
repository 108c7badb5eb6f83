"""Color: brightness, contrast, saturation, hue, gray and automatic contrast.

The arithmetic of a batch is that of torchvision's functions, with a factor for each image instead of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BeforeValidator, model_validator

from pytorch_designer.transforms.transform import (
    Probability,
    RandomTransform,
    Range,
    Switch,
    Transform,
    as_symmetric,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from typing_extensions import Self

    from pytorch_designer.transforms.drawn_batch import ImageSubset
    from pytorch_designer.transforms.rng import Rng
    from pytorch_designer.transforms.transform import BatchFunction, BatchOperation, ImageSize

_NEUTRAL = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0}

_TO_8_BITS = (255 + 1.0 - 1e-3) / 255
"""Factor of torchvision before truncation, so that a full channel stays full."""


class JitterParameters(NamedTuple):
    """In which order the four changes of color are made, and the factor of each by its name; None: not made."""

    order: tuple[str, ...]
    factors: dict[str, float | None]


class ColorJitter(RandomTransform):
    """Brightness, contrast, saturation and hue by random factors, in random order.

    One number x in a file is (max(0, 1 - x), 1 + x), for the hue (-x, x).
    """

    # The old designer's are not documented. Torchvision's own defaults change nothing; these are usual for photos.
    switch: ClassVar = Switch(
        "color_jitter",
        "Change colors at random: brightness, contrast and saturation by up to 40 percent, the hue by up to a tenth "
        "of the color circle.",
        arguments=lambda: {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
    )

    brightness: Range | None = None
    contrast: Range | None = None
    saturation: Range | None = None
    hue: Annotated[Range, BeforeValidator(as_symmetric)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _spread(cls, data: Any) -> Any:
        factors = ("brightness", "contrast", "saturation")
        if not isinstance(data, dict):
            return data
        spread = {
            name: [max(0.0, 1 - value), 1 + value]
            for name in factors
            if isinstance(value := data.get(name), (int, float)) and value >= 0
        }
        return {**data, **spread}

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        for name in ("brightness", "contrast", "saturation"):
            if (factors := getattr(self, name)) is not None and factors[0] < 0:
                raise ValueError(f"{name} must not be negative")
        if self.hue is not None and not -0.5 <= self.hue[0] <= self.hue[1] <= 0.5:
            raise ValueError("hue must be from -0.5 to 0.5")
        return self

    def draw(self, height: int, width: int, rng: Rng) -> JitterParameters:
        """Order and factors. A range that is its neutral value alone changes nothing."""
        names = list(_NEUTRAL)
        order = tuple(names[index] for index in rng.permutation(len(names)))
        factors: dict[str, float | None] = {}
        for name, value in _NEUTRAL.items():
            bounds: tuple[float, float] | None = getattr(self, name)
            factors[name] = None if bounds is None or bounds == (value, value) else rng.uniform(*bounds)
        return JitterParameters(order, factors)

    def apply(self, image_u8: torch.Tensor, drawn: JitterParameters) -> torch.Tensor:
        """See `Transform`."""
        from torchvision.transforms.v2 import functional

        for name in drawn.order:
            factor = drawn.factors[name]
            if factor is not None:
                image_u8 = getattr(functional, f"adjust_{name}")(image_u8, factor)
        return image_u8

    def batch(self, size: ImageSize) -> BatchFunction:
        """A `Blend` and a `HueShift` for each of the four turns."""
        return self._jitter

    def _jitter(self, drawn: Sequence[JitterParameters]) -> list[BatchOperation]:
        operations: list[BatchOperation] = []
        for turn in range(len(_NEUTRAL)):
            changes = [(each.order[turn], each.factors[each.order[turn]]) for each in drawn]
            operations += [*_blend(changes), *_hue_shift(changes)]
        return operations


class Grayscale(Transform):
    """Brightness instead of color. Three equal channels are kept whatever is asked for: networks here take three."""

    switch: ClassVar = Switch(
        "grayscale",
        "Turn images gray; they keep three channels, which networks need.",
        arguments=lambda: {"num_output_channels": 3},
    )

    num_output_channels: Literal[1, 3] = 1

    def apply(self, image_u8: torch.Tensor, drawn: None) -> torch.Tensor:
        """See `Transform`."""
        return _gray(image_u8)

    def batch(self, size: ImageSize) -> BatchFunction:
        """One `Gray`."""
        return lambda _: [Gray(None)]


class RandomGrayscale(RandomTransform):
    """Brightness instead of color, sometimes."""

    switch: ClassVar = Switch("random_grayscale", "Turn images gray, one time in ten.")

    p: Probability = 0.1

    def draw(self, height: int, width: int, rng: Rng) -> bool:
        """True if the image becomes gray."""
        return rng.happens(self.p)

    def apply(self, image_u8: torch.Tensor, drawn: bool) -> torch.Tensor:
        """See `Transform`."""
        return _gray(image_u8) if drawn else image_u8

    def batch(self, size: ImageSize) -> BatchFunction:
        """One `Gray`."""
        return lambda drawn: [Gray(_flags(drawn))] if any(drawn) else []


class RandomAutocontrast(RandomTransform):
    """Each channel stretched so that its least value is 0 and its greatest 255, sometimes."""

    switch: ClassVar = Switch(
        "random_autocontrast",
        "Stretch each color channel to the full range from black to its brightest, half of the time.",
    )

    p: Probability = 0.5

    def draw(self, height: int, width: int, rng: Rng) -> bool:
        """True if the contrast is stretched."""
        return rng.happens(self.p)

    def apply(self, image_u8: torch.Tensor, drawn: bool) -> torch.Tensor:
        """See `Transform`."""
        return _autocontrast(image_u8) if drawn else image_u8

    def batch(self, size: ImageSize) -> BatchFunction:
        """One `Autocontrast`."""
        return lambda drawn: [Autocontrast(_flags(drawn))] if any(drawn) else []


@dataclass(frozen=True)
class Gray:
    """Brightness instead of color in some images.

    Attributes:
        happens: bool [n, 1, 1, 1]; None for all.
    """

    happens: torch.Tensor | None

    def apply(self, images_u8: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, height, width] to the same."""
        gray = _gray(images_u8)
        return gray if self.happens is None else gray.where(self.happens, images_u8)


@dataclass(frozen=True)
class Autocontrast:
    """The full range of values in each channel of some images.

    Attributes:
        happens: bool [n, 1, 1, 1].
    """

    happens: torch.Tensor

    def apply(self, images_u8: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, height, width] to the same."""
        return _autocontrast(images_u8).where(self.happens, images_u8)


@dataclass(frozen=True)
class Blend:
    """Brightness, contrast or saturation, another of them in each image.

    All three are image * factor + other * (1 - factor), cut off at 0 and 255: the other is black, the image's mean
    brightness, or the image in gray. A factor of 1 leaves an image as it is.

    Attributes:
        factors: float32 [n, 1, 1, 1].
        gray_shares: 1 - factor where the saturation is changed, 0 elsewhere; None where it is in no image.
        mean_shares: Likewise for the contrast.
    """

    factors: torch.Tensor
    gray_shares: torch.Tensor | None
    mean_shares: torch.Tensor | None

    def apply(self, images_u8: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, height, width] to the same."""
        import torch
        from torchvision.transforms.v2 import functional

        blended = images_u8 * self.factors
        if self.gray_shares is not None or self.mean_shares is not None:
            gray = functional.rgb_to_grayscale(images_u8, num_output_channels=1).to(torch.float32)
            if self.gray_shares is not None:
                blended.addcmul_(gray, self.gray_shares)
            if self.mean_shares is not None:
                blended.addcmul_(gray.mean(dim=(1, 2, 3), keepdim=True), self.mean_shares)
        return blended.clamp_(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class HueShift:
    """The hue of some images turned on the color wheel.

    Attributes:
        subset: Which of the images.
        shifts: float32 [m, 3, 1, 1], sixths of a turn, for each channel with its own place on the wheel.
    """

    subset: ImageSubset
    shifts: torch.Tensor

    def apply(self, images_u8: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, height, width] to the same."""
        return self.subset.change(images_u8, self._shifted)

    def _shifted(self, images_u8: torch.Tensor) -> torch.Tensor:
        """From hue and back in one: channel = value - chroma * clamp(min(k, 4 - k), 0, 1), k = channel's place + hue.

        Value and chroma, which stay as they are, are the greatest channel and its distance from the least one.
        """
        import torch

        images = images_u8.to(torch.float32)
        value = images.amax(dim=1, keepdim=True)
        chroma = value - images.amin(dim=1, keepdim=True)
        turned = (_hue_in_sixths(images, value, chroma) + self.shifts).remainder_(6)
        shares = torch.minimum(turned, 4 - turned).clamp_(0, 1)
        return (value - shares.mul_(chroma)).mul_(_TO_8_BITS).to(torch.uint8)


def _hue_in_sixths(images: torch.Tensor, value: torch.Tensor, chroma: torch.Tensor) -> torch.Tensor:
    """Float32 [m, 1, height, width], sixths of a turn from red; anything where there is no color."""
    import torch

    red, green, blue = images[:, :1], images[:, 1:2], images[:, 2:]
    from_green = torch.where(green == value, blue - red + 2 * chroma, red - green + 4 * chroma)
    return torch.where(red == value, green - blue, from_green) / chroma.clamp(min=1)


def _gray(images_u8: torch.Tensor) -> torch.Tensor:
    from torchvision.transforms.v2 import functional

    gray: torch.Tensor = functional.rgb_to_grayscale(images_u8, num_output_channels=3)
    return gray


def _autocontrast(images_u8: torch.Tensor) -> torch.Tensor:
    from torchvision.transforms.v2 import functional

    stretched: torch.Tensor = functional.autocontrast(images_u8)
    return stretched


def _flags(happens: Sequence[bool]) -> torch.Tensor:
    from pytorch_designer.transforms.drawn_batch import per_image

    return per_image(happens)


def _blend(changes: Sequence[tuple[str, float | None]]) -> list[BatchOperation]:
    import numpy as np

    from pytorch_designer.transforms.drawn_batch import per_image

    factors = np.ones(len(changes))
    shares = {"saturation": np.zeros(len(changes)), "contrast": np.zeros(len(changes))}
    for image, (name, factor) in enumerate(changes):
        if factor is not None and name != "hue":
            factors[image] = factor
            if name in shares:
                shares[name][image] = 1.0 - factor
    if (factors == 1.0).all():
        return []
    gray_shares, mean_shares = (per_image(each) if each.any() else None for each in shares.values())
    return [Blend(per_image(factors), gray_shares, mean_shares)]


def _hue_shift(changes: Sequence[tuple[str, float | None]]) -> list[BatchOperation]:
    import numpy as np
    import torch

    from pytorch_designer.transforms.drawn_batch import ImageSubset

    factors = [factor if name == "hue" else None for name, factor in changes]
    drawn = [factor for factor in factors if factor is not None]
    if not drawn:
        return []
    shifts = np.array(drawn)[:, None, None, None] * 6 + np.array([5.0, 3.0, 1.0])[:, None, None]
    subset = ImageSubset.where([factor is not None for factor in factors])
    return [HueShift(subset, torch.from_numpy(shifts.astype(np.float32)))]
