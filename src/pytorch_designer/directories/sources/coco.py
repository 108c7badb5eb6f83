"""COCO json beside its images, as the labels of an image classification dataset.

    {"images":      [{"id": 1, "file_name": "1.jpg"}, ...],           file_name: relative to the json's folder
     "annotations": [{"image_id": 1, "category_id": 7}, ...],
     "categories":  [{"id": 7, "name": "cat"}, ...]}

The classes are the categories in the order of their ids. An image without an annotation is unlabelled; one with several
annotations of the same category has that class. Annotations that say more than a class (a box, a segmentation,
keypoints, a caption), and images with several classes, belong to other tasks: they are refused rather than reduced to
one class per image. A file without `annotations` (a test split) gives images without labels.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from pytorch_designer.directories.sources.image_rows import UNLABELED, ImageRows, Layout
from pytorch_designer.directories.sources.referenced_files import check_referenced_files
from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.paths import read_bounded
from pytorch_designer.storage.string_column import StringColumn

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from pytorch_designer.storage.folder_listing import FolderListing

MAX_COCO_BYTES = 2 << 30
_OTHER_TASKS = ("bbox", "segmentation", "keypoints", "caption", "segments_info")


def find_coco_file(root: Path, listing: FolderListing) -> tuple[Path, dict[str, Any]] | None:
    """The COCO json in the folder `listing` of `root` and its content, or None where there is none.

    Raises:
        InvalidDatasetError: A file that looks like COCO is damaged ("malformed_coco"), or there are several
            ("several_coco_files").
    """
    found = []
    for name in listing.others:
        if name.lower().endswith(".json"):
            path = root / listing.below(name)
            document = _read_document(path)
            if document is not None:
                found.append((path, document))
    if len(found) > 1:
        raise InvalidDatasetError(
            "There are several COCO files in the folder.",
            where=root / listing.path,
            examples=(path.name for path, _ in found),
            advice="Leave one of them in the folder.",
            reason="several_coco_files",
        )
    return found[0] if found else None


def read_coco(path: Path, document: dict[str, Any], *, takes_other_tasks: bool = False) -> ImageRows:
    """The rows of a COCO document in the order of its `images`; paths are below the folder of `path`.

    Args:
        path: The file.
        document: Its content.
        takes_other_tasks: Annotations for other tasks are ignored instead of refused.

    Raises:
        InvalidDatasetError: An entry lacks a key or contradicts another ("malformed_coco"), the annotations are not
            one class per image ("not_classification"), images are missing or outside.
    """
    images = _entries(path, document, "images", {"id": (int, str), "file_name": str})
    row_of_image = {image["id"]: row for row, image in enumerate(images)}
    _refuse_repetition(path, "images", [image["id"] for image in images])
    files = _text_column(path, [image["file_name"] for image in images])
    check_referenced_files(
        path.parent,
        files,
        path,
        lambda row: f"image {images[row]['id']}",
        "Put the images beside the json, under the names that it gives relative to its own folder.",
    )
    ids = _ids(path, list(row_of_image))
    layout = Layout("COCO", labels_from=path.name)
    if takes_other_tasks and _other_task(document) is not None:
        return ImageRows(layout, files, None, (), ids)
    labels, classes = _read_labels(path, document, row_of_image)
    if np.all(labels == UNLABELED):
        return ImageRows(layout, files, None, (), ids)
    return ImageRows(layout, files, labels, classes, ids)


def _read_document(path: Path) -> dict[str, Any] | None:
    data = read_bounded(path, MAX_COCO_BYTES, InvalidDatasetError)
    if b'"images"' not in data or (b'"annotations"' not in data and b'"categories"' not in data):
        return None
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidDatasetError(
            f"The file looks like COCO annotations and is not valid JSON: {error}", where=path, reason="malformed_coco"
        ) from error
    return document if isinstance(document, dict) and isinstance(document.get("images"), list) else None


def _read_labels(
    path: Path, document: dict[str, Any], row_of_image: dict[int | str, int]
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    labels = np.full(len(row_of_image), UNLABELED, dtype=np.int32)
    if not document.get("annotations"):
        return labels, ()
    _refuse_other_tasks(path, document)
    categories = sorted(
        _entries(path, document, "categories", {"id": int, "name": str}), key=lambda category: int(category["id"])
    )
    _refuse_repetition(path, "categories", [category["id"] for category in categories])
    _refuse_repetition(path, "categories", [category["name"] for category in categories])
    index_of_category = {category["id"]: index for index, category in enumerate(categories)}
    several: list[str] = []
    for annotation in _entries(path, document, "annotations", {"image_id": (int, str), "category_id": int}):
        row = row_of_image.get(annotation["image_id"])
        label = index_of_category.get(annotation["category_id"])
        if row is None or label is None:
            raise _malformed(
                path, "annotations", f"{annotation!r} names an image or a category that is not in the file"
            )
        if labels[row] not in {UNLABELED, label}:
            several.append(f"image {annotation['image_id']}")
        labels[row] = label
    if several:
        raise InvalidDatasetError(
            "Images have several classes, and image classification learns one class per image.",
            where=path,
            examples=dict.fromkeys(several),
            reason="not_classification",
        )
    return labels, tuple(category["name"] for category in categories)


def _refuse_other_tasks(path: Path, document: dict[str, Any]) -> None:
    found = _other_task(document)
    if found is not None:
        raise InvalidDatasetError(
            f"The annotations have a `{found}`: they are not for image classification.",
            where=path,
            advice="Connect a dataset for image classification: object detection, segmentation, keypoints and "
            "captions are not supported.",
            reason="not_classification",
        )


def _other_task(document: dict[str, Any]) -> str | None:
    """A key that shows that annotations are not for image classification."""
    annotations = document.get("annotations")
    keys = (
        key
        for annotation in (annotations if isinstance(annotations, list) else ())
        for key in _OTHER_TASKS
        if isinstance(annotation, dict) and annotation.get(key)
    )
    return next(keys, None)


def _entries(
    path: Path, document: dict[str, Any], section: str, keys: dict[str, type | tuple[type, ...]]
) -> list[dict[str, Any]]:
    entries = document.get(section)
    if not isinstance(entries, list):
        raise _malformed(path, section, "there is no such list")
    for number, entry in enumerate(entries):
        for key, kind in keys.items():
            value = entry.get(key) if isinstance(entry, dict) else None
            if not isinstance(value, kind) or isinstance(value, bool):
                raise _malformed(path, section, f"entry {number} has no usable `{key}`: {entry!r}")
    return entries


def _refuse_repetition(path: Path, section: str, values: list[int | str]) -> None:
    seen: set[int | str] = set()
    repeated = [value for value in values if value in seen or seen.add(value)]  # type: ignore[func-returns-value]
    if repeated:
        raise _malformed(path, section, f"{repeated[0]!r} is there more than once")


def _ids(path: Path, ids: list[int | str]) -> NDArray[np.int64] | StringColumn:
    texts = [value for value in ids if isinstance(value, str)]
    if len(texts) == len(ids):
        return _text_column(path, texts)
    if texts:
        raise _malformed(path, "images", "some ids are integers and some are texts")
    try:
        return np.array(ids, dtype=np.int64)
    except OverflowError as error:
        raise _malformed(path, "images", "an id is not a 64 bit integer") from error


def _text_column(path: Path, texts: list[str]) -> StringColumn:
    try:
        return StringColumn.from_strings(texts)
    except UnicodeEncodeError as error:
        raise _malformed(path, "images", f"{error.object!a} holds half a surrogate pair") from error


def _malformed(path: Path, section: str, what: str) -> InvalidDatasetError:
    return InvalidDatasetError(
        f"The COCO file's `{section}` are unusable: {what}.", where=path, reason="malformed_coco"
    )
