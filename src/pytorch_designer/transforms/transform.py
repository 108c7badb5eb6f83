"""Transform: one class that holds its arguments and everything that is done with it.

A transform is one of torchvision's by its name, with torchvision's argument names, their order and their defaults
(torchvision 0.29, documentation of `torchvision.transforms.v2`). Images are 8 bit RGB: `fill` and `value` are from 0
to 255. Modules of transforms import torch only in functions that compute pixels.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Protocol

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import torch

    from pytorch_designer.transforms.rng import Rng

    ImageSize = tuple[int, int]
    BatchFunction = Callable[[Sequence[Any]], "list[BatchOperation]"]

# Pillow's numbers, which old releases took
_INTERPOLATION_OF_NUMBER: dict[int, object] = {0: "nearest", 2: "bilinear", 3: "bicubic"}


def _as_name(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return _INTERPOLATION_OF_NUMBER.get(value, value)
    return value


def _as_size(value: object) -> object:
    return [value] if isinstance(value, int) else value


def _as_square(value: object) -> object:
    sizes = [value] if isinstance(value, int) else value
    return [*sizes, *sizes] if isinstance(sizes, (list, tuple)) and len(sizes) == 1 else sizes


def _as_four_sides(value: object) -> object:
    """Left, top, right, bottom, from one number for all or two for (left and right, top and bottom)."""
    sides = [value] if isinstance(value, int) else value
    return [*sides] * (4 // len(sides)) if isinstance(sides, (list, tuple)) and len(sides) in {1, 2} else sides


def as_symmetric(value: object) -> object:
    """(-value, value) from one number."""
    return [-value, value] if isinstance(value, (int, float)) and value >= 0 else value


def check_increasing(values: tuple[float, ...]) -> tuple[float, ...]:
    """Refuse pairs whose first number is above the second."""
    if any(low > high for low, high in zip(values[::2], values[1::2], strict=True)):
        raise ValueError("the first of two numbers must not be above the second")
    return values


Side = Annotated[int, Field(ge=1)]
Size = Annotated[tuple[Side] | tuple[Side, Side], BeforeValidator(_as_size)]
"""(shorter side,) or (height, width), in pixels."""
Square = Annotated[tuple[Side, Side], BeforeValidator(_as_square)]
"""(height, width) in pixels; one number in a file is both."""
Margin = Annotated[int, Field(ge=0)]
Padding = Annotated[tuple[Margin, Margin, Margin, Margin], BeforeValidator(_as_four_sides)]
"""Left, top, right and bottom in pixels; one number in a file is all four, two are (left and right, top and bottom)."""
PaddingMode = Literal["constant", "edge", "reflect", "symmetric"]
Resampling = Annotated[Literal["nearest", "nearest-exact", "bilinear", "bicubic"], BeforeValidator(_as_name)]
Sampling = Annotated[Literal["nearest", "bilinear"], BeforeValidator(_as_name)]
Probability = Annotated[float, Field(ge=0, le=1)]
Range = Annotated[tuple[float, float], AfterValidator(check_increasing)]
PositiveRange = Annotated[
    tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]], AfterValidator(check_increasing)
]
Fill = float | tuple[float] | tuple[float, float, float] | None


@dataclass(frozen=True)
class Switch:
    """The transform in Init Image Transformation.

    Attributes:
        name: The boolean parameter that chooses the transform.
        description: Its description.
        default: Whether the transform is chosen by default.
        parameters: Further parameters, by name, with default, bounds and description (`pydantic.Field`).
        arguments: From the values of `parameters`, given by name, to the transform's arguments.
    """

    name: str
    description: str
    default: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)
    arguments: Callable[..., dict[str, Any]] = dict


class BatchOperation(Protocol):
    """One operation on all images of a batch: a dataclass of tensors, of dataclasses of tensors and of plain values."""

    def apply(self, images_u8: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, height, width] to uint8 [n, 3, new height, new width], on the tensors' device."""
        ...


class OneByOne(NamedTuple):
    """The statement that a transform cannot be applied to a batch, with the reason for the log."""

    reason: str


class Box(NamedTuple):
    """A part of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int


class Transform(BaseModel):
    """One deterministic transform with all its arguments; the order of the fields is torchvision's.

    Attributes:
        is_random: Whether it is drawn afresh for each image in each epoch.
        chooses_size: Whether it says which size in pixels the images are to have.
        switch: Its parameters in Init Image Transformation.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    is_random: ClassVar[bool] = False
    chooses_size: ClassVar[bool] = False
    switch: ClassVar[Switch]

    def size_after(self, height: int, width: int) -> ImageSize:
        """Height and width of an image of `height` x `width` pixels afterwards.

        A rotation that expands the image, whose size is drawn, counts as keeping it. What is no longer an image,
        because a crop is larger than it, counts as the crop.
        """
        return height, width

    def draw(self, height: int, width: int, rng: Rng) -> Any:
        """All random numbers for one image of `height` x `width` pixels; None for a deterministic transform.

        Raises:
            ValueError: The image cannot take the transform.
        """
        return None

    @abstractmethod
    def apply(self, image_u8: torch.Tensor, drawn: Any) -> torch.Tensor:
        """The transformed image; `image_u8` itself is not changed.

        Args:
            image_u8: uint8 [3, height, width].
            drawn: What `draw` returned for it.

        Returns:
            uint8 [3, new height, new width].

        Raises:
            ValueError: The image cannot take the transform.
            RuntimeError: The same, found by torch.
        """

    @abstractmethod
    def batch(self, size: ImageSize) -> BatchFunction | OneByOne:
        """Transformation of a batch of images of `size` (height, width) at once.

        Returns:
            A function from what `draw` returned for each image to operations, none where all images stay as they are.
            Or the statement that there is none: the whole augmentation is then computed image by image, on the CPU.
        """

    @property
    def op(self) -> str:
        """Torchvision's name of the transform."""
        return type(self).__name__

    def to_pair(self) -> list[Any]:
        """`[op, args]` for a file; arguments that have their default are left out."""
        return [self.op, self.model_dump(mode="json", exclude_defaults=True)]

    def __str__(self) -> str:
        given = self.to_pair()[1]
        return f"{self.op}({', '.join(f'{name}={value}' for name, value in given.items())})"


class RandomTransform(Transform):
    """A transform that is drawn afresh for each image in each epoch."""

    is_random: ClassVar[bool] = True

    @abstractmethod
    def draw(self, height: int, width: int, rng: Rng) -> Any:
        """See `Transform`. The numbers and their order are part of the format: a change makes runs unrepeatable."""


def size_after(transforms: Iterable[Transform], height: int, width: int) -> ImageSize:
    """Height and width of an image of `height` x `width` pixels after `transforms`."""
    for transform in transforms:
        height, width = transform.size_after(height, width)
    return height, width


def fill_argument(fill: float | tuple[float, ...] | None) -> float | list[float] | None:
    """A fill as torchvision's functions take it."""
    return list(fill) if isinstance(fill, tuple) else fill
