"""COCO json, as the labels of an image classification dataset.

    {"images":      [{"id": 1, "file_name": "1.jpg"}, ...],
     "annotations": [{"image_id": 1, "category_id": 7}, ...],
     "categories":  [{"id": 7, "name": "cat"}, ...]}

The file lies beside the images or above them, or in a folder beside theirs: `annotations/x.json`, `images/1.jpg`. A
`file_name` is relative to the json, or to a folder with images.

The classes are the categories in the order of their ids. An image without an annotation is unlabeled; one with several
annotations of the same category has that class. Annotations that say more than a class (a box, a segmentation,
keypoints, a caption), and images with several classes, belong to other tasks: they are refused rather than reduced to
one class per image. A file without `annotations` (a test split) gives images without labels.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from pytorch_designer.directories.sources.folder_names import is_about_images
from pytorch_designer.directories.sources.image_index import AMBIGUOUS, MISSING, ImageIndex, climbs
from pytorch_designer.directories.sources.image_rows import UNLABELED, ImageRows, Layout
from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.bounded_documents import decode_json
from pytorch_designer.storage.paths import read_bounded
from pytorch_designer.storage.string_column import StringColumn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from pytorch_designer.directories.sources.source_tree import SourceTree

MAX_COCO_BYTES = 2 << 30
_OTHER_TASKS = ("bbox", "segmentation", "keypoints", "caption", "segments_info")
_MAX_FILES = 20  # more are not one for the dataset, but one for each image
_IMAGES, _ANNOTATIONS, _CATEGORIES = '"images"', '"annotations"', '"categories"'


def read_coco(tree: SourceTree, *, takes_other_tasks: bool = False) -> ImageRows | None:
    """The rows of the COCO file of `tree`, in the order of its `images`; None where there is no such file.

    Args:
        tree: The source.
        takes_other_tasks: Annotations for other tasks are ignored instead of refused.

    Raises:
        InvalidDatasetError: There are several ("several_coco_files"), the file is damaged, or an entry lacks a key or
            contradicts another ("malformed_coco"), the annotations are not one class per image ("not_classification"),
            images are missing ("missing_files"), outside ("path_outside") or not to be told apart ("ambiguous_files").
    """
    found = []
    for name in _json_files(tree):
        document = _read_document(tree.root / name)
        if document is not None:
            found.append((name, document))
    if len(found) > 1:
        raise InvalidDatasetError(
            "There are several COCO files in the folder.",
            where=tree.root,
            examples=(name for name, _ in found),
            advice="Leave one of them in the folder. For a training and a validation file, make a folder of each with "
            "its images.",
            reason="several_coco_files",
        )
    return _read_rows(tree, *found[0], takes_other_tasks=takes_other_tasks) if found else None


def _json_files(tree: SourceTree) -> Iterator[str]:
    for path in tree.levels:
        level = tree.listings[path]
        for folder in (level, *(tree.listings[level.below(name)] for name in level.folders if is_about_images(name))):
            names = [name for name in folder.others if name.lower().endswith(".json")]
            if len(names) > _MAX_FILES:
                names = [name for name in names if "annotations" in name.lower() or "coco" in name.lower()]
            yield from map(folder.below, names[:_MAX_FILES])


def _read_rows(tree: SourceTree, name: str, document: dict[str, Any], *, takes_other_tasks: bool) -> ImageRows:
    path = tree.root / name
    images = _entries(path, document, "images", {"id": (int, str), "file_name": str})
    row_of_image = {str(image["id"]): row for row, image in enumerate(images)}
    _refuse_repetition(path, "images", [str(image["id"]) for image in images])
    files = _find_images(tree, name, images)
    ids = _ids(path, [image["id"] for image in images])
    used = set(files)
    left_out = tree.left_out(lambda listing: [file for file in listing.images if file not in used], name)
    layout = Layout("COCO", name, left_out)
    if takes_other_tasks and _other_task(document) is not None:
        return ImageRows(layout, files, None, (), ids)
    labels, classes = _read_labels(path, document, row_of_image)
    if np.all(labels == UNLABELED):
        return ImageRows(Layout("COCO without annotations", name, left_out), files, None, (), ids)
    return ImageRows(layout, files, labels, classes, ids)


def _find_images(tree: SourceTree, name: str, images: list[dict[str, Any]]) -> StringColumn:
    path = tree.root / name
    texts = [image["file_name"] for image in images]
    _text_column(path, texts)
    outside = [(image["id"], text) for image, text in zip(images, texts, strict=True) if climbs(text, name)]
    if outside:
        raise InvalidDatasetError(
            "Paths of images must be relative and stay inside the directory.",
            where=path,
            examples=(f"image {image}: {text!r} climbs with `..`" for image, text in outside),
            advice="Write paths below the directory, with `/`.",
            reason="path_outside",
        )
    index = ImageIndex(tree.images(tree.levels[0]), name)
    advice = "Put the images beside the json, or into a folder `images` there, under the names in it."
    rows = index.find_all(
        texts,
        "images",
        where=path,
        entry=lambda row: f"image {images[row]['id']}",
        advice={MISSING: advice, AMBIGUOUS: advice},
    )
    return index.files.take(rows)


def _read_document(path: Path) -> dict[str, Any] | None:
    data = read_bounded(path, MAX_COCO_BYTES, InvalidDatasetError)
    if not _holds(data, _IMAGES) or not (_holds(data, _ANNOTATIONS) or _holds(data, _CATEGORIES)):
        return None
    try:
        document = decode_json(path, data, InvalidDatasetError)
    except ValueError as error:
        raise InvalidDatasetError(
            f"The file looks like COCO annotations and is not valid JSON: {error}", where=path, reason="malformed_coco"
        ) from error
    return document if isinstance(document, dict) and isinstance(document.get("images"), list) else None


def _holds(data: bytes, key: str) -> bool:
    return key.encode() in data or key.encode("utf-16-le")[:-1] in data


def _read_labels(
    path: Path, document: dict[str, Any], row_of_image: dict[str, int]
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    labels = np.full(len(row_of_image), UNLABELED, dtype=np.int32)
    if not document.get("annotations"):
        return labels, ()
    _refuse_other_tasks(path, document)
    categories = sorted(
        _entries(path, document, "categories", {"id": (int, str), "name": str}),
        key=lambda category: _id_order(category["id"]),
    )
    _refuse_repetition(path, "categories", [str(category["id"]) for category in categories])
    _refuse_repetition(path, "categories", [category["name"] for category in categories])
    index_of_category = {str(category["id"]): index for index, category in enumerate(categories)}
    several: list[str] = []
    for annotation in _entries(path, document, "annotations", {"image_id": (int, str), "category_id": (int, str)}):
        row = row_of_image.get(str(annotation["image_id"]))
        label = index_of_category.get(str(annotation["category_id"]))
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


def _id_order(category: int | str) -> tuple[bool, int, str]:
    """Numbers before texts, also where they are written as texts."""
    is_number = isinstance(category, int) or (category.isascii() and category.isdigit())
    return not is_number, int(category) if is_number else 0, str(category)


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


def _refuse_repetition(path: Path, section: str, values: list[str]) -> None:
    if len(set(values)) < len(values):
        [(repeated, _)] = Counter(values).most_common(1)
        raise _malformed(path, section, f"{repeated!r} is there more than once")


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
