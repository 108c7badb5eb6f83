"""Sizes: resizing, crops and margins."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import Field, model_validator

from pytorch_designer.transforms.transform import (
    Box,
    Fill,
    Padding,
    PaddingMode,
    PositiveRange,
    RandomTransform,
    Resampling,
    Side,
    Size,
    Square,
    Switch,
    Transform,
    fill_argument,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray
    from typing_extensions import Self

    from pytorch_designer.transforms.rng import Rng
    from pytorch_designer.transforms.transform import BatchFunction, BatchOperation, ImageSize

_ATTEMPTS = 10


class PaddedCrop(NamedTuple):
    """Pixels added to the left, top, right and bottom, and the part of what comes out that is kept."""

    padding: tuple[int, int, int, int]
    box: Box


class Resize(Transform):
    """The shorter side, or both sides, to a size."""

    chooses_size: ClassVar[bool] = True
    switch: ClassVar = Switch(
        "resize",
        "Resize images so that the shorter side gets the length of size.",
        default=True,
        parameters={"size": Field(256, ge=1, description="Length of the shorter side in pixels, for resize.")},
        arguments=lambda size: {"size": size},
    )

    size: Size
    interpolation: Resampling = "bilinear"
    max_size: Side | None = None
    antialias: bool | None = True

    @model_validator(mode="after")
    def _check_max_size(self) -> Self:
        if self.max_size is not None and (len(self.size) == 2 or self.max_size <= self.size[0]):
            raise ValueError("max_size must be above size, and needs a size of one number")
        return self

    def size_after(self, height: int, width: int) -> ImageSize:
        """See `Transform`."""
        if len(self.size) == 2:
            return self.size
        shorter, longer = sorted((height, width))
        new_shorter = self.size[0]
        new_longer = int(new_shorter * longer / shorter)
        if self.max_size is not None and new_longer > self.max_size:
            new_shorter, new_longer = int(self.max_size * new_shorter / new_longer), self.max_size
        return (new_longer, new_shorter) if width <= height else (new_shorter, new_longer)

    def apply(self, image_u8: torch.Tensor, drawn: None) -> torch.Tensor:
        """See `Transform`."""
        from torchvision.transforms.v2 import InterpolationMode, functional

        mode = InterpolationMode(self.interpolation)
        transformed: torch.Tensor = functional.resize(image_u8, list(self.size), mode, self.max_size, self.antialias)
        return transformed

    def batch(self, size: ImageSize) -> BatchFunction:
        """One `Rearrange` or `Resample`."""
        target = self.size_after(*size)
        return lambda _: [] if target == size else [_resized_whole(size, target, self.interpolation, self.antialias)]


class CenterCrop(Transform):
    """The middle of the image, padded with zeros where the image is smaller."""

    chooses_size: ClassVar[bool] = True
    switch: ClassVar = Switch(
        "center_crop",
        "Cut out the middle of images.",
        default=True,
        parameters={
            "crop_size": Field(
                224, ge=1, description="Height and width in pixels of the part that center_crop cuts out."
            )
        },
        arguments=lambda crop_size: {"size": crop_size},
    )

    size: Square

    def size_after(self, height: int, width: int) -> ImageSize:
        """See `Transform`."""
        return self.size

    def apply(self, image_u8: torch.Tensor, drawn: None) -> torch.Tensor:
        """See `Transform`."""
        from torchvision.transforms.v2 import functional

        transformed: torch.Tensor = functional.center_crop(image_u8, list(self.size))
        return transformed

    def batch(self, size: ImageSize) -> BatchFunction:
        """One `Rearrange`."""
        margins = [max(0, new - old) for new, old in zip(self.size, size, strict=True)]
        before = [margin // 2 for margin in margins]
        top, left = (round((old + more - new) / 2) for new, old, more in zip(self.size, size, margins, strict=True))
        padding = (before[1], before[0], margins[1] - before[1], margins[0] - before[0])
        boxes = [Box(top, left, *self.size)]
        return lambda _: [] if self.size == size else [_padded_parts(size, padding, "constant", 0, boxes)]


class Pad(Transform):
    """A margin around the image."""

    switch: ClassVar = Switch(
        "pad",
        "Put a black margin around images.",
        parameters={
            "padding": Field(0, ge=0, description="Width in pixels of the margin on each side, for pad."),
        },
        arguments=lambda padding: {"padding": padding},
    )

    padding: Padding
    fill: Fill = 0
    padding_mode: PaddingMode = "constant"

    def size_after(self, height: int, width: int) -> ImageSize:
        """See `Transform`."""
        left, top, right, bottom = self.padding
        return height + top + bottom, width + left + right

    def apply(self, image_u8: torch.Tensor, drawn: None) -> torch.Tensor:
        """See `Transform`."""
        return _pad(image_u8, self.padding, self.fill, self.padding_mode)

    def batch(self, size: ImageSize) -> BatchFunction:
        """One `Rearrange`."""
        whole = Box(0, 0, *self.size_after(*size))
        return lambda _: [_padded_parts(size, self.padding, self.padding_mode, self.fill, [whole])]


class RandomResizedCrop(RandomTransform):
    """A random part of the image with a random aspect ratio, resized."""

    chooses_size: ClassVar[bool] = True
    switch: ClassVar = Switch(
        "random_resized_crop",
        "Cut out a random part of 8 to 100 percent of the image, with a random aspect ratio from 3:4 to 4:3, and "
        "resize it to random_size.",
        parameters={
            "random_size": Field(256, ge=1, description="Height and width in pixels after random_resized_crop.")
        },
        arguments=lambda random_size: {"size": random_size},
    )

    size: Square
    scale: PositiveRange = (0.08, 1.0)
    ratio: PositiveRange = (3 / 4, 4 / 3)
    interpolation: Resampling = "bilinear"
    antialias: bool | None = True

    def size_after(self, height: int, width: int) -> ImageSize:
        """See `Transform`."""
        return self.size

    def draw(self, height: int, width: int, rng: Rng) -> Box:
        """The part that is resized; the middle where none was found."""
        for _ in range(_ATTEMPTS):
            box_width, box_height = rng.sides(height * width, self.scale, self.ratio)
            if 0 < box_width <= width and 0 < box_height <= height:
                return Box(*rng.place(box_height, box_width, within=(height, width)), box_height, box_width)
        lowest, highest = self.ratio
        box_height, box_width = height, width
        if width / height < lowest:
            box_height = round(width / lowest)
        elif width / height > highest:
            box_width = round(height * highest)
        return Box((height - box_height) // 2, (width - box_width) // 2, box_height, box_width)

    def apply(self, image_u8: torch.Tensor, drawn: Box) -> torch.Tensor:
        """See `Transform`."""
        from torchvision.transforms.v2 import InterpolationMode, functional

        mode = InterpolationMode(self.interpolation)
        transformed: torch.Tensor = functional.resized_crop(
            image_u8, *drawn, size=list(self.size), interpolation=mode, antialias=self.antialias
        )
        return transformed

    def batch(self, size: ImageSize) -> BatchFunction:
        """One `Rearrange` or `Resample`."""
        return lambda drawn: [_resized_parts(drawn, self.size, self.interpolation, self.antialias)]


class RandomCrop(RandomTransform):
    """A part of the image at a random place."""

    chooses_size: ClassVar[bool] = True
    switch: ClassVar = Switch(
        "random_crop",
        "Cut out a part of random_crop_size at a random place.",
        parameters={
            "random_crop_size": Field(
                224,
                ge=1,
                description="Height and width in pixels of the part that random_crop cuts out; images must not be "
                "smaller.",
            )
        },
        arguments=lambda random_crop_size: {"size": random_crop_size},
    )

    size: Square
    padding: Padding | None = None
    pad_if_needed: bool = False
    fill: Fill = 0
    padding_mode: PaddingMode = "constant"

    def size_after(self, height: int, width: int) -> ImageSize:
        """See `Transform`."""
        return self.size

    def draw(self, height: int, width: int, rng: Rng) -> PaddedCrop:
        """The margins, with those that make an image large enough where that is asked for, and the part.

        Raises:
            ValueError: The crop is larger than the image with its margins.
        """
        left, top, right, bottom = self.padding or (0, 0, 0, 0)
        height, width = height + top + bottom, width + left + right
        if self.pad_if_needed:
            more_height, more_width = max(0, self.size[0] - height), max(0, self.size[1] - width)
            left, top, right, bottom = left + more_width, top + more_height, right + more_width, bottom + more_height
            height, width = height + 2 * more_height, width + 2 * more_width
        if height < self.size[0] or width < self.size[1]:
            raise ValueError("the crop is larger than the image")
        box = Box(*rng.place(*self.size, within=(height, width)), *self.size)
        return PaddedCrop((left, top, right, bottom), box)

    def apply(self, image_u8: torch.Tensor, drawn: PaddedCrop) -> torch.Tensor:
        """See `Transform`."""
        from torchvision.transforms.v2 import functional

        if any(drawn.padding):
            image_u8 = _pad(image_u8, drawn.padding, self.fill, self.padding_mode)
        transformed: torch.Tensor = functional.crop(image_u8, *drawn.box)
        return transformed

    def batch(self, size: ImageSize) -> BatchFunction:
        """One `Rearrange`."""
        return partial(self._crops, size=size)

    def _crops(self, drawn: Sequence[PaddedCrop], size: ImageSize) -> list[BatchOperation]:
        boxes = [each.box for each in drawn]
        return [_padded_parts(size, drawn[0].padding, self.padding_mode, self.fill, boxes)]


@dataclass(frozen=True)
class Rearrange:
    """Each pixel copied from one of the same image, whose row and column are independent: crops, margins, nearest.

    Attributes:
        rows: int64 [n or 1, new height], -1 for a pixel outside the image.
        columns: int64 [n or 1, new width], likewise.
        fill: uint8 [1, 3 or 1, 1, 1], the color outside; None where nothing is outside.
    """

    rows: torch.Tensor
    columns: torch.Tensor
    fill: torch.Tensor | None = None

    def apply(self, images_u8: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, height, width] to uint8 [n, 3, new height, new width]."""
        import torch

        rows, columns = self.rows[:, None, :, None], self.columns[:, None, None, :]
        images = torch.arange(images_u8.shape[0], device=images_u8.device)[:, None, None, None]
        channels = torch.arange(images_u8.shape[1], device=images_u8.device)[None, :, None, None]
        copied = images_u8[images, channels, rows, columns]
        if self.fill is None:
            return copied
        return torch.where((rows < 0) | (columns < 0), self.fill, copied)


def _pad(image_u8: torch.Tensor, padding: Sequence[int], fill: Fill, mode: str) -> torch.Tensor:
    from torchvision.transforms.v2 import functional

    transformed: torch.Tensor = functional.pad(image_u8, list(padding), fill_argument(fill), mode)
    return transformed


def _padded_parts(
    size: ImageSize, padding: tuple[int, int, int, int], mode: str, fill: Fill, boxes: Sequence[Box]
) -> BatchOperation:
    import numpy as np
    import torch

    from pytorch_designer.transforms.drawn_batch import color_tensor

    left, top, right, bottom = padding
    rows, columns = _with_margins(size[0], (top, bottom), mode), _with_margins(size[1], (left, right), mode)
    tops, lefts = (np.array([box[axis] for box in boxes])[:, None] for axis in (0, 1))
    rows, columns = rows[tops + np.arange(boxes[0].height)], columns[lefts + np.arange(boxes[0].width)]
    has_outside = bool((rows < 0).any() or (columns < 0).any())
    color = color_tensor(fill or 0).to(torch.uint8) if has_outside else None
    return Rearrange(torch.from_numpy(rows), torch.from_numpy(columns), color)


def _with_margins(side: int, margins: tuple[int, int], mode: str) -> NDArray[np.int64]:
    """Pixel along an axis that each pixel with margins is; -1 outside."""
    import numpy as np

    options: dict[str, Any] = {"mode": mode} | ({"constant_values": -1} if mode == "constant" else {})
    return np.pad(np.arange(side), margins, **options)


@lru_cache(maxsize=16)  # it is the same for each batch
def _resized_whole(size: ImageSize, target: ImageSize, interpolation: str, antialias: bool | None) -> BatchOperation:
    return _resized_parts([Box(0, 0, *size)], target, interpolation, antialias)


def _resized_parts(
    boxes: Sequence[Box], target: ImageSize, interpolation: str, antialias: bool | None
) -> BatchOperation:
    import numpy as np
    import torch

    from pytorch_designer.transforms.resampling import Resample, nearest_indices, resampling_axis

    tops, lefts, heights, widths = np.array(boxes, dtype=np.int64).T
    parts = ((tops, heights, target[0]), (lefts, widths, target[1]))
    if interpolation in {"nearest", "nearest-exact"}:
        is_exact = interpolation == "nearest-exact"
        return Rearrange(*(torch.from_numpy(nearest_indices(*part, is_exact=is_exact)) for part in parts))
    return Resample(*(resampling_axis(*part, interpolation=interpolation, antialias=bool(antialias)) for part in parts))
