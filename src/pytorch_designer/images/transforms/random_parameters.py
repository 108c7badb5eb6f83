"""What the random steps draw for one image: boxes, angles, factors and corners.

The distributions are those that torchvision's transforms v2 document, and follow its constructors' arguments.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from pytorch_designer.directories.transform_steps import (
    ColorJitter,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomGrayscale,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomResizedCrop,
    RandomRotation,
    RandomVerticalFlip,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from pytorch_designer.directories.transform_steps import TransformStep
    from pytorch_designer.images.transforms.draws import Draws

    DrawingFunction = Callable[[Any, int, int, Draws], Any]

_ATTEMPTS = 10

Point = tuple[int, int]
"""x and y in pixels."""


class Box(NamedTuple):
    """A part of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int


class AffineParameters(NamedTuple):
    """Degrees, pixels to the right and down, factor, and degrees along x and y."""

    angle: float
    translate: tuple[int, int]
    scale: float
    shear: tuple[float, float]


class JitterParameters(NamedTuple):
    """In which order the four changes of colour are made, and the factor of each by its name; None: not made."""

    order: tuple[str, ...]
    factors: dict[str, float | None]


class PaddedCrop(NamedTuple):
    """Pixels added to the left, top, right and bottom, and the part of what comes out that is kept."""

    padding: tuple[int, int, int, int]
    box: Box


class Erasure(NamedTuple):
    """The part that is painted over, and uint8 [3, height, width] of it; None: in the colour that the step names."""

    box: Box
    paint: NDArray[np.uint8] | None


class MovedCorners(NamedTuple):
    """The corners of an image (top left, top right, bottom right, bottom left), and where they are moved to."""

    corners: list[Point]
    moved: list[Point]


def drawn_parameters(step: TransformStep, height: int, width: int, draws: Draws) -> Any:
    """All that `step` draws for one image of `height` x `width` pixels.

    Returns:
        True or False for flips and RandomGrayscale, degrees for RandomRotation, `JitterParameters`, `Box` for
        RandomResizedCrop, `PaddedCrop`, `AffineParameters`; `MovedCorners` and `Erasure`, or None where the image stays
        as it is.

    Raises:
        ValueError: The crop of a RandomCrop is larger than the image.
    """
    return _DRAWING[type(step)](step, height, width, draws)


def resized_crop_box(step: RandomResizedCrop, height: int, width: int, draws: Draws) -> Box:
    """The part of an image of `height` x `width` pixels that is resized; the middle where none was found."""
    for _ in range(_ATTEMPTS):
        box_height, box_width = _sides(height * width, step.scale, step.ratio, draws, ratio_is_width=True)
        if 0 < box_width <= width and 0 < box_height <= height:
            return _placed(box_height, box_width, height, width, draws)
    lowest, highest = step.ratio
    box_height, box_width = height, width
    if width / height < lowest:
        box_height = round(width / lowest)
    elif width / height > highest:
        box_width = round(height * highest)
    return Box((height - box_height) // 2, (width - box_width) // 2, box_height, box_width)


def crop_box(crop: tuple[int, int], height: int, width: int, draws: Draws) -> Box:
    """A part of `crop` (height, width) pixels at any place of an image, which is not smaller than that."""
    return _placed(crop[0], crop[1], height, width, draws)


def padded_crop(step: RandomCrop, height: int, width: int, draws: Draws) -> PaddedCrop:
    """The margins of `step`, with those that make an image large enough where it asks for that, and the part.

    Raises:
        ValueError: The crop is larger than the image with its margins.
    """
    left, top, right, bottom = step.padding or (0, 0, 0, 0)
    height, width = height + top + bottom, width + left + right
    if step.pad_if_needed:
        more_height, more_width = max(0, step.size[0] - height), max(0, step.size[1] - width)
        left, top, right, bottom = left + more_width, top + more_height, right + more_width, bottom + more_height
        height, width = height + 2 * more_height, width + 2 * more_width
    if height < step.size[0] or width < step.size[1]:
        raise ValueError("the crop is larger than the image")
    return PaddedCrop((left, top, right, bottom), crop_box(step.size, height, width, draws))


def erased_box(step: RandomErasing, height: int, width: int, draws: Draws) -> Box | None:
    """The part that is painted over, smaller than the image both ways; None where none was found."""
    for _ in range(_ATTEMPTS):
        box_height, box_width = _sides(height * width, step.scale, step.ratio, draws, ratio_is_width=False)
        if box_height < height and box_width < width:
            return _placed(box_height, box_width, height, width, draws)
    return None


def affine_parameters(step: RandomAffine, height: int, width: int, draws: Draws) -> AffineParameters:
    """Angle, shift, scale and shear."""
    angle = draws.uniform(*step.degrees)
    share_x, share_y = step.translate or (0.0, 0.0)
    translate = (_shift(share_x * width, draws), _shift(share_y * height, draws))
    scale = 1.0 if step.scale is None else draws.uniform(*step.scale)
    shear = step.shear or (0.0, 0.0)
    shear_y = draws.uniform(*shear[2:]) if len(shear) == 4 else 0.0
    return AffineParameters(angle, translate, scale, (draws.uniform(*shear[:2]), shear_y))


def jitter_parameters(step: ColorJitter, draws: Draws) -> JitterParameters:
    """Order and factors of the changes of colour. A range that is its neutral value alone changes nothing."""
    neutral = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0}
    names = list(neutral)
    order = tuple(names[index] for index in draws.permutation(len(names)))
    factors: dict[str, float | None] = {}
    for name, value in neutral.items():
        bounds: tuple[float, float] | None = getattr(step, name)
        factors[name] = None if bounds is None or bounds == (value, value) else draws.uniform(*bounds)
    return JitterParameters(order, factors)


def perspective_corners(step: RandomPerspective, height: int, width: int, draws: Draws) -> MovedCorners:
    """The corners of the image, and where they are moved to."""
    reach_y = int(step.distortion_scale * (height // 2)) + 1
    reach_x = int(step.distortion_scale * (width // 2)) + 1
    lefts, rights = (0, reach_x), (width - reach_x, width)
    tops, bottoms = (0, reach_y), (height - reach_y, height)
    ranges = [(lefts, tops), (rights, tops), (rights, bottoms), (lefts, bottoms)]
    moved = [(draws.integer(*xs), draws.integer(*ys)) for xs, ys in ranges]
    return MovedCorners([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)], moved)


def _happens(
    step: RandomHorizontalFlip | RandomVerticalFlip | RandomGrayscale, _height: int, _width: int, draws: Draws
) -> bool:
    return draws.happens(step.p)


def _angle(step: RandomRotation, _height: int, _width: int, draws: Draws) -> float:
    return draws.uniform(*step.degrees)


def _jitter(step: ColorJitter, _height: int, _width: int, draws: Draws) -> JitterParameters:
    return jitter_parameters(step, draws)


def _corners(step: RandomPerspective, height: int, width: int, draws: Draws) -> MovedCorners | None:
    return perspective_corners(step, height, width, draws) if draws.happens(step.p) else None


def _erasure(step: RandomErasing, height: int, width: int, draws: Draws) -> Erasure | None:
    box = erased_box(step, height, width, draws) if draws.happens(step.p) else None
    if box is None:
        return None
    if step.value != "random":
        return Erasure(box, None)
    return Erasure(box, draws.values(3 * box.height * box.width).reshape(3, box.height, box.width))


def _sides(
    area: int, scale: tuple[float, float], ratio: tuple[float, float], draws: Draws, *, ratio_is_width: bool
) -> tuple[int, int]:
    """Height and width of a part; `ratio` is of width to height, or of height to width."""
    part = area * draws.uniform(*scale)
    drawn = math.exp(draws.uniform(math.log(ratio[0]), math.log(ratio[1])))
    longer, shorter = round(math.sqrt(part * drawn)), round(math.sqrt(part / drawn))
    return (shorter, longer) if ratio_is_width else (longer, shorter)


def _placed(box_height: int, box_width: int, height: int, width: int, draws: Draws) -> Box:
    top = draws.integer(0, height - box_height + 1)
    return Box(top, draws.integer(0, width - box_width + 1), box_height, box_width)


def _shift(reach: float, draws: Draws) -> int:
    return round(draws.uniform(-reach, reach)) if reach else 0


_DRAWING: dict[type[TransformStep], DrawingFunction] = {
    ColorJitter: _jitter,
    RandomResizedCrop: resized_crop_box,
    RandomCrop: padded_crop,
    RandomHorizontalFlip: _happens,
    RandomVerticalFlip: _happens,
    RandomRotation: _angle,
    RandomAffine: affine_parameters,
    RandomGrayscale: _happens,
    RandomPerspective: _corners,
    RandomErasing: _erasure,
}
