"""What an image directory records of the transforms of its images, and what that leaves a model to do.

    _meta.yaml    extension: {applied_transforms: [...],    deterministic steps that the image files have been through
                              transforms: [...]}            what training still does, the random steps among it

See docs/decisions/0006-preprocessing-and-transforms.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.directories.transform_steps import parse_steps
from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.output import META_FILE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pytorch_designer.directories.image_directory import ImageDirectory
    from pytorch_designer.directories.transform_steps import TransformStep


def applied_steps(dataset: ImageDirectory) -> tuple[TransformStep, ...]:
    """The deterministic steps that the image files of `dataset` have been through.

    Raises:
        InvalidDatasetError: A recorded step is unknown, random or has wrong arguments.
    """
    steps = _parse(dataset, "applied_transforms", dataset.applied_transforms)
    for step in steps:
        if step.is_random:
            raise _unusable(dataset, "applied_transforms", f"{step.op} is random")
    return steps


def recorded_steps(dataset: ImageDirectory) -> tuple[TransformStep, ...]:
    """The steps that training is to do to each image in each epoch.

    Raises:
        InvalidDatasetError: A recorded step is unknown or has wrong arguments.
    """
    return _parse(dataset, "transforms", dataset.transforms)


def steps_left(model_steps: tuple[TransformStep, ...], dataset: ImageDirectory) -> tuple[TransformStep, ...] | None:
    """Those of a model's deterministic steps that the image files of `dataset` have not been through yet.

    Returns:
        The steps; None where the files have been through others than the model's first ones, so that what is left
        cannot be said.

    Raises:
        InvalidDatasetError: A recorded step is unknown, random or has wrong arguments.
    """
    applied = applied_steps(dataset)
    return model_steps[len(applied) :] if is_prefix(applied, model_steps) else None


def is_prefix(first: tuple[TransformStep, ...], steps: tuple[TransformStep, ...]) -> bool:
    """Whether `steps` begin with `first`."""
    return steps[: len(first)] == first


def _parse(dataset: ImageDirectory, key: str, pairs: Iterable[tuple[str, Any]]) -> tuple[TransformStep, ...]:
    try:
        return parse_steps(pairs)
    except ValueError as error:
        raise _unusable(dataset, key, str(error)) from error


def _unusable(dataset: ImageDirectory, key: str, problem: str) -> InvalidDatasetError:
    return InvalidDatasetError(
        f"The transforms that the image directory records (extension.{key}) are unusable.",
        where=dataset.root / META_FILE,
        examples=[problem],
        advice="Write the directory anew with Apply Image Transformation.",
        reason="invalid_transforms",
    )
