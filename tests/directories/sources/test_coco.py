"""A COCO json beside images."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytorch_designer.directories.image_directory import UNLABELED, open_image_directory
from pytorch_designer.errors import InvalidDatasetError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.directories.hand_built import MakeTree


def document(**changes: Any) -> dict[str, Any]:
    return {
        "info": {},
        "images": [
            {"id": 10, "file_name": "a.png"},
            {"id": 4, "file_name": "sub/b.png"},
            {"id": 7, "file_name": "c.png"},
        ],
        "annotations": [
            {"id": 1, "image_id": 4, "category_id": 9},
            {"id": 2, "image_id": 10, "category_id": 2, "area": 0.0, "bbox": []},
            {"id": 3, "image_id": 4, "category_id": 9},
        ],
        "categories": [{"id": 9, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 5, "name": "emu"}],
        **changes,
    }


@pytest.fixture
def folder(make_tree: MakeTree) -> Path:
    return make_tree("a.png", "sub/b.png", "c.png", "unlisted.png")


def refusal(folder: Path, content: object) -> InvalidDatasetError:
    (folder / "labels.json").write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(InvalidDatasetError) as caught:
        open_image_directory(folder)
    return caught.value


def test_images_get_their_category_in_the_order_of_the_file(folder: Path) -> None:
    (folder / "labels.json").write_text(json.dumps(document()))
    dataset = open_image_directory(folder)
    assert list(dataset.files) == ["a.png", "sub/b.png", "c.png"]
    assert dataset.classes == ("dog", "emu", "cat")
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [0, 2, UNLABELED]
    assert list(dataset.ids) == [10, 4, 7]


def test_without_annotations_there_are_no_labels(folder: Path) -> None:
    (folder / "labels.json").write_text(json.dumps(document(annotations=[])))
    dataset = open_image_directory(folder)
    assert len(dataset) == 3
    assert dataset.labels is None


def test_a_coco_file_is_found_in_the_one_folder_of_a_folder(make_tree: MakeTree) -> None:
    root = make_tree("pets/a.png", "pets/sub/b.png", "pets/c.png")
    (root / "pets" / "labels.json").write_text(json.dumps(document()))
    assert open_image_directory(root).classes == ("dog", "emu", "cat")


def test_another_json_beside_class_folders_means_nothing(make_tree: MakeTree) -> None:
    root = make_tree("cat/1.png", "dog/1.png")
    (root / "class_names.json").write_text('["cat", "dog"')
    (root / "about.json").write_text('{"images": 2, "categories": 2}')
    assert open_image_directory(root).classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("bbox", [0, 0, 5, 5]),
        ("segmentation", [[0, 0, 1, 1, 2, 2]]),
        ("keypoints", [1, 1, 2]),
        ("caption", "a cat"),
    ],
)
def test_annotations_for_other_tasks_are_refused(folder: Path, key: str, value: object) -> None:  # CASES 23
    annotation = {"id": 1, "image_id": 4, "category_id": 9, key: value}
    error = refusal(folder, document(annotations=[annotation]))
    assert error.reason == "not_classification"
    assert key in error.what


def test_annotations_for_other_tasks_are_no_labels_where_none_are_needed(folder: Path) -> None:
    annotations = [{"id": 1, "image_id": 4, "category_id": 9, "bbox": [0, 0, 5, 5]}]
    (folder / "labels.json").write_text(json.dumps(document(annotations=annotations)))
    dataset = open_image_directory(folder, takes_other_tasks=True)
    assert dataset.labels is None
    assert len(dataset) == len(document()["images"])


def test_an_image_with_two_classes_is_refused_by_its_id(folder: Path) -> None:
    annotations = [{"image_id": 4, "category_id": 9}, {"image_id": 4, "category_id": 2}]
    error = refusal(folder, document(annotations=annotations))
    assert error.reason == "not_classification"
    assert error.examples == ("image 4",)


@pytest.mark.parametrize(
    "changes",
    [
        {"images": [{"id": 1}]},
        {"images": [{"file_name": "a.png"}]},
        {"images": ["a.png"]},
        {"images": [{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "c.png"}]},
        {"images": [{"id": 1, "file_name": "a.png"}, {"id": "2", "file_name": "c.png"}], "annotations": []},
        {"images": [{"id": 2**63, "file_name": "a.png"}], "annotations": []},
        {"images": [{"id": 1, "file_name": "\ud800"}], "annotations": []},
        {"annotations": [{"image_id": 4}]},
        {"annotations": [{"image_id": 99, "category_id": 9}]},
        {"annotations": [{"image_id": 4, "category_id": 99}]},
        {"annotations": {"image_id": 4}},
        {"categories": [{"id": 9}]},
        {"categories": None},
        {"categories": [{"id": 9, "name": "cat"}, {"id": 2, "name": "cat"}]},
    ],
)
def test_entries_that_lack_or_contradict_something_are_refused(folder: Path, changes: dict[str, Any]) -> None:
    error = refusal(folder, document(**changes))
    assert error.reason == "malformed_coco"
    assert "labels.json" in str(error.where)


def test_a_truncated_file_is_refused_and_not_taken_for_unlabeled_images(folder: Path) -> None:
    assert refusal(folder, json.dumps(document())[:-5]).reason == "malformed_coco"


def test_several_coco_files_are_ambiguous(folder: Path) -> None:
    (folder / "more.json").write_text(json.dumps(document()))
    assert refusal(folder, document()).reason == "several_coco_files"


def test_missing_and_climbing_images_are_named(folder: Path) -> None:
    error = refusal(folder, document(images=[{"id": 1, "file_name": "gone.png"}]))
    assert error.reason == "missing_files"
    assert error.examples == ("image 1: gone.png",)
    assert refusal(folder, document(images=[{"id": 1, "file_name": "../a.png"}])).reason == "path_outside"
