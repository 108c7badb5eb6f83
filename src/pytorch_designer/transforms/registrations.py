"""All transforms, and their way into and out of files.

In files a transform is a pair:

    ["Resize", {"size": 256}]     arguments by name
    ["Pad", [10, 0, "edge"]]      arguments in torchvision's order
    ["CenterCrop", 224]           the first argument
    ["RandomErasing", {}]         none
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, InstanceOf, PlainSerializer, ValidationError

from pytorch_designer.errors import shorten
from pytorch_designer.transforms.blur import GaussianBlur
from pytorch_designer.transforms.color import ColorJitter, Grayscale, RandomAutocontrast, RandomGrayscale
from pytorch_designer.transforms.erasing import RandomErasing
from pytorch_designer.transforms.flips import RandomHorizontalFlip, RandomVerticalFlip
from pytorch_designer.transforms.geometry import RandomAffine, RandomPerspective, RandomRotation
from pytorch_designer.transforms.policies import RandAugment, TrivialAugmentWide
from pytorch_designer.transforms.sizes import CenterCrop, Pad, RandomCrop, RandomResizedCrop, Resize
from pytorch_designer.transforms.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Iterable

TRANSFORMS: dict[str, type[Transform]] = {
    transform.__name__: transform
    for transform in (
        Resize,
        CenterCrop,
        Pad,
        ColorJitter,
        Grayscale,
        RandomResizedCrop,
        RandomCrop,
        RandomHorizontalFlip,
        RandomVerticalFlip,
        RandomRotation,
        RandomAffine,
        RandomGrayscale,
        RandomAutocontrast,
        RandomPerspective,
        GaussianBlur,
        RandAugment,
        TrivialAugmentWide,
        RandomErasing,
    )
}
"""Every transform by its name, in the order in which Init Image Transformation applies them."""


def parse_transform(op: object, args: object) -> Transform:
    """The transform that a pair of a file means; see the module's docstring.

    Raises:
        ValueError: There is no such transform, or an argument is unknown, missing or out of its range. The text is for
            the user, and begins with the transform's name.
    """
    transform = TRANSFORMS.get(op) if isinstance(op, str) else None
    if transform is None:
        raise ValueError(f"{shorten(str(op), 60)} is not one of the known transforms ({', '.join(TRANSFORMS)})")
    try:
        return transform.model_validate(_keywords(transform, args))
    except ValidationError as error:
        raise ValueError(f"{op}: {_faults(error)}") from None


def parse_transforms(pairs: Iterable[tuple[object, object]]) -> tuple[Transform, ...]:
    """The transforms that pairs of a file mean.

    Raises:
        ValueError: As in `parse_transform`; the text says which transform it is, counted from 1.
    """
    transforms = []
    for number, (op, args) in enumerate(pairs, start=1):
        try:
            transforms.append(parse_transform(op, args))
        except ValueError as error:  # noqa: PERF203 - lists are short
            raise ValueError(f"transform {number}: {error}") from None
    return tuple(transforms)


def split_at_first_random(transforms: tuple[Transform, ...]) -> tuple[tuple[Transform, ...], tuple[Transform, ...]]:
    """The deterministic transforms before the first random one, and the rest."""
    first = next((index for index, transform in enumerate(transforms) if transform.is_random), len(transforms))
    return transforms[:first], transforms[first:]


def deterministic_transforms(transforms: Iterable[Transform]) -> tuple[Transform, ...]:
    """The transforms that are not random."""
    return tuple(transform for transform in transforms if not transform.is_random)


def _faults(error: ValidationError) -> str:
    by_argument: dict[str, str] = {}
    for fault in error.errors(include_url=False, include_input=False):  # an argument of two forms has a fault for each
        argument = "".join(str(part) for part in fault["loc"][:1])
        by_argument.setdefault(argument, fault["msg"].removeprefix("Value error, "))
    return "; ".join(f"{argument}: {message}" if argument else message for argument, message in by_argument.items())


def _keywords(transform: type[Transform], args: object) -> dict[str, Any]:
    if isinstance(args, dict):
        return {str(name): value for name, value in args.items()}
    names = list(transform.model_fields)
    if isinstance(args, bool) or not isinstance(args, (int, float, list, tuple)):
        raise ValueError(f"{transform.__name__}: its arguments are not an object, a list or a number")
    values = list(args) if isinstance(args, (list, tuple)) else [args]
    if len(values) > len(names):
        raise ValueError(f"{transform.__name__}: {len(values)} arguments, of which it takes at most {len(names)}")
    return dict(zip(names, values, strict=False))


def _parse_deterministic(value: object) -> object:
    if isinstance(value, (list, tuple)) and len(value) == 2:
        value = parse_transform(*value)
    if isinstance(value, Transform) and value.is_random:
        raise ValueError(f"{value.op} is random")
    return value


DeterministicTransform = Annotated[
    InstanceOf[Transform], BeforeValidator(_parse_deterministic), PlainSerializer(Transform.to_pair)
]
"""A deterministic transform, as a field of a model that is read from a file and written to one."""
