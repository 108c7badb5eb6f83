"""Schema, `_schema.json`, of an image directory: its classes, and the keys of its rows.

    {"columnAttributes": [
        {"name": "image", "type": "Bytes", "isFeature": true, ..., "properties": {"mime_type": "image/png",
                                                                                  "image_ref": "image_info"}},
        {"name": "id", ...},
        {"name": "category", ..., "properties": {"annotation_type": "COCO_classification",
                                                 "categories": [{"id": 0, "name": "cat"}, ...]}}]}

The index of a class is the `id` of its category. Ids may have gaps: a missing index is a class named `Others`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import InvalidDatasetError, describe_value, shorten
from pytorch_designer.storage.bounded_documents import read_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

GAP_CLASS = "Others"
MAX_CLASSES = 1_000_000
MAX_SCHEMA_BYTES = 64 << 20  # a million classes take about as much
_CLASSIFICATION = "COCO_classification"
_NO_LABEL_KEY = ""  # no row has it


@dataclass(frozen=True)
class ImageSchema:
    """Classes and keys, as a reader of `images.lst` needs them.

    Attributes:
        classes: Names by class index, gaps filled with `Others`; None where the schema does not declare any.
        class_indices: Class index by name.
        image_key: The key of a row under which the image's `file_name` is.
        label_key: The key of a row under which the class name is.
    """

    classes: tuple[str, ...] | None = None
    class_indices: dict[str, int] = field(default_factory=dict)
    image_key: str = "image_info"
    label_key: str = "category"


def read_schema(path: Path, *, takes_other_tasks: bool = False) -> ImageSchema:
    """Read and check `_schema.json`.

    Args:
        path: The file.
        takes_other_tasks: Annotations for other tasks are ignored instead of refused.

    Raises:
        InvalidDatasetError: The file is not such a schema ("malformed_schema"), its classes contradict each other
            ("invalid_categories"), or its labels are not one class per image ("not_classification").
    """
    columns = _read_columns(path)
    image_key = ImageSchema.image_key
    for _, element_type, properties in columns:
        if element_type == "bytes" and isinstance(properties.get("image_ref"), str):
            image_key = properties["image_ref"]
    labels = [(name, properties) for name, _, properties in columns if properties.get("annotation_type") is not None]
    if not labels:
        return ImageSchema(image_key=image_key)
    if takes_other_tasks and not _is_classification(labels):
        return ImageSchema(image_key=image_key, label_key=_NO_LABEL_KEY)
    label_key, properties = labels[0]
    if not _is_classification(labels):
        raise InvalidDatasetError(
            "The annotations are not one class per image, which is what image classification learns from.",
            where=path,
            examples=(f"{name}: {column['annotation_type']}" for name, column in labels),
            advice="Connect a dataset for image classification: object detection, segmentation, keypoints and captions "
            "are not supported.",
            reason="not_classification",
        )
    classes, class_indices = _fill_gaps(path, _read_categories(path, properties.get("categories")))
    return ImageSchema(classes, class_indices, image_key, label_key)


def build_schema(classes: Sequence[str], *, has_labels: bool, has_text_ids: bool) -> dict[str, Any]:
    """The content of `_schema.json`, as the old designer writes it; without labels there is no column for them."""
    id_type = ("String", "str") if has_text_ids else ("Numeric", "int64")
    columns = [
        _column("image", "Bytes", "bytes", {"mime_type": "image/png", "image_ref": "image_info"}, is_feature=True),
        _column("id", *id_type, {}),
    ]
    if has_labels:
        categories = [{"id": index, "name": name} for index, name in enumerate(classes)]
        columns.append(
            _column("category", "String", "str", {"annotation_type": _CLASSIFICATION, "categories": categories})
        )
    return {"columnAttributes": columns}


def _is_classification(labels: list[tuple[str, dict[str, Any]]]) -> bool:
    return len(labels) == 1 and labels[0][1]["annotation_type"] == _CLASSIFICATION


def _column(
    name: str, kind: str, element_type: str, properties: dict[str, Any], *, is_feature: bool = False
) -> dict[str, Any]:
    column = {
        "name": name,
        "type": kind,
        "isFeature": is_feature,
        "elementType": {"typeName": element_type, "isNullable": False},
    }
    return {**column, "properties": properties} if properties else column


def _read_columns(path: Path) -> list[tuple[str, str | None, dict[str, Any]]]:
    """Name, name of the element type and properties of each column."""
    try:
        document = read_json(path, MAX_SCHEMA_BYTES, InvalidDatasetError)
        columns = [
            (str(column["name"]), (column.get("elementType") or {}).get("typeName"), column.get("properties") or {})
            for column in document["columnAttributes"]
        ]
        if not all(isinstance(properties, dict) for _, _, properties in columns):
            raise TypeError("the `properties` of a column are not an object")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidDatasetError(
            f"The schema is not a JSON object with a list `columnAttributes` of named columns: {error}",
            where=path,
            reason="malformed_schema",
        ) from error
    return columns


def _read_categories(path: Path, categories: object) -> dict[int, str]:
    """Class name by id."""
    names: dict[int, str] = {}
    faults: list[str] = []
    for category in categories if isinstance(categories, list) else [categories]:
        number = category.get("id") if isinstance(category, dict) else None
        name = category.get("name") if isinstance(category, dict) else None
        if type(number) is not int or not 0 <= number < MAX_CLASSES or not isinstance(name, str):
            faults.append(f"{shorten(str(category), 100)} is not an id from 0 to {MAX_CLASSES - 1} with a name")
        elif number in names:
            faults.append(f"id {number} is both {describe_value(names[number])} and {describe_value(name)}")
        else:
            names[number] = name
    if faults:
        raise InvalidDatasetError(
            "The categories of the schema are unusable.", where=path, examples=faults, reason="invalid_categories"
        )
    return names


def _fill_gaps(path: Path, names: dict[int, str]) -> tuple[tuple[str, ...], dict[str, int]]:
    classes = tuple(names.get(index, GAP_CLASS) for index in range(max(names, default=-1) + 1))
    class_indices: dict[str, int] = {}
    twice: list[str] = []
    for index, name in sorted(names.items()):
        # `Others` repeats in a schema that was written from one with several gaps.
        if class_indices.setdefault(name, index) != index and name != GAP_CLASS:
            twice.append(f"{describe_value(name)} has the ids {class_indices[name]} and {index}")
    if twice:
        raise InvalidDatasetError(
            "Classes of the schema have the same name.", where=path, examples=twice, reason="invalid_categories"
        )
    if GAP_CLASS in classes:
        class_indices.setdefault(GAP_CLASS, classes.index(GAP_CLASS))
    return classes, class_indices
