from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytorch_designer.directories.image_schema import build_schema, read_schema
from pytorch_designer.errors import InvalidDatasetError
from tests.directories.hand_built import schema

if TYPE_CHECKING:
    from pathlib import Path


def refusal(path: Path, content: str) -> InvalidDatasetError:
    path.write_text(content)
    with pytest.raises(InvalidDatasetError) as caught:
        read_schema(path)
    return caught.value


def test_the_schema_is_the_old_designers() -> None:
    written = build_schema(["cat", "dog"], has_labels=True, has_text_ids=False)
    assert written == json.loads(schema([{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]))
    assert build_schema([], has_labels=False, has_text_ids=False) == json.loads(schema(None))


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    text = schema([{"id": 0, "name": "cat"}]).replace('"category"', '"species"').replace("image_info", "picture")
    (tmp_path / "s.json").write_text(text)
    read = read_schema(tmp_path / "s.json")
    assert (read.label_key, read.image_key, read.classes) == ("species", "picture", ("cat",))


def test_a_declared_others_wins_over_a_gap(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(schema([{"id": 3, "name": "Others"}, {"id": 1, "name": "cat"}]))
    read = read_schema(tmp_path / "s.json")
    assert read.classes == ("Others", "cat", "Others", "Others")
    assert read.class_indices == {"cat": 1, "Others": 3}


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"columnAttributes": [1]}', '{"columnAttributes": 5}', "[" * 99999]
)
def test_what_is_no_schema_is_refused(tmp_path: Path, content: str) -> None:
    assert refusal(tmp_path / "s.json", content).reason == "malformed_schema"


@pytest.mark.parametrize(
    "categories",
    [
        [{"id": 0, "name": "cat"}, {"id": 0, "name": "dog"}],
        [{"id": 0, "name": "cat"}, {"id": 1, "name": "cat"}],
        [{"id": -1, "name": "cat"}],
        [{"id": 10**9, "name": "cat"}],
        [{"id": True, "name": "cat"}],
        [{"id": "0", "name": "cat"}],
        [{"id": 0, "name": 5}],
        [{"name": "cat"}],
        ["cat"],
    ],
)
def test_contradicting_categories_are_refused(tmp_path: Path, categories: list[Any]) -> None:
    assert refusal(tmp_path / "s.json", schema(categories)).reason == "invalid_categories"
