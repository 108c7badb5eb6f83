"""Images of equal content, within a dataset and in two."""

from __future__ import annotations

from pathlib import Path

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.inspection.dataset_inspection import Inspection, inspect_dataset
from pytorch_designer.inspection.duplicates import Duplicates, find_duplicates
from tests.images.image_corpus import encode, noise_pixels

LARGE = encode(noise_pixels(200, 200), "BMP")  # larger than what is read of each file at first
SMALL = [encode(noise_pixels(8, 8, seed=seed), "BMP") for seed in range(4)]  # of one size


def inspected(root: Path, contents: dict[str, bytes]) -> Inspection:
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return inspect_dataset(open_image_directory(root), name="FOLDER", show=lambda num_done: None)


def named(duplicates: Duplicates, other: Inspection | None = None) -> list[tuple[list[str], list[str]]]:
    return [
        (
            [duplicates.dataset.name(row) for row in group.rows],
            [] if other is None else [other.dataset.name(row) for row in group.other_rows],
        )
        for group in duplicates.groups
    ]


def test_only_equal_bytes_are_duplicates(tmp_path: Path) -> None:
    almost = LARGE[:-1] + bytes([LARGE[-1] ^ 1])
    contents = {
        "a/1.bmp": SMALL[0], "a/2.bmp": SMALL[1], "a/3.bmp": LARGE, "a/4.bmp": almost,
        "b/1.bmp": LARGE, "b/2.bmp": SMALL[0], "b/3.bmp": SMALL[0], "b/4.bmp": b"", "b/5.bmp": b"",
    }  # fmt: skip
    duplicates = find_duplicates(inspected(tmp_path, contents))
    assert named(duplicates) == [(["a/1.bmp", "b/2.bmp", "b/3.bmp"], []), (["a/3.bmp", "b/1.bmp"], [])]
    assert duplicates.num_copies == 3
    assert len(duplicates.across_classes) == 2


def test_copies_in_one_class_have_the_same_label(tmp_path: Path) -> None:
    duplicates = find_duplicates(inspected(tmp_path, {"a/1.bmp": LARGE, "a/2.bmp": LARGE, "b/1.bmp": SMALL[0]}))
    assert duplicates.num_copies == 1
    assert duplicates.across_classes == []


def test_images_of_a_second_dataset_are_found_in_the_first(tmp_path: Path) -> None:
    first = inspected(tmp_path / "first", {"a/1.bmp": SMALL[0], "a/2.bmp": LARGE, "b/1.bmp": SMALL[1]})
    contents = {"a/x.bmp": LARGE, "b/y.bmp": SMALL[0], "b/z.bmp": SMALL[0], "b/v.bmp": SMALL[2], "b/w.bmp": SMALL[2]}
    second = inspected(tmp_path / "second", contents)
    duplicates = find_duplicates(first, second)
    assert named(duplicates, second) == [
        (["a/1.bmp"], ["b/y.bmp", "b/z.bmp"]),
        (["a/2.bmp"], ["a/x.bmp"]),
        ([], ["b/v.bmp", "b/w.bmp"]),
    ]
    assert (duplicates.num_copies, duplicates.num_shared, len(duplicates.shared)) == (0, 3, 2)
