"""The steps of an image transformation, as checked data; `pytorch_designer.images.transforms.steps` carries them out.

A step is one of torchvision's transforms by its name, with torchvision's argument names, their order and their
defaults (torchvision 0.29, documentation of `torchvision.transforms.v2`). In files a step is a pair:

    ["Resize", {"size": 256}]     arguments by name
    ["Pad", [10, 0, "edge"]]      arguments in torchvision's order
    ["CenterCrop", 224]           the first argument
    ["RandomErasing", {}]         none

Images are 8 bit RGB when steps are applied, so `fill` and `value` are from 0 to 255.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from pytorch_designer.errors import shorten

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Self

_INTERPOLATION_OF_NUMBER = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # Pillow's numbers, which old releases took


def _as_name(value: object) -> object:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return _INTERPOLATION_OF_NUMBER.get(value, value) if is_number else value  # type: ignore[call-overload]


def _as_size(value: object) -> object:
    return [value] if isinstance(value, int) else value


def _as_square(value: object) -> object:
    sizes = [value] if isinstance(value, int) else value
    return [*sizes, *sizes] if isinstance(sizes, (list, tuple)) and len(sizes) == 1 else sizes


def _as_four_sides(value: object) -> object:
    """Left, top, right, bottom, from one number for all or two for (left and right, top and bottom)."""
    sides = [value] if isinstance(value, int) else value
    return [*sides] * (4 // len(sides)) if isinstance(sides, (list, tuple)) and len(sides) in {1, 2} else sides


def _as_symmetric(value: object) -> object:
    return [-value, value] if isinstance(value, (int, float)) and value >= 0 else value


def _check_increasing(values: tuple[float, ...]) -> tuple[float, ...]:
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
Range = Annotated[tuple[float, float], AfterValidator(_check_increasing)]
Angles = Annotated[Range, BeforeValidator(_as_symmetric)]
"""Two angles in degrees between which one is drawn; one number d in a file is (-d, d)."""
Shear = Annotated[
    tuple[float, float] | tuple[float, float, float, float],
    AfterValidator(_check_increasing),
    BeforeValidator(_as_symmetric),
]
PositiveRange = Annotated[
    tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]], AfterValidator(_check_increasing)
]
Share = Annotated[tuple[Probability, Probability], AfterValidator(_check_increasing)]
Fill = float | tuple[float] | tuple[float, float, float] | None


class TransformStep(BaseModel):
    """One step, with all its arguments; the order of the fields is torchvision's order of arguments.

    Attributes:
        is_random: Whether it is drawn afresh for each image in each epoch.
        chooses_size: Whether it says which size in pixels the images are to have.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    is_random: ClassVar[bool] = False
    chooses_size: ClassVar[bool] = False

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


class Resize(TransformStep):
    """The shorter side, or both sides, to a size."""

    chooses_size: ClassVar[bool] = True

    size: Size
    interpolation: Resampling = "bilinear"
    max_size: Side | None = None
    antialias: bool | None = True

    @model_validator(mode="after")
    def _check_max_size(self) -> Self:
        if self.max_size is not None and (len(self.size) == 2 or self.max_size <= self.size[0]):
            raise ValueError("max_size must be above size, and needs a size of one number")
        return self


class CenterCrop(TransformStep):
    """The middle of the image, padded with zeros where the image is smaller."""

    chooses_size: ClassVar[bool] = True

    size: Square


class Pad(TransformStep):
    """A margin around the image."""

    padding: Padding
    fill: Fill = 0
    padding_mode: PaddingMode = "constant"


class Grayscale(TransformStep):
    """Brightness instead of colour. Three equal channels are kept whatever is asked for: networks here take three."""

    num_output_channels: Literal[1, 3] = 1


class _RandomStep(TransformStep):
    is_random: ClassVar[bool] = True


class ColorJitter(_RandomStep):
    """Brightness, contrast, saturation and hue by random factors, in random order.

    One number x in a file is (max(0, 1 - x), 1 + x), for the hue (-x, x).
    """

    brightness: Range | None = None
    contrast: Range | None = None
    saturation: Range | None = None
    hue: Annotated[Range, BeforeValidator(_as_symmetric)] | None = None

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


class RandomResizedCrop(_RandomStep):
    """A random part of the image with a random aspect ratio, resized."""

    chooses_size: ClassVar[bool] = True

    size: Square
    scale: PositiveRange = (0.08, 1.0)
    ratio: PositiveRange = (3 / 4, 4 / 3)
    interpolation: Resampling = "bilinear"
    antialias: bool | None = True


class RandomCrop(_RandomStep):
    """A part of the image at a random place."""

    chooses_size: ClassVar[bool] = True

    size: Square
    padding: Padding | None = None
    pad_if_needed: bool = False
    fill: Fill = 0
    padding_mode: PaddingMode = "constant"


class RandomHorizontalFlip(_RandomStep):
    """Left and right exchanged, sometimes."""

    p: Probability = 0.5


class RandomVerticalFlip(_RandomStep):
    """Top and bottom exchanged, sometimes."""

    p: Probability = 0.5


class RandomRotation(_RandomStep):
    """The image turned by a random angle."""

    degrees: Angles
    interpolation: Sampling = "nearest"
    expand: bool = False
    center: tuple[float, float] | None = None
    fill: Fill = 0


class RandomAffine(_RandomStep):
    """The image turned, moved, scaled and sheared at random, its middle kept."""

    degrees: Angles
    translate: tuple[Probability, Probability] | None = None
    scale: PositiveRange | None = None
    shear: Shear | None = None
    interpolation: Sampling = "nearest"
    fill: Fill = 0
    center: tuple[float, float] | None = None


class RandomGrayscale(_RandomStep):
    """Brightness instead of colour, sometimes."""

    p: Probability = 0.1


class RandomPerspective(_RandomStep):
    """The image seen from a random angle, sometimes."""

    distortion_scale: Probability = 0.5
    p: Probability = 0.5
    interpolation: Sampling = "bilinear"
    fill: Fill = 0


class RandomErasing(_RandomStep):
    """A random rectangle painted over, sometimes."""

    p: Probability = 0.5
    scale: Share = (0.02, 0.33)
    ratio: PositiveRange = (0.3, 3.3)
    value: float | tuple[float] | tuple[float, float, float] | Literal["random"] = 0
    inplace: bool = False


STEPS: dict[str, type[TransformStep]] = {
    step.__name__: step
    for step in (
        Resize,
        CenterCrop,
        Pad,
        Grayscale,
        ColorJitter,
        RandomResizedCrop,
        RandomCrop,
        RandomHorizontalFlip,
        RandomVerticalFlip,
        RandomRotation,
        RandomAffine,
        RandomGrayscale,
        RandomPerspective,
        RandomErasing,
    )
}
"""Every known step by its name."""


def parse_step(op: object, args: object) -> TransformStep:
    """The step that a pair of a file means; see the module's docstring.

    Raises:
        ValueError: There is no such step, or an argument is unknown, missing or out of its range. The text is for
            the user, and begins with the step's name.
    """
    step = STEPS.get(op) if isinstance(op, str) else None
    if step is None:
        raise ValueError(f"{shorten(str(op), 60)} is none of the known transforms ({', '.join(STEPS)})")
    try:
        return step.model_validate(_keywords(step, args))
    except ValidationError as error:
        raise ValueError(f"{op}: {_faults(error)}") from None


def parse_steps(pairs: Iterable[tuple[object, object]]) -> tuple[TransformStep, ...]:
    """The steps that pairs of a file mean.

    Raises:
        ValueError: As in `parse_step`; the text says which step it is, counted from 1.
    """
    steps = []
    for number, (op, args) in enumerate(pairs, start=1):
        try:
            steps.append(parse_step(op, args))
        except ValueError as error:  # noqa: PERF203 - lists are short
            raise ValueError(f"step {number}: {error}") from None
    return tuple(steps)


def split_at_first_random(
    steps: tuple[TransformStep, ...],
) -> tuple[tuple[TransformStep, ...], tuple[TransformStep, ...]]:
    """The deterministic steps before the first random one, and the rest."""
    first = next((index for index, step in enumerate(steps) if step.is_random), len(steps))
    return steps[:first], steps[first:]


def deterministic_steps(steps: Iterable[TransformStep]) -> tuple[TransformStep, ...]:
    """The steps that are not random."""
    return tuple(step for step in steps if not step.is_random)


def _faults(error: ValidationError) -> str:
    by_argument: dict[str, str] = {}
    for fault in error.errors(include_url=False, include_input=False):  # an argument of two forms has a fault for each
        argument = "".join(str(part) for part in fault["loc"][:1])
        by_argument.setdefault(argument, fault["msg"].removeprefix("Value error, "))
    return "; ".join(f"{argument}: {message}" if argument else message for argument, message in by_argument.items())


def _keywords(step: type[TransformStep], args: object) -> dict[str, Any]:
    if isinstance(args, dict):
        return {str(name): value for name, value in args.items()}
    names = list(step.model_fields)
    if isinstance(args, bool) or not isinstance(args, (int, float, list, tuple)):
        raise ValueError(f"{step.__name__}: its arguments are no object, list or number")  # noqa: TRY004 - file content
    values = list(args) if isinstance(args, (list, tuple)) else [args]
    if len(values) > len(names):
        raise ValueError(f"{step.__name__}: {len(values)} arguments, of which it takes at most {len(names)}")
    return dict(zip(names, values, strict=False))


def _parse_deterministic(value: object) -> object:
    if isinstance(value, (list, tuple)) and len(value) == 2:
        value = parse_step(*value)
    if isinstance(value, TransformStep) and value.is_random:
        raise ValueError(f"{value.op} is random")
    return value


DeterministicStep = Annotated[
    InstanceOf[TransformStep], BeforeValidator(_parse_deterministic), PlainSerializer(TransformStep.to_pair)
]
"""A step that is no random one, as a field of a model that is read from a file and written to one."""
