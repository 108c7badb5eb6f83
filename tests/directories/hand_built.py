"""Image directories built by hand, from the text of docs/formats.md and not with the writer under test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pytorch_designer.directories.image_directory import ImageDirectory
from pytorch_designer.directories.sources.image_rows import Layout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytorch_designer.storage.string_column import StringColumn

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b55"
    "0000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"
)  # one gray pixel

META = """\
type: ImageDirectory
extension: {}
image_list: images.lst
samples: _samples.json
schema: _schema.json
"""


class MakeTyped(Protocol):
    def __call__(
        self, rows: Sequence[object], categories: Sequence[Mapping[str, Any]] | None = ..., meta: str = ...
    ) -> Path: ...


class MakeTree(Protocol):
    def __call__(self, *paths: str) -> Path: ...


def image_directory(files: StringColumn, **columns: Any) -> ImageDirectory:
    """The index of a directory that is not on the disk; without labels unless `columns` has them."""
    root = Path("dataset")
    defaults: dict[str, Any] = {
        "root": root,
        "source": root,
        "layout": Layout("Image directory"),
        "files": files,
        "labels": None,
        "classes": (),
        "ids": np.arange(len(files)),
    }
    return ImageDirectory(**(defaults | columns))


def row(number: int, category: str | None, file_name: str | None = None) -> dict[str, Any]:
    name = f"image/0_{number}.png" if file_name is None else file_name
    labels = {} if category is None else {"category": category}
    return {"image_info": {"file_name": name}, **labels, "id": number}


def schema(categories: Sequence[Mapping[str, Any]] | None, annotation_type: str = "COCO_classification") -> str:
    columns: list[dict[str, Any]] = [
        {
            "name": "image",
            "type": "Bytes",
            "isFeature": True,
            "elementType": {"typeName": "bytes", "isNullable": False},
            "properties": {"mime_type": "image/png", "image_ref": "image_info"},
        },
        {
            "name": "id",
            "type": "Numeric",
            "isFeature": False,
            "elementType": {"typeName": "int64", "isNullable": False},
        },
    ]
    if categories is not None:
        columns.append(
            {
                "name": "category",
                "type": "String",
                "isFeature": False,
                "elementType": {"typeName": "str", "isNullable": False},
                "properties": {"annotation_type": annotation_type, "categories": list(categories)},
            }
        )
    return json.dumps({"columnAttributes": columns})
