"""Steps carried out: 8 bit RGB pixels to 8 bit RGB pixels, by the functions of torchvision's transforms v2.

What a random step draws is in `random_parameters`. Colours are 0 to 255; `RandomErasing` with the value "random"
paints every one of them with the same likelihood, because torchvision's normal distribution is made for other numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from pytorch_designer.directories.transform_steps import (
    CenterCrop,
    ColorJitter,
    Grayscale,
    Pad,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomGrayscale,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomResizedCrop,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
)
from pytorch_designer.images.bad_files import BadImageError
from pytorch_designer.images.transforms.random_parameters import drawn_parameters
from pytorch_designer.settings import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytorch_designer.directories.transform_steps import TransformStep
    from pytorch_designer.images.transforms.draws import Draws
    from pytorch_designer.images.transforms.random_parameters import (
        AffineParameters,
        Box,
        Erasure,
        JitterParameters,
        MovedCorners,
        PaddedCrop,
    )

    DeterministicFunction = Callable[[torch.Tensor, Any], torch.Tensor]
    RandomFunction = Callable[[torch.Tensor, Any, Any], torch.Tensor]


class UntransformableImageError(BadImageError):
    """A step cannot be carried out on this image."""


def apply_steps(image_u8: torch.Tensor, steps: Sequence[TransformStep], draws: Draws | None = None) -> torch.Tensor:
    """Carry out `steps` in their order.

    Args:
        image_u8: uint8 [3, height, width].
        steps: Deterministic ones only, unless there are draws.
        draws: Random numbers for this image.

    Returns:
        uint8 [3, new height, new width]; `image_u8` itself where there are no steps.

    Raises:
        UntransformableImageError: The image is too small for a step, or a step would make it too large.
    """
    for step in steps:
        _check_size(image_u8, step)
        try:
            if not step.is_random:
                image_u8 = _DETERMINISTIC[type(step)](image_u8, step)
            elif draws is not None:
                drawn = drawn_parameters(step, image_u8.shape[1], image_u8.shape[2], draws)
                image_u8 = _RANDOM[type(step)](image_u8, step, drawn)
            else:
                raise TypeError(f"{step.op} without random numbers")
        except (RuntimeError, ValueError) as error:
            raise UntransformableImageError(f"{step} does not take {_size_text(image_u8)}: {error}") from error
    return image_u8


def size_after(steps: Sequence[TransformStep], height: int, width: int) -> tuple[int, int]:
    """Height and width of an image of `height` x `width` pixels after `steps`.

    A rotation that expands the image, whose size is drawn, counts as keeping it. What is no longer an image, because a
    crop is larger than it, counts as the crop.
    """
    for step in steps:
        if isinstance(step, Resize):
            height, width = _resized(step, height, width)
        elif isinstance(step, (CenterCrop, RandomCrop, RandomResizedCrop)):
            height, width = step.size
        elif isinstance(step, Pad):
            left, top, right, bottom = step.padding
            height, width = height + top + bottom, width + left + right
    return height, width


def erasing_color(step: RandomErasing) -> torch.Tensor:
    """The colour that a step paints in that does not paint at random, float32 [3 or 1, 1, 1]."""
    values = step.value if isinstance(step.value, tuple) else (step.value,)
    return torch.tensor([float(value) for value in values]).view(-1, 1, 1)


def _check_size(image: torch.Tensor, step: TransformStep) -> None:
    height, width = size_after([step], *image.shape[1:])
    limit = settings().max_image_pixels
    if min(height, width) < 1 or height * width > limit:
        raise UntransformableImageError(
            f"{step} would make {_size_text(image)} an image of {width}x{height}, {limit:,} pixels are allowed "
            "(PYTORCH_DESIGNER_MAX_IMAGE_PIXELS)"
        )


def _resized(step: Resize, height: int, width: int) -> tuple[int, int]:
    if len(step.size) == 2:
        return step.size
    shorter, longer = sorted((height, width))
    new_shorter = step.size[0]
    new_longer = int(new_shorter * longer / shorter)
    if step.max_size is not None and new_longer > step.max_size:
        new_shorter, new_longer = int(step.max_size * new_shorter / new_longer), step.max_size
    return (new_longer, new_shorter) if width <= height else (new_shorter, new_longer)


def _size_text(image: torch.Tensor) -> str:
    return f"{image.shape[2]}x{image.shape[1]} pixels"


def _resize(image: torch.Tensor, step: Resize) -> torch.Tensor:
    transformed: torch.Tensor = functional.resize(
        image, list(step.size), InterpolationMode(step.interpolation), step.max_size, step.antialias
    )
    return transformed


def _center_crop(image: torch.Tensor, step: CenterCrop) -> torch.Tensor:
    transformed: torch.Tensor = functional.center_crop(image, list(step.size))
    return transformed


def _pad(image: torch.Tensor, step: Pad) -> torch.Tensor:
    transformed: torch.Tensor = functional.pad(image, list(step.padding), _fill(step.fill), step.padding_mode)
    return transformed


def _grayscale(image: torch.Tensor, _: Grayscale) -> torch.Tensor:
    transformed: torch.Tensor = functional.rgb_to_grayscale(image, num_output_channels=3)
    return transformed


def _color_jitter(image: torch.Tensor, _: ColorJitter, drawn: JitterParameters) -> torch.Tensor:
    for name in drawn.order:
        factor = drawn.factors[name]
        if factor is not None:
            image = _ADJUSTMENTS[name](image, factor)
    return image


def _random_resized_crop(image: torch.Tensor, step: RandomResizedCrop, box: Box) -> torch.Tensor:
    transformed: torch.Tensor = functional.resized_crop(
        image, *box, size=list(step.size), interpolation=InterpolationMode(step.interpolation), antialias=step.antialias
    )
    return transformed


def _random_crop(image: torch.Tensor, step: RandomCrop, drawn: PaddedCrop) -> torch.Tensor:
    if any(drawn.padding):
        image = functional.pad(image, list(drawn.padding), _fill(step.fill), step.padding_mode)
    transformed: torch.Tensor = functional.crop(image, *drawn.box)
    return transformed


def _random_horizontal_flip(image: torch.Tensor, _: RandomHorizontalFlip, happens: bool) -> torch.Tensor:
    return functional.horizontal_flip(image) if happens else image


def _random_vertical_flip(image: torch.Tensor, _: RandomVerticalFlip, happens: bool) -> torch.Tensor:
    return functional.vertical_flip(image) if happens else image


def _random_rotation(image: torch.Tensor, step: RandomRotation, angle: float) -> torch.Tensor:
    transformed: torch.Tensor = functional.rotate(
        image,
        angle=angle,
        interpolation=InterpolationMode(step.interpolation),
        expand=step.expand,
        center=_floats(step.center),
        fill=_fill(step.fill),
    )
    return transformed


def _random_affine(image: torch.Tensor, step: RandomAffine, drawn: AffineParameters) -> torch.Tensor:
    transformed: torch.Tensor = functional.affine(
        image,
        angle=drawn.angle,
        translate=[float(shift) for shift in drawn.translate],
        scale=drawn.scale,
        shear=list(drawn.shear),
        interpolation=InterpolationMode(step.interpolation),
        fill=_fill(step.fill),
        center=_floats(step.center),
    )
    return transformed


def _random_grayscale(image: torch.Tensor, _: RandomGrayscale, happens: bool) -> torch.Tensor:
    return functional.rgb_to_grayscale(image, num_output_channels=3) if happens else image


def _random_perspective(image: torch.Tensor, step: RandomPerspective, drawn: MovedCorners | None) -> torch.Tensor:
    if drawn is None:
        return image
    transformed: torch.Tensor = functional.perspective(
        image,
        startpoints=[list(point) for point in drawn.corners],
        endpoints=[list(point) for point in drawn.moved],
        interpolation=InterpolationMode(step.interpolation),
        fill=_fill(step.fill),
    )
    return transformed


def _random_erasing(image: torch.Tensor, step: RandomErasing, drawn: Erasure | None) -> torch.Tensor:
    if drawn is None:
        return image
    paint = erasing_color(step) if drawn.paint is None else torch.from_numpy(drawn.paint)
    transformed: torch.Tensor = functional.erase(image, *drawn.box, v=paint)
    return transformed


def _fill(fill: float | tuple[float, ...] | None) -> float | list[float] | None:
    return list(fill) if isinstance(fill, tuple) else fill


def _floats(point: tuple[float, float] | None) -> list[float] | None:
    return None if point is None else list(point)


_ADJUSTMENTS: dict[str, Callable[[torch.Tensor, float], torch.Tensor]] = {
    "brightness": functional.adjust_brightness,
    "contrast": functional.adjust_contrast,
    "saturation": functional.adjust_saturation,
    "hue": functional.adjust_hue,
}

_DETERMINISTIC: dict[type[TransformStep], DeterministicFunction] = {
    Resize: _resize,
    CenterCrop: _center_crop,
    Pad: _pad,
    Grayscale: _grayscale,
}

_RANDOM: dict[type[TransformStep], RandomFunction] = {
    ColorJitter: _color_jitter,
    RandomResizedCrop: _random_resized_crop,
    RandomCrop: _random_crop,
    RandomHorizontalFlip: _random_horizontal_flip,
    RandomVerticalFlip: _random_vertical_flip,
    RandomRotation: _random_rotation,
    RandomAffine: _random_affine,
    RandomGrayscale: _random_grayscale,
    RandomPerspective: _random_perspective,
    RandomErasing: _random_erasing,
}
