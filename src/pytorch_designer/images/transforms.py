"""Steps carried out: 8 bit RGB pixels to 8 bit RGB pixels, by the functions of torchvision's transforms v2.

What a random step draws is in `random_parameters`. Colours are 0 to 255; `RandomErasing` with the value "random"
paints every one of them with the same likelihood, because torchvision's normal distribution is made for other numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
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
from pytorch_designer.images.random_parameters import (
    affine_parameters,
    crop_box,
    erased_box,
    jitter_parameters,
    perspective_corners,
    resized_crop_box,
)
from pytorch_designer.settings import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytorch_designer.directories.transform_steps import TransformStep
    from pytorch_designer.images.draws import Draws

    DeterministicFunction = Callable[[torch.Tensor, Any], torch.Tensor]
    RandomFunction = Callable[[torch.Tensor, Any, Draws], torch.Tensor]


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
                image_u8 = _RANDOM[type(step)](image_u8, step, draws)
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
        image, list(step.size), step.interpolation, step.max_size, step.antialias
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


def _color_jitter(image: torch.Tensor, step: ColorJitter, draws: Draws) -> torch.Tensor:
    drawn = jitter_parameters(step, draws)
    for name in drawn.order:
        factor = drawn.factors[name]
        if factor is not None:
            image = _ADJUSTMENTS[name](image, factor)
    return image


def _random_resized_crop(image: torch.Tensor, step: RandomResizedCrop, draws: Draws) -> torch.Tensor:
    box = resized_crop_box(step, image.shape[1], image.shape[2], draws)
    transformed: torch.Tensor = functional.resized_crop(
        image, *box, size=list(step.size), interpolation=step.interpolation, antialias=step.antialias
    )
    return transformed


def _random_crop(image: torch.Tensor, step: RandomCrop, draws: Draws) -> torch.Tensor:
    left, top, right, bottom = step.padding or (0, 0, 0, 0)
    height, width = image.shape[1] + top + bottom, image.shape[2] + left + right
    if step.pad_if_needed:
        more_height, more_width = max(0, step.size[0] - height), max(0, step.size[1] - width)
        left, top, right, bottom = left + more_width, top + more_height, right + more_width, bottom + more_height
        height, width = height + 2 * more_height, width + 2 * more_width
    if height < step.size[0] or width < step.size[1]:
        raise ValueError("the crop is larger than the image")
    if left or top or right or bottom:
        image = functional.pad(image, [left, top, right, bottom], _fill(step.fill), step.padding_mode)
    transformed: torch.Tensor = functional.crop(image, *crop_box(step.size, height, width, draws))
    return transformed


def _random_horizontal_flip(image: torch.Tensor, step: RandomHorizontalFlip, draws: Draws) -> torch.Tensor:
    return functional.horizontal_flip(image) if draws.happens(step.p) else image


def _random_vertical_flip(image: torch.Tensor, step: RandomVerticalFlip, draws: Draws) -> torch.Tensor:
    return functional.vertical_flip(image) if draws.happens(step.p) else image


def _random_rotation(image: torch.Tensor, step: RandomRotation, draws: Draws) -> torch.Tensor:
    transformed: torch.Tensor = functional.rotate(
        image,
        angle=draws.uniform(*step.degrees),
        interpolation=step.interpolation,
        expand=step.expand,
        center=_floats(step.center),
        fill=_fill(step.fill),
    )
    return transformed


def _random_affine(image: torch.Tensor, step: RandomAffine, draws: Draws) -> torch.Tensor:
    drawn = affine_parameters(step, image.shape[1], image.shape[2], draws)
    transformed: torch.Tensor = functional.affine(
        image,
        angle=drawn.angle,
        translate=[float(shift) for shift in drawn.translate],
        scale=drawn.scale,
        shear=list(drawn.shear),
        interpolation=step.interpolation,
        fill=_fill(step.fill),
        center=_floats(step.center),
    )
    return transformed


def _random_grayscale(image: torch.Tensor, step: RandomGrayscale, draws: Draws) -> torch.Tensor:
    return functional.rgb_to_grayscale(image, num_output_channels=3) if draws.happens(step.p) else image


def _random_perspective(image: torch.Tensor, step: RandomPerspective, draws: Draws) -> torch.Tensor:
    if not draws.happens(step.p):
        return image
    corners, moved = perspective_corners(step, image.shape[1], image.shape[2], draws)
    transformed: torch.Tensor = functional.perspective(
        image,
        startpoints=[list(point) for point in corners],
        endpoints=[list(point) for point in moved],
        interpolation=step.interpolation,
        fill=_fill(step.fill),
    )
    return transformed


def _random_erasing(image: torch.Tensor, step: RandomErasing, draws: Draws) -> torch.Tensor:
    box = erased_box(step, image.shape[1], image.shape[2], draws) if draws.happens(step.p) else None
    if box is None:
        return image
    if step.value == "random":
        paint = torch.from_numpy(draws.values(3 * box.height * box.width)).view(3, box.height, box.width)
    else:
        values = step.value if isinstance(step.value, tuple) else (step.value,)
        paint = torch.tensor([float(value) for value in values]).view(-1, 1, 1)
    transformed: torch.Tensor = functional.erase(image, *box, v=paint)
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
