"""Images found by the names that lists and tables have for them."""

from __future__ import annotations

import pytest

from pytorch_designer.directories.sources.image_index import AMBIGUOUS, MISSING, ImageIndex, climbs
from pytorch_designer.storage.string_column import StringColumn


@pytest.mark.parametrize(
    ("name", "files", "list_name", "expected"),
    [
        ("1.jpg", ["1.jpg"], "x.csv", 0),
        ("1", ["1.jpg"], "x.csv", 0),
        ("1.JPG", ["1.jpg"], "x.csv", 0),
        ("A.jpg", ["a.jpg", "A.jpg"], "x.csv", 1),
        ("1.jpg", ["images/1.jpg"], "annotations/x.json", 0),
        ("../images/1.jpg", ["images/1.jpg"], "annotations/x.json", 0),
        (".\\images\\1.jpg", ["images/1.jpg"], "x.csv", 0),
        ("/kaggle/input/pets/images/1.jpg", ["images/1.jpg"], "x.csv", 0),
        ("https://host/store/my%20cat.jpg?sv=1", ["my cat.jpg"], "x.csv", 0),
        ("data/1.jpg", ["train/1.jpg"], "x.csv", 0),  # a split or a container may have another name
        ("cafe\u0301.jpg", ["caf\u00e9.jpg"], "x.csv", 0),
        ("dog/1.jpg", ["cat/1.jpg"], "x.csv", MISSING),
        ("dog/1.jpg", ["cat/1.jpg", "emu/1.jpg"], "x.csv", MISSING),
        ("cat/1.jpg", ["a/cat/1.jpg", "a/dog/1.jpg"], "x.csv", 0),
        ("cat/1.jpg", ["a/cat/1.jpg", "b/cat/1.jpg"], "x.csv", AMBIGUOUS),
        ("1.jpg", ["a/1.jpg", "b/1.jpg"], "x.csv", AMBIGUOUS),
        ("1", ["1.jpg", "1.png"], "x.csv", AMBIGUOUS),
        ("1.jpg", ["train/1.jpg", "test/1.jpg"], "train_labels.csv", 0),  # the split of the list's name
        ("1.jpg", ["train/1.jpg", "test/1.jpg"], "test/x.csv", 1),  # beside the list
        ("2.jpg", ["1.jpg"], "x.csv", MISSING),
        ("", ["1.jpg"], "x.csv", MISSING),
        ("..", ["1.jpg"], "x.csv", MISSING),
    ],
)
def test_a_name_means_an_image(name: str, files: list[str], list_name: str, expected: int) -> None:
    assert ImageIndex(StringColumn.from_strings(files), list_name).find(name) == expected


def test_a_name_that_many_folders_have_is_not_compared_with_each() -> None:
    files = StringColumn.from_strings(f"{number}/1.jpg" for number in range(1000))
    index = ImageIndex(files, "x.csv")
    assert index.find("1.jpg") == AMBIGUOUS
    assert index.find("700/1.jpg") == 700


def test_a_path_that_leaves_the_folder_climbs() -> None:
    assert climbs("../1.jpg", "x.json")
    assert climbs("a/../../1.jpg", "x.json")
    assert not climbs("../images/1.jpg", "annotations/x.json")
    assert not climbs("a/../1.jpg", "x.json")
