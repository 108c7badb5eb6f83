"""The typed directory, and what is common to all sources."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytorch_designer.directories.image_directory import (
    UNLABELED,
    ImageDirectory,
    match_classes,
    open_image_directory,
    require_labels,
)
from pytorch_designer.errors import InvalidDatasetError, NotLabeledDatasetError
from pytorch_designer.storage.string_column import StringColumn
from tests.directories.hand_built import META, PNG, MakeTree, MakeTyped, image_directory, row, schema

if TYPE_CHECKING:
    from collections.abc import Sequence

CATS_AND_DOGS = [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]


def refusal(path: Path) -> InvalidDatasetError:
    with pytest.raises(InvalidDatasetError) as caught:
        open_image_directory(path)
    return caught.value


def dataset_of(classes: Sequence[str], labels: Sequence[int]) -> ImageDirectory:
    files = StringColumn.from_strings(f"{index}.png" for index in range(len(labels)))
    return image_directory(files, labels=np.array(labels, dtype=np.int32), classes=tuple(classes))


def test_an_old_directory_is_read_as_its_format_says(make_typed: MakeTyped) -> None:
    rows = [
        {"image_info": {"file_name": "image/1_5.png", "width": 1, "height": 1, "id": 9}, "category": "dog", "id": 5},
        row(17, "cat"),
        row(3, "dog"),
    ]
    root = make_typed(rows, CATS_AND_DOGS)
    dataset = open_image_directory(root)
    assert len(dataset) == 3
    assert list(dataset.files) == ["image/1_5.png", "image/0_17.png", "image/0_3.png"]
    assert dataset.path(1) == root / "image" / "0_17.png"
    assert dataset.labels is not None
    assert dataset.labels.dtype == np.int32
    assert dataset.labels.tolist() == [1, 0, 1]
    assert dataset.classes == ("cat", "dog")
    assert list(dataset.ids) == [5, 17, 3]
    assert dataset.transforms == ()


def test_a_class_index_is_the_category_id_and_gaps_are_others(make_typed: MakeTyped) -> None:
    root = make_typed([row(1, "cat"), row(2, "dog")], [{"id": 3, "name": "dog"}, {"id": 1, "name": "cat"}])
    dataset = open_image_directory(root)
    assert dataset.classes == ("Others", "cat", "Others", "dog")
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [1, 3]


def test_a_declared_class_without_images_is_kept(make_typed: MakeTyped) -> None:  # CASES 22
    assert open_image_directory(make_typed([row(1, "cat")], CATS_AND_DOGS)).classes == ("cat", "dog")


def test_rows_without_category_are_unlabeled(make_typed: MakeTyped) -> None:
    dataset = open_image_directory(make_typed([row(1, "dog"), row(2, None)], CATS_AND_DOGS))
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [1, UNLABELED]


def test_without_any_category_there_are_no_labels(make_typed: MakeTyped) -> None:
    dataset = open_image_directory(make_typed([row(1, None), row(2, None)]))
    assert dataset.labels is None
    assert dataset.classes == ()


def test_without_a_schema_the_classes_are_the_sorted_categories(make_typed: MakeTyped) -> None:
    root = make_typed([row(1, "dog"), row(2, "cat")], meta="type: ImageDirectory\n")
    dataset = open_image_directory(root)
    assert dataset.classes == ("cat", "dog")
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [1, 0]


def test_recorded_transforms_are_read(make_typed: MakeTyped) -> None:
    transforms = "extension: {transforms: [[RandomHorizontalFlip, {p: 0.5}], [Resize, 256], [Pad, [1, 2]]]}"
    root = make_typed([row(1, None)], meta=META.replace("extension: {}", transforms))
    assert open_image_directory(root).transforms == (
        ("RandomHorizontalFlip", {"p": 0.5}),
        ("Resize", 256),
        ("Pad", [1, 2]),
    )


@pytest.mark.parametrize("transforms", ["Resize", "[Resize]", "[[Resize]]", "[[1, {}]]"])
def test_transforms_that_are_no_pairs_are_refused(make_typed: MakeTyped, transforms: str) -> None:
    meta = META.replace("extension: {}", f"extension: {{transforms: {transforms}}}")
    assert refusal(make_typed([row(1, None)], meta=meta)).reason == "malformed_meta"


def test_another_typed_directory_is_refused_by_its_type(make_typed: MakeTyped) -> None:
    error = refusal(make_typed([], meta="type: ModelDirectory\n"))
    assert error.reason == "wrong_type"
    assert "ModelDirectory" in str(error)


@pytest.mark.parametrize("key", ["schema: ../x.json", "schema: /x.json", "image_list: ../../x"])
def test_a_file_of_the_meta_that_lies_outside_is_refused(make_typed: MakeTyped, key: str) -> None:
    assert refusal(make_typed([row(1, None)], meta=f"type: ImageDirectory\n{key}\n")).reason == "path_outside"


def test_a_missing_list_is_named(make_typed: MakeTyped) -> None:
    root = make_typed([row(1, None)])
    (root / "images.lst").unlink()
    error = refusal(root)
    assert error.reason == "missing_files"
    assert "images.lst" in str(error)


def test_an_empty_list_has_no_images(make_typed: MakeTyped) -> None:
    assert refusal(make_typed([])).reason == "no_images"


def test_a_category_that_is_not_in_the_schema_is_named_with_its_line(make_typed: MakeTyped) -> None:  # CASES 24
    error = refusal(make_typed([row(1, "cat"), row(2, "horse"), row(3, "horse")], CATS_AND_DOGS))
    assert error.reason == "unknown_category"
    assert error.examples == ("line 2: 'horse'",)


@pytest.mark.parametrize("name", ["/etc/x.png", "../x.png", "image/../../x.png", "C:/x.png", "..\\x.png"])
def test_a_path_outside_is_named_with_its_line(make_typed: MakeTyped, name: str) -> None:  # CASES 24
    error = refusal(make_typed([row(1, None), row(2, None, name), row(3, None, "image/a.png")]))
    assert error.reason == "path_outside"
    assert error.examples[0].startswith("line 2: ")


def test_an_absolute_path_after_a_plain_name_is_refused(make_typed: MakeTyped) -> None:
    root = make_typed([row(1, None, "a.png"), row(2, None, "/a.png")])
    (root / "a.png").write_bytes(PNG)
    assert refusal(root).reason == "path_outside"


def test_missing_files_are_counted_and_named(make_typed: MakeTyped) -> None:  # CASES 24
    root = make_typed([row(number, None) for number in range(10)])
    for number in range(2, 9):
        (root / f"image/0_{number}.png").unlink()
    error = refusal(root)
    assert error.reason == "missing_files"
    assert error.num_offending == 7
    assert error.examples[0] == "line 3: image/0_2.png"


def test_a_missing_file_is_named_although_another_one_lies_in_its_place(make_typed: MakeTyped) -> None:
    root = make_typed([row(number, "cat") for number in range(3)], CATS_AND_DOGS)
    (root / "image/0_1.png").rename(root / "image/0_9.png")
    assert refusal(root).examples == ("line 2: image/0_1.png",)


def test_files_may_be_listed_in_any_order_and_twice_and_not_all(make_typed: MakeTyped) -> None:
    names = ["image/b/2.png", "image/a/1.png", "top.png", "image/b/1.png", "image/a/1.png"]
    lines = [json.dumps({"image_info": {"file_name": name}, "id": number}) for number, name in enumerate(names)]
    root = make_typed(lines)
    for name in [*names, "image/a/2.png", "image/not_listed.txt"]:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(PNG)
    assert list(open_image_directory(root).files) == names


def test_a_missing_folder_is_missing_files(make_typed: MakeTyped) -> None:
    assert refusal(make_typed([row(1, None, "elsewhere/1.png")])).reason == "missing_files"


def test_an_address_in_place_of_a_file_is_explained(make_typed: MakeTyped) -> None:
    line = {"image_info": {"file_name": "image.png", "coco_url": "http://x/1.png"}, "id": 1}
    error = refusal(make_typed([line]))
    assert error.reason == "missing_files"
    assert "coco_url" in error.advice


def test_a_folder_named_as_an_image_is_missing(make_typed: MakeTyped) -> None:  # CASES 17
    root = make_typed([row(1, None)])
    (root / "image/0_1.png").unlink()
    (root / "image/0_1.png").mkdir()
    assert refusal(root).reason == "missing_files"


def test_an_image_that_is_a_link_inside_is_fine_and_outside_is_refused(make_typed: MakeTyped, tmp_path: Path) -> None:
    root = make_typed([row(1, None), row(2, None)])
    image = root / "image/0_2.png"
    image.unlink()
    image.symlink_to(root / "image/0_1.png")
    assert len(open_image_directory(root)) == 2
    image.unlink()
    (tmp_path / "secret.png").write_bytes(PNG)
    image.symlink_to(tmp_path / "secret.png")
    assert refusal(root).reason == "path_outside"


def test_an_image_that_is_a_link_in_circles_is_refused(make_typed: MakeTyped) -> None:  # CASES 25
    root = make_typed([row(1, None)])
    (root / "image/0_1.png").unlink()
    (root / "image/0_1.png").symlink_to(root / "image/0_1.png")
    assert refusal(root).reason == "link_loop"


def test_names_with_odd_characters_are_read(make_typed: MakeTyped) -> None:  # CASES 22
    names = ["a b", "\"quoted\" 'twice'", "comma, semi;", "new\nline", "😀", "\u00e9", "e\u0301", "caf\udce9", "A", "a"]
    categories = [{"id": index, "name": name} for index, name in enumerate(names)]
    rows = [row(index, name, f"image/{index}{name.replace('/', '')}.png") for index, name in enumerate(names)]
    dataset = open_image_directory(make_typed(rows, categories))
    assert dataset.classes == tuple(names)
    assert dataset.labels is not None
    assert dataset.labels.tolist() == list(range(len(names)))
    assert all(dataset.path(index).is_file() for index in range(len(names)))


@pytest.mark.parametrize(
    ("annotation_type", "column"),
    [("COCO_object_detection", "object_detection_annotation"), ("COCO_image_caption", "image_caption_annotation")],
)
def test_annotations_for_other_tasks_are_refused(
    make_typed: MakeTyped, annotation_type: str, column: str
) -> None:  # CASES 23
    rows = [{"image_info": {"file_name": "image/1.png"}, column: [{"bbox": [0, 0, 1, 1]}], "id": 1}]
    root = make_typed(rows, [])
    assert refusal(root).reason == "not_classification"  # by the rows
    (root / "_schema.json").write_text(schema([], annotation_type))
    error = refusal(root)  # by the schema
    assert error.reason == "not_classification"
    assert annotation_type in str(error)
    assert open_image_directory(root, takes_other_tasks=True).labels is None


def test_a_recorded_size_that_a_transform_has_outdated_means_nothing(make_typed: MakeTyped) -> None:
    # The old designer kept the width and height of a COCO file through Apply Image Transformation.
    image = {"id": 100, "file_name": "image/100.png", "width": 640, "height": 480}
    dataset = open_image_directory(
        make_typed([{"image_info": image, "category": "a", "id": 100}], [{"id": 0, "name": "a"}])
    )
    assert dataset.files[0] == "image/100.png"


@pytest.mark.slow
def test_opening_a_small_directory_imports_nothing_heavy(make_typed: MakeTyped) -> None:
    root = make_typed([row(1, "cat")], CATS_AND_DOGS)
    program = (
        "import sys; from pathlib import Path;"
        "from pytorch_designer.directories.image_directory import open_image_directory;"
        "open_image_directory(Path(sys.argv[1]));"
        "sys.exit(bool({'torch', 'pyarrow', 'mlflow', 'pandas'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", program, str(root)], check=True, timeout=300)


def test_paths_that_are_no_directory_are_told_apart(tmp_path: Path) -> None:  # CASES 23
    (tmp_path / "file.jpg").write_bytes(PNG)
    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path / "absent").reason == "missing_directory"
    assert refusal(tmp_path / "file.jpg").reason == "not_a_directory"
    assert refusal(tmp_path / "empty").reason == "empty_directory"
    assert refusal(tmp_path / ("x" * 5000)).reason == "unreadable"
    assert refusal(Path("nul\0")).reason == "unreadable"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_a_folder_without_permission_is_named(make_tree: MakeTree) -> None:
    root = make_tree("cat/1.png")
    (root / "cat").chmod(0)
    try:
        assert refusal(root).reason == "unreadable"
    finally:
        (root / "cat").chmod(0o755)


def test_a_dataset_without_labels_is_refused_for_training() -> None:
    dataset = image_directory(StringColumn.from_strings(["1.png"]))
    with pytest.raises(NotLabeledDatasetError, match="training_dataset") as caught:
        require_labels(dataset, "training_dataset")
    assert caught.value.reason == "no_labels"


def test_some_images_without_labels_are_counted() -> None:
    with pytest.raises(NotLabeledDatasetError, match="2 of 3 images") as caught:
        require_labels(dataset_of(["cat"], [UNLABELED, 0, UNLABELED]), "training_dataset")
    assert caught.value.examples == ("0.png", "2.png")


def test_classes_are_matched_by_name() -> None:  # CASES 22: same names, other order
    training = dataset_of(["cat", "dog", "emu"], [0, 1, 2])
    validation = dataset_of(["emu", "cat", "dog"], [0, 1, 2, 0, UNLABELED])
    matched = match_classes(training, validation)
    assert matched.tolist() == [2, 0, 1, 2, UNLABELED]
    assert matched.dtype == np.int32


def test_a_class_without_images_on_one_side_is_fine() -> None:
    assert match_classes(dataset_of(["cat", "dog"], [0, 1]), dataset_of(["cat", "dog"], [1])).tolist() == [1]


def test_differing_classes_are_named_on_each_side() -> None:
    with pytest.raises(InvalidDatasetError) as caught:
        match_classes(dataset_of(["cat", "dog"], [0]), dataset_of(["cat", "Dog", "emu"], [0]))
    assert caught.value.reason == "classes_differ"
    assert set(caught.value.examples) == {
        "only in the training dataset: 'dog'",
        "only in the validation dataset: 'Dog'",
        "only in the validation dataset: 'emu'",
    }


def test_names_that_look_alike_are_shown_apart() -> None:  # CASES 22: NFC/NFD twins
    with pytest.raises(InvalidDatasetError, match="NFD") as caught:
        match_classes(dataset_of(["\u00e9"], [0]), dataset_of(["e\u0301"], [0]))
    assert "only in the training dataset: '\\xe9'" in caught.value.examples
    assert "only in the validation dataset: 'e\\u0301'" in caught.value.examples


def test_a_gap_counts_only_when_an_image_has_it() -> None:
    with_gap = dataset_of(["Others", "cat", "dog"], [1, 2])
    without = dataset_of(["cat", "dog"], [0, 1])
    assert match_classes(with_gap, without).tolist() == [1, 2]
    assert match_classes(without, with_gap).tolist() == [0, 1]
    with pytest.raises(InvalidDatasetError, match="classes of the two datasets differ"):
        match_classes(without, dataset_of(["Others", "cat", "dog"], [0, 1, 2]))


def test_others_on_both_sides_is_a_class_like_any() -> None:
    training = dataset_of(["Others", "cat"], [0, 1])
    assert match_classes(training, dataset_of(["cat", "Others"], [0])).tolist() == [1]
