"""Recognition by what users say about a folder, and for callers that need no labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.errors import InvalidDatasetError
from tests.directories.sources.layouts import LAYOUTS, Refused
from tests.directories.sources.test_layouts import write

if TYPE_CHECKING:
    from tests.directories.hand_built import MakeTree


@pytest.fixture
def layout(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """`PYTORCH_DESIGNER_LAYOUT` as the parameter says."""
    monkeypatch.setenv("PYTORCH_DESIGNER_LAYOUT", request.param)


@pytest.mark.parametrize("layout", ["class-folders"], indirect=True)
@pytest.mark.parametrize(
    ("paths", "classes"),
    [
        (["train/1.png", "test/2.png", "val/"], ("test", "train", "val")),
        (["images/1.png", "labels/2.png"], ("images", "labels")),
        (["data/train/1.png", "data/test/2.png"], ("test", "train")),
        (["anna/cat/1.png", "ben/cat/2.png"], ("anna", "ben")),
        (["cat/1.png", "dog/2.png", "3.png", "4.png"], ("cat", "dog")),
        (["images/1.png"], ("images",)),
        (["download/images/1.png"], ("images",)),
    ],
)
@pytest.mark.usefixtures("layout")
def test_class_folders_are_classes_whatever_their_names(
    make_tree: MakeTree, paths: list[str], classes: tuple[str, ...]
) -> None:
    assert open_image_directory(make_tree(*paths)).classes == classes


@pytest.mark.parametrize("layout", ["class-folders"], indirect=True)
@pytest.mark.usefixtures("layout")
def test_class_folders_need_folders(make_tree: MakeTree) -> None:
    with pytest.raises(InvalidDatasetError) as caught:
        open_image_directory(make_tree("1.png", "2.png"))
    assert caught.value.reason == "no_class_folders"


@pytest.mark.parametrize("layout", ["unlabeled"], indirect=True)
@pytest.mark.usefixtures("layout")
def test_all_images_can_be_taken_without_labels(make_tree: MakeTree) -> None:
    dataset = open_image_directory(make_tree("train/cat/1.png", "test/2.png", "images/3.png", "4.png"))
    assert (len(dataset), dataset.labels) == (4, None)


@pytest.mark.parametrize(
    ("name", "num_images"),
    [
        ("other tools: Pascal VOC", 1),
        ("other tools: YOLO", 2),
        ("other tools: CVAT", 2),
        ("tables: boxes as CSV", 1),
        ("tables: Hugging Face's captions", 2),
        ("tables: a table that contradicts the folders", 3),
        ("class folders: images beside one folder", 2),
        ("COCO: boxes", 1),
    ],
)
def test_images_of_other_tasks_can_be_scored(make_tree: MakeTree, name: str, num_images: int) -> None:
    case = LAYOUTS[name]
    assert isinstance(case.expected, Refused)
    assert len(open_image_directory(write(make_tree, case), takes_other_tasks=True)) == num_images


@pytest.mark.parametrize("name", ["other tools: masks", "other tools: CamVid of Kaggle"])
def test_masks_are_not_scored_as_images(make_tree: MakeTree, name: str) -> None:
    with pytest.raises(InvalidDatasetError, match="segmentation"):
        open_image_directory(write(make_tree, LAYOUTS[name]), takes_other_tasks=True)


def test_errors_of_folders_name_the_variable_that_says_they_are_classes(make_tree: MakeTree) -> None:
    for paths in (
        ["train/cat/1.png", "val/cat/2.png"],
        ["images/1.png", "masks/1.png"],
        ["a.png", "b.png", "cat/1.png"],
    ):
        root = make_tree(*(f"{len(paths[0])}/{path}" for path in paths))
        with pytest.raises(InvalidDatasetError, match="PYTORCH_DESIGNER_LAYOUT=class-folders"):
            open_image_directory(root / str(len(paths[0])))
