"""Recorded transforms of an image directory, and those that are left for a model to apply.

    _meta.yaml    extension: {applied_transforms: [...],    deterministic transforms, applied to the image files
                              transforms: [...]}            transforms that training applies, with the random ones

See docs/decisions/0006-preprocessing-and-transforms.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.output import META_FILE
from pytorch_designer.transforms.registrations import parse_transforms

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pytorch_designer.directories.image_directory import ImageDirectory
    from pytorch_designer.transforms.transform import Transform


def applied_transforms(dataset: ImageDirectory) -> tuple[Transform, ...]:
    """The deterministic transforms, applied to the image files of `dataset`.

    Raises:
        InvalidDatasetError: A recorded transform is unknown, random or has wrong arguments.
    """
    transforms = _parse(dataset, "applied_transforms", dataset.applied_transforms)
    for transform in transforms:
        if transform.is_random:
            raise _unusable(dataset, "applied_transforms", f"{transform.op} is random")
    return transforms


def recorded_transforms(dataset: ImageDirectory) -> tuple[Transform, ...]:
    """The transforms that training applies to each image in each epoch.

    Raises:
        InvalidDatasetError: A recorded transform is unknown or has wrong arguments.
    """
    return _parse(dataset, "transforms", dataset.transforms)


def transforms_left(model_transforms: tuple[Transform, ...], dataset: ImageDirectory) -> tuple[Transform, ...] | None:
    """Those of a model's deterministic transforms that were not applied to the image files of `dataset` yet.

    Returns:
        The transforms; None where others than the model's first ones were applied, so that what is left is unknown.

    Raises:
        InvalidDatasetError: A recorded transform is unknown, random or has wrong arguments.
    """
    applied = applied_transforms(dataset)
    return model_transforms[len(applied) :] if is_prefix(applied, model_transforms) else None


def is_prefix(first: tuple[Transform, ...], transforms: tuple[Transform, ...]) -> bool:
    """True if `transforms` begin with `first`."""
    return transforms[: len(first)] == first


def _parse(dataset: ImageDirectory, key: str, pairs: Iterable[tuple[str, Any]]) -> tuple[Transform, ...]:
    try:
        return parse_transforms(pairs)
    except ValueError as error:
        raise _unusable(dataset, key, str(error)) from error


def _unusable(dataset: ImageDirectory, key: str, problem: str) -> InvalidDatasetError:
    return InvalidDatasetError(
        f"The transforms that the image directory records (extension.{key}) are unusable.",
        where=dataset.source / dataset.prefix / META_FILE,
        examples=[problem],
        advice="Write the directory anew with Apply Image Transformation.",
        reason="invalid_transforms",
    )
