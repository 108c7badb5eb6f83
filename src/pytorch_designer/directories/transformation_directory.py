"""A TransformationDirectory: a list of image transforms, as Init Image Transformation writes it.

    _meta.yaml          type: TransformationDirectory; transform_type: Image
    _transforms.json    [["Resize", {"size": 256}], ["CenterCrop", {"size": 224}], ["RandomHorizontalFlip", {}]]

The old designer wrote the same, and, for transforms of other kinds, a pickle: that is refused, as it could run code.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytorch_designer.directories.meta import read_meta, write_meta
from pytorch_designer.errors import InvalidTransformationDirectoryError, describe_value
from pytorch_designer.storage.bounded_documents import read_json
from pytorch_designer.storage.output import META_FILE
from pytorch_designer.storage.paths import resolve_inside
from pytorch_designer.transforms.registrations import parse_transforms

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pytorch_designer.transforms.transform import Transform

TRANSFORMATION_DIRECTORY = "TransformationDirectory"
TRANSFORMS_FILE = "_transforms.json"
_IMAGE_TRANSFORM = "Image"
_MAX_BYTES = 1 << 20
_ADVICE = "Connect the output of Init Image Transformation."


def open_transformation_directory(path: Path) -> tuple[Transform, ...]:
    """The transforms of the TransformationDirectory at `path`, in the order in which they apply.

    Raises:
        InvalidTransformationDirectoryError: It is not such a directory, holds a pickle ("pickle"), its list cannot be
            read ("malformed_transforms"), or a transform is unknown or has wrong arguments ("invalid_transform").
    """
    meta = read_meta(path, TRANSFORMATION_DIRECTORY, InvalidTransformationDirectoryError)
    _check_kind(path, meta.get("transform_type"))
    file = resolve_inside(path, TRANSFORMS_FILE, InvalidTransformationDirectoryError)
    pairs = _read_pairs(file)
    try:
        return parse_transforms(pairs)
    except ValueError as error:
        raise InvalidTransformationDirectoryError(
            "A transform of the transformation is unusable.",
            where=file,
            examples=[error],
            advice="Correct the transform, or make the transformation anew with Init Image Transformation.",
            reason="invalid_transform",
        ) from error


def write_transformation_directory(folder: Path, pairs: Iterable[tuple[str, Any]]) -> None:
    """Write a TransformationDirectory into the empty folder `folder`, which `Output.stage` yields.

    Args:
        folder: Where to write.
        pairs: Each transform as (op, args); `parse_transforms` takes them.

    Raises:
        OSError: A file cannot be written.
    """
    lines = ",\n".join(f"  {json.dumps([op, args])}" for op, args in pairs)
    (folder / TRANSFORMS_FILE).write_text(f"[\n{lines}\n]\n", encoding="ascii")
    write_meta(folder, TRANSFORMATION_DIRECTORY, transform_type=_IMAGE_TRANSFORM)


def _check_kind(path: Path, kind: object) -> None:
    if kind == _IMAGE_TRANSFORM:
        return
    if kind is None or kind == "Pickle":
        what = "The transformation is a pickled Python object, which could run code: nothing in it was read."
        raise InvalidTransformationDirectoryError(what, where=path / META_FILE, advice=_ADVICE, reason="pickle")
    raise InvalidTransformationDirectoryError(
        f"The transformation is for {describe_value(kind)}, not for images.",
        where=path / META_FILE,
        advice=_ADVICE,
        reason="wrong_kind",
    )


def _read_pairs(file: Path) -> list[tuple[object, object]]:
    try:
        pairs = read_json(file, _MAX_BYTES, InvalidTransformationDirectoryError)
    except ValueError as error:
        raise _malformed(file, f"it is not JSON: {error}") from error
    if not isinstance(pairs, list):
        raise _malformed(file, "it is not a list")
    for number, pair in enumerate(pairs, start=1):
        if not isinstance(pair, list) or len(pair) != 2:
            raise _malformed(file, f"transform {number} is not a pair [op, args]: {describe_value(pair)}")
    return [(op, args) for op, args in pairs]


def _malformed(file: Path, problem: str) -> InvalidTransformationDirectoryError:
    return InvalidTransformationDirectoryError(
        "The list of transforms cannot be read.",
        where=file,
        examples=[problem],
        advice=_ADVICE,
        reason="malformed_transforms",
    )
