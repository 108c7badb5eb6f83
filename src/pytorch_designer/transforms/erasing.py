"""Erasing: a rectangle painted over.

With the value "random" all colors of a pixel are equally likely, because torchvision's normal distribution is made for
normalized images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, NamedTuple

from pydantic import AfterValidator

from pytorch_designer.transforms.transform import (
    Box,
    PositiveRange,
    Probability,
    RandomTransform,
    Switch,
    check_increasing,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from pytorch_designer.transforms.rng import Rng
    from pytorch_designer.transforms.transform import BatchFunction, BatchOperation, ImageSize

_ATTEMPTS = 10


class Erasure(NamedTuple):
    """The part that is painted over, and uint8 [3, height, width] of it; None: in the color that the value names."""

    box: Box
    paint: NDArray[np.uint8] | None


class RandomErasing(RandomTransform):
    """A random rectangle painted over, sometimes."""

    switch: ClassVar = Switch(
        "random_erasing", "Paint a random rectangle of 2 to 33 percent of the image black, half of the time."
    )

    p: Probability = 0.5
    scale: Annotated[tuple[Probability, Probability], AfterValidator(check_increasing)] = (0.02, 0.33)
    ratio: PositiveRange = (0.3, 3.3)
    value: float | tuple[float] | tuple[float, float, float] | Literal["random"] = 0
    inplace: bool = False

    def draw(self, height: int, width: int, rng: Rng) -> Erasure | None:
        """The rectangle and, for the value "random", its pixels; None where the image stays as it is."""
        box = self.draw_box(height, width, rng) if rng.happens(self.p) else None
        if box is None:
            return None
        if self.value != "random":
            return Erasure(box, None)
        return Erasure(box, rng.values(3 * box.height * box.width).reshape(3, box.height, box.width))

    def draw_box(self, height: int, width: int, rng: Rng) -> Box | None:
        """The part that is painted over, smaller than the image both ways; None where none was found."""
        for _ in range(_ATTEMPTS):
            box_height, box_width = rng.sides(height * width, self.scale, self.ratio)
            if box_height < height and box_width < width:
                return Box(*rng.place(box_height, box_width, within=(height, width)), box_height, box_width)
        return None

    def apply(self, image_u8: torch.Tensor, drawn: Erasure | None) -> torch.Tensor:
        """See `Transform`."""
        import torch
        from torchvision.transforms.v2 import functional

        if drawn is None:
            return image_u8
        paint = self._color() if drawn.paint is None else torch.from_numpy(drawn.paint)
        transformed: torch.Tensor = functional.erase(image_u8, *drawn.box, v=paint)
        return transformed

    def batch(self, size: ImageSize) -> BatchFunction:
        """One `Erase`."""
        return self._erase

    def _erase(self, drawn: Sequence[Erasure | None]) -> list[BatchOperation]:
        import numpy as np
        import torch

        if not any(drawn):
            return []
        boxes = torch.tensor([(0, 0, 0, 0) if each is None else each.box for each in drawn])
        if self.value != "random":
            return [Erase(boxes, self._color().to(torch.uint8), None)]
        nothing = np.empty(0, dtype=np.uint8)
        paints = [nothing if each is None or each.paint is None else each.paint.ravel() for each in drawn]
        ends = np.cumsum([len(paint) for paint in paints])
        starts = torch.from_numpy(ends - [len(paint) for paint in paints])
        return [Erase(boxes, torch.from_numpy(np.concatenate(paints)), starts)]

    def _color(self) -> torch.Tensor:
        """float32 [3 or 1, 1, 1]."""
        import torch

        values = self.value if isinstance(self.value, tuple) else (self.value,)
        return torch.tensor([float(value) for value in values]).view(-1, 1, 1)


@dataclass(frozen=True)
class Erase:
    """A rectangle of some images painted over.

    Attributes:
        boxes: int64 [n, 4], top, left, height and width; no height where nothing is painted.
        paint: uint8: [3 or 1, 1, 1], one color; or, with `paint_starts`, the pixels of all rectangles in one row.
        paint_starts: int64 [n], where in `paint` those of an image begin: channel, line and column.
    """

    boxes: torch.Tensor
    paint: torch.Tensor
    paint_starts: torch.Tensor | None

    def apply(self, images_u8: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, height, width] to the same."""
        import torch

        top, left, height, width = self.boxes[:, :, None, None, None].unbind(1)
        y = torch.arange(images_u8.shape[2], device=images_u8.device)[:, None] - top
        x = torch.arange(images_u8.shape[3], device=images_u8.device) - left
        is_painted = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        paint = self.paint
        if self.paint_starts is not None:
            channel = torch.arange(images_u8.shape[1], device=images_u8.device)[:, None, None]
            line = self.paint_starts[:, None, None, None] + (channel * height + y) * width
            paint = self.paint[(line + x).clamp_(0, len(self.paint) - 1)]
        return torch.where(is_painted, paint, images_u8)
