"""Geometry: images turned, moved, sheared and bent.

The matrices of a batch follow torchvision's formulas, which it computes for one image in private functions
(`torchvision.transforms.v2.functional._geometry`, `_get_inverse_affine_matrix`; `torchvision.transforms.functional`,
`_get_perspective_coeffs`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field

from pytorch_designer.transforms.transform import (
    Fill,
    OneByOne,
    PositiveRange,
    Probability,
    RandomTransform,
    Range,
    Sampling,
    Switch,
    as_symmetric,
    check_increasing,
    fill_argument,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from pytorch_designer.transforms.drawn_batch import ImageSubset
    from pytorch_designer.transforms.rng import Rng
    from pytorch_designer.transforms.transform import BatchFunction, BatchOperation, ImageSize

    Point = tuple[int, int]

# Beyond these, three corners of a perspective may come to lie on a line, and an image alone is then bad.
_MOST_DISTORTION = 0.6
_LEAST_SIDE = 16

Angles = Annotated[Range, BeforeValidator(as_symmetric)]
"""Two angles in degrees between which one is drawn; one number d in a file is (-d, d)."""
Shear = Annotated[
    tuple[float, float] | tuple[float, float, float, float],
    AfterValidator(check_increasing),
    BeforeValidator(as_symmetric),
]


class AffineParameters(NamedTuple):
    """Degrees, pixels to the right and down, factor, and degrees along x and y."""

    angle: float
    translate: tuple[int, int]
    scale: float
    shear: tuple[float, float]


class MovedCorners(NamedTuple):
    """The corners of an image (top left, top right, bottom right, bottom left), and where they are moved to."""

    corners: list[Point]
    moved: list[Point]


class RandomRotation(RandomTransform):
    """The image turned by a random angle."""

    switch: ClassVar = Switch(
        "random_rotation",
        "Rotate images by a random angle.",
        parameters={
            "random_rotation_degrees": Field(
                0, ge=0, le=180, description="Largest angle of random_rotation in degrees, either way."
            )
        },
        arguments=lambda random_rotation_degrees: {"degrees": random_rotation_degrees},
    )

    degrees: Angles
    interpolation: Sampling = "nearest"
    expand: bool = False
    center: tuple[float, float] | None = None
    fill: Fill = 0

    def draw(self, height: int, width: int, rng: Rng) -> float:
        """The angle in degrees."""
        return rng.uniform(*self.degrees)

    def apply(self, image_u8: torch.Tensor, drawn: float) -> torch.Tensor:
        """See `Transform`."""
        from torchvision.transforms.v2 import InterpolationMode, functional

        transformed: torch.Tensor = functional.rotate(
            image_u8,
            angle=drawn,
            interpolation=InterpolationMode(self.interpolation),
            expand=self.expand,
            center=_floats(self.center),
            fill=fill_argument(self.fill),
        )
        return transformed

    def batch(self, size: ImageSize) -> BatchFunction | OneByOne:
        """One `Warp`."""
        return OneByOne("it expands images to different sizes") if self.expand else partial(self._warp, size=size)

    def _warp(self, drawn: Sequence[float], size: ImageSize) -> list[BatchOperation]:
        turns = [AffineParameters(-(angle % 360), (0, 0), 1.0, (0.0, 0.0)) for angle in drawn]
        return [_affine_warp(self, turns, size)]


class RandomAffine(RandomTransform):
    """The image turned, moved, scaled and sheared at random, its middle kept."""

    switch: ClassVar = Switch(
        "random_affine",
        "Rotate images by a random angle, their middle kept in place.",
        parameters={
            "random_affine_degrees": Field(
                0, ge=0, le=180, description="Largest angle of random_affine in degrees, either way."
            )
        },
        arguments=lambda random_affine_degrees: {"degrees": random_affine_degrees},
    )

    degrees: Angles
    translate: tuple[Probability, Probability] | None = None
    scale: PositiveRange | None = None
    shear: Shear | None = None
    interpolation: Sampling = "nearest"
    fill: Fill = 0
    center: tuple[float, float] | None = None

    def draw(self, height: int, width: int, rng: Rng) -> AffineParameters:
        """Angle, shift, scale and shear."""
        angle = rng.uniform(*self.degrees)
        share_x, share_y = self.translate or (0.0, 0.0)
        translate = (_shift(share_x * width, rng), _shift(share_y * height, rng))
        scale = 1.0 if self.scale is None else rng.uniform(*self.scale)
        shear = self.shear or (0.0, 0.0)
        shear_y = rng.uniform(*shear[2:]) if len(shear) == 4 else 0.0
        return AffineParameters(angle, translate, scale, (rng.uniform(*shear[:2]), shear_y))

    def apply(self, image_u8: torch.Tensor, drawn: AffineParameters) -> torch.Tensor:
        """See `Transform`."""
        from torchvision.transforms.v2 import InterpolationMode, functional

        transformed: torch.Tensor = functional.affine(
            image_u8,
            angle=drawn.angle,
            translate=[float(shift) for shift in drawn.translate],
            scale=drawn.scale,
            shear=list(drawn.shear),
            interpolation=InterpolationMode(self.interpolation),
            fill=fill_argument(self.fill),
            center=_floats(self.center),
        )
        return transformed

    def batch(self, size: ImageSize) -> BatchFunction:
        """One `Warp`."""
        return lambda drawn: [_affine_warp(self, drawn, size)]


class RandomPerspective(RandomTransform):
    """The image seen from a random angle, sometimes."""

    switch: ClassVar = Switch("random_perspective", "Distort images as if seen from the side, half of the time.")

    distortion_scale: Probability = 0.5
    p: Probability = 0.5
    interpolation: Sampling = "bilinear"
    fill: Fill = 0

    def draw(self, height: int, width: int, rng: Rng) -> MovedCorners | None:
        """The corners; None where the image stays as it is."""
        return self.draw_corners(height, width, rng) if rng.happens(self.p) else None

    def draw_corners(self, height: int, width: int, rng: Rng) -> MovedCorners:
        """The corners of the image, and where they are moved to."""
        reach_y = int(self.distortion_scale * (height // 2)) + 1
        reach_x = int(self.distortion_scale * (width // 2)) + 1
        lefts, rights = (0, reach_x), (width - reach_x, width)
        tops, bottoms = (0, reach_y), (height - reach_y, height)
        ranges = [(lefts, tops), (rights, tops), (rights, bottoms), (lefts, bottoms)]
        moved = [(rng.integer(*xs), rng.integer(*ys)) for xs, ys in ranges]
        return MovedCorners([(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)], moved)

    def apply(self, image_u8: torch.Tensor, drawn: MovedCorners | None) -> torch.Tensor:
        """See `Transform`."""
        from torchvision.transforms.v2 import InterpolationMode, functional

        if drawn is None:
            return image_u8
        transformed: torch.Tensor = functional.perspective(
            image_u8,
            startpoints=[list(point) for point in drawn.corners],
            endpoints=[list(point) for point in drawn.moved],
            interpolation=InterpolationMode(self.interpolation),
            fill=fill_argument(self.fill),
        )
        return transformed

    def batch(self, size: ImageSize) -> BatchFunction | OneByOne:
        """One `Warp`."""
        if self.distortion_scale > _MOST_DISTORTION or min(size) < _LEAST_SIDE:
            return OneByOne("three corners of an image may come to lie on a line")
        return partial(self._warp, size=size)

    def _warp(self, drawn: Sequence[MovedCorners | None], size: ImageSize) -> list[BatchOperation]:
        import numpy as np

        happening = [each for each in drawn if each is not None]
        if not happening:
            return []
        matrices = np.concatenate([perspective_coefficients(happening), np.ones((len(happening), 1))], axis=1)
        return [_warp(self, [each is not None for each in drawn], matrices, size)]


@dataclass(frozen=True)
class Warp:
    """Some images sampled along a grid of their own: rotation, affine map or perspective.

    Attributes:
        subset: Which of the images.
        matrices: float32 [m, 3, 3], from places (x, y, 1) in the result to places in the image, both axes from -1 to 1.
        is_perspective: Whether the third row is divided by, and places are counted from the top left corner
            instead of the middle.
        mode: "nearest" or "bilinear".
        fill: float32 [1, 3 or 1, 1, 1], the color outside; None for black that blends in.
    """

    subset: ImageSubset
    matrices: torch.Tensor
    is_perspective: bool
    mode: str
    fill: torch.Tensor | None

    def apply(self, images_u8: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, height, width] to the same."""
        return self.subset.change(images_u8, self._warped)

    def _warped(self, images_u8: torch.Tensor) -> torch.Tensor:
        import torch
        from torch.nn.functional import grid_sample

        images = images_u8.to(torch.float32)
        if self.fill is not None:  # a fourth channel tells how much of a pixel is image
            images = torch.cat((images, torch.ones_like(images[:, :1])), dim=1)
        grid = self._grid(images.shape[2], images.shape[3])
        sampled = grid_sample(images, grid, mode=self.mode, padding_mode="zeros", align_corners=False)
        if self.fill is not None:
            sampled = self._filled(sampled[:, :3], sampled[:, 3:], self.fill)
        return sampled.round_().to(torch.uint8)

    def _filled(self, sampled: torch.Tensor, shares: torch.Tensor, fill: torch.Tensor) -> torch.Tensor:
        if self.mode == "nearest":
            import torch

            return torch.where(shares < 0.5, fill, sampled)
        return (sampled - fill).mul_(shares).add_(fill)  # torchvision's: the border is darkened twice

    def _grid(self, height: int, width: int) -> torch.Tensor:
        """float32 [m, height, width, 2] for `grid_sample`; by plain operations, which no precision setting touches."""
        import torch

        device = self.matrices.device
        from_x, from_y = (0.5, 0.5) if self.is_perspective else ((1 - width) / 2, (1 - height) / 2)
        x = torch.arange(width, dtype=torch.float32, device=device).add_(from_x)
        y = torch.arange(height, dtype=torch.float32, device=device).add_(from_y)[:, None]
        per_x, per_y, constant = self.matrices[..., None, None].unbind(2)
        places = torch.addcmul(per_x * x, per_y, y).add_(constant)
        grid = places[:, :2]
        if self.is_perspective:
            grid = (grid / places[:, 2:]).sub_(1.0)
        return grid.permute(0, 2, 3, 1)


def inverse_affine(drawn: AffineParameters, center: tuple[float, float]) -> list[float]:
    """The six numbers of the matrix's first two rows, for (x, y, 1) in pixels from the middle of the image.

    The image is sheared along x and y, scaled and turned about `center` (x, y), then shifted.
    """
    turn, (shear_x, shear_y) = math.radians(drawn.angle), (math.radians(angle) for angle in drawn.shear)
    a = math.cos(turn - shear_y) / math.cos(shear_y)
    b = -(a * math.tan(shear_x) + math.sin(turn))
    c = math.sin(turn - shear_y) / math.cos(shear_y)
    d = math.cos(turn) - c * math.tan(shear_x)
    (x, y), (to_x, to_y) = center, (at + shift for at, shift in zip(center, drawn.translate, strict=True))
    first, second = (d / drawn.scale, -b / drawn.scale), (-c / drawn.scale, a / drawn.scale)
    return [
        *first,
        x - first[0] * to_x - first[1] * to_y,
        *second,
        y - second[0] * to_x - second[1] * to_y,
    ]


def perspective_coefficients(drawn: Sequence[MovedCorners]) -> NDArray[np.float32]:
    """float32 [m, 8], all but the last number, a 1, of the matrices that take moved corners back; in pixels.

    No three corners of an image may lie on a line.
    """
    import numpy as np
    import torch

    to_x, to_y = np.array([each.corners for each in drawn], dtype=np.float64).transpose(2, 0, 1)
    x, y = np.array([each.moved for each in drawn], dtype=np.float64).transpose(2, 0, 1)
    equations = np.zeros((len(drawn), 4, 2, 8))
    equations[:, :, 0, :3] = equations[:, :, 1, 3:6] = np.stack([x, y, np.ones_like(x)], axis=-1)
    for axis, to in enumerate((to_x, to_y)):
        equations[:, :, axis, 6:] = np.stack([-to * x, -to * y], axis=-1)
    targets = np.stack([to_x, to_y], axis=-1).reshape(-1, 8, 1)
    left, right = torch.from_numpy(equations.reshape(-1, 8, 8)), torch.from_numpy(targets)
    solution: NDArray[np.float32] = torch.linalg.lstsq(left, right, driver="gels").solution[..., 0].float().numpy()
    return solution


def _affine_warp(
    transform: RandomAffine | RandomRotation, drawn: Sequence[AffineParameters], size: ImageSize
) -> BatchOperation:
    import numpy as np

    height, width = size
    middle = transform.center
    center = (0.0, 0.0) if middle is None else (middle[0] - width * 0.5, middle[1] - height * 0.5)
    matrices = np.array([[*inverse_affine(each, center), 0.0, 0.0, 1.0] for each in drawn])
    return _warp(transform, [True] * len(drawn), matrices, size)


def _warp(
    transform: RandomAffine | RandomRotation | RandomPerspective,
    happens: Sequence[bool],
    matrices: NDArray[Any],
    size: ImageSize,
) -> Warp:
    import numpy as np
    import torch

    from pytorch_designer.transforms.drawn_batch import ImageSubset, color_tensor

    scaled = matrices.astype(np.float32).reshape(-1, 3, 3)
    scaled[:, 0] /= np.float32(0.5 * size[1])
    scaled[:, 1] /= np.float32(0.5 * size[0])
    fill = None if transform.fill is None else color_tensor(transform.fill)
    is_perspective = isinstance(transform, RandomPerspective)
    return Warp(ImageSubset.where(happens), torch.from_numpy(scaled), is_perspective, transform.interpolation, fill)


def _shift(reach: float, rng: Rng) -> int:
    return round(rng.uniform(-reach, reach)) if reach else 0


def _floats(point: tuple[float, float] | None) -> list[float] | None:
    return None if point is None else list(point)
