"""Splitting an image directory: exact, by class, and the same each time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pytorch_designer.directories.image_directory import ImageDirectory, open_image_directory
from pytorch_designer.directories.sources.image_rows import UNLABELED
from pytorch_designer.directories.splitting import apportion, split_image_directory, split_rows
from pytorch_designer.errors import (
    FailedToWriteOutputsError,
    GreaterThanOrEqualToError,
    InvalidDatasetError,
    LessThanOrEqualToError,
    ParameterError,
)
from pytorch_designer.storage.string_column import StringColumn
from tests.directories.hand_built import META, PNG, MakeTree, MakeTyped, image_directory, row


def dataset_of(labels: list[int] | None, num_images: int | None = None) -> ImageDirectory:
    """An index without files."""
    count = len(labels) if labels is not None else int(num_images or 0)
    return image_directory(
        StringColumn.from_strings(f"{index}.png" for index in range(count)),
        labels=None if labels is None else np.array(labels, dtype=np.int32),
        classes=() if labels is None else tuple("abcdefgh"),
    )


def class_counts(dataset: ImageDirectory, rows: NDArray[np.int64]) -> list[int]:
    assert dataset.labels is not None
    return [int(np.count_nonzero(dataset.labels[rows] == label)) for label in range(3)]


def test_each_class_is_split_in_the_same_proportion() -> None:
    dataset = dataset_of([0] * 10 + [1] * 20 + [2] * 70)
    first, second = split_rows(dataset, fraction=0.9, seed=1)
    assert class_counts(dataset, first) == [9, 18, 63]
    assert class_counts(dataset, second) == [1, 2, 7]


@pytest.mark.parametrize(
    ("total", "sizes", "minimums", "counts"),
    [
        (5, [4, 3, 3], [0, 0, 0], [2, 2, 1]),  # shares 2, 1.5, 1.5: of equal remainders the earlier
        (7, [3, 3, 4], [0, 0, 0], [2, 2, 3]),  # shares 2.1, 2.1, 2.8
        (8, [2, 8], [1, 1], [1, 7]),  # shares 1.6, 6.4; each part has one of both
        (2, [2, 98], [1, 1], [1, 1]),  # shares 0.04, 1.96
        (10, [2, 2, 2, 2, 2, 90], [1] * 6, [1, 1, 1, 1, 1, 5]),  # shares 0.2 and 9: the large class gives way
        (97, [2, 98], [1, 1], [1, 96]),  # shares 1.94, 95.06
        (1, [1, 1], [0, 0], [1, 0]),
    ],
)
def test_whole_images_go_to_the_largest_remainders(
    total: int, sizes: list[int], minimums: list[int], counts: list[int]
) -> None:
    assert apportion(total, sizes, minimums) == counts


@pytest.mark.slow
@given(st.data(), st.lists(st.integers(1, 30), min_size=1, max_size=12))
def test_counts_are_exact_within_bounds_and_next_to_the_share(data: st.DataObject, sizes: list[int]) -> None:
    minimums = [data.draw(st.integers(0, int(size >= 2))) for size in sizes]
    total = data.draw(st.integers(sum(minimums), sum(sizes) - sum(minimums)))
    counts = apportion(total, sizes, minimums)
    assert sum(counts) == total
    assert all(least <= n <= size - least for n, size, least in zip(counts, sizes, minimums, strict=True))
    if not any(minimums):
        shares = [Fraction(total * size, sum(sizes)) for size in sizes]
        assert all(abs(n - share) < 1 for n, share in zip(counts, shares, strict=True))


@given(
    st.lists(st.sampled_from([UNLABELED, 0, 1, 2]), min_size=2, max_size=60),
    st.floats(0, 1, allow_subnormal=False),
    st.integers(),
)
def test_every_image_is_in_one_part_and_every_class_of_two_in_both(
    labels: list[int], fraction: float, seed: int
) -> None:
    dataset = dataset_of(labels)
    try:
        first, second = split_rows(dataset, fraction=fraction, seed=seed)
    except ParameterError:
        return
    assert sorted([*first, *second]) == list(range(len(labels)))
    assert len(first) == round(Fraction(repr(fraction)) * len(labels))
    for label in {0, 1, 2} & {label for label in labels if labels.count(label) >= 2}:
        assert label in [labels[index] for index in first]
        assert label in [labels[index] for index in second]


def test_split_does_not_change_between_releases_and_differs_by_seed() -> None:
    dataset = dataset_of([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    assert split_rows(dataset, fraction=0.6, seed=1)[1].tolist() == [0, 4, 8, 9]
    parts = {tuple(split_rows(dataset, fraction=0.6, seed=seed)[0]) for seed in (-1, 0, 1, 2**63, 10**30)}
    assert len(parts) > 1


def test_a_class_that_gives_more_images_gives_the_same_and_more() -> None:
    dataset = dataset_of([0] * 20 + [1] * 20)
    smaller, larger = (set(split_rows(dataset, fraction=fraction, seed=3)[0]) for fraction in (0.5, 0.8))
    assert smaller < larger


@pytest.mark.slow
def test_every_image_of_a_class_is_equally_likely() -> None:
    dataset = dataset_of([0] * 5 + [1] * 3)
    drawn = np.concatenate([split_rows(dataset, fraction=0.5, seed=seed)[0] for seed in range(2000)])
    counts = np.bincount(drawn, minlength=8)
    # Of 4 images, shares are 2.5 and 1.5, and the first class gets the larger part: 3 of 5, and 1 of 3.
    assert np.abs(counts[:5] - 1200).max() < 100  # standard deviation 22
    assert np.abs(counts[5:] - 667).max() < 100  # standard deviation 21


@pytest.mark.parametrize(("fraction", "size"), [(0.29, 29), (0.5, 50), (0.005, 0), (0.015, 2), (0.99, 99)])
def test_size_of_the_first_part_is_rounded_from_the_exact_decimal(fraction: float, size: int) -> None:
    dataset = dataset_of(None, num_images=100)
    if size == 0:  # half of an image: to the even number
        with pytest.raises(GreaterThanOrEqualToError, match="leaves output 1 without images"):
            split_rows(dataset, fraction=fraction, seed=1)
    else:
        assert len(split_rows(dataset, fraction=fraction, seed=1)[0]) == size


@pytest.mark.parametrize(
    ("fraction", "error", "what"),
    [
        (0.0, GreaterThanOrEqualToError, "leaves output 1 without images"),
        (0.1, GreaterThanOrEqualToError, "leaves 2 images for one output, fewer than the 3 classes"),
        (0.9, LessThanOrEqualToError, "leaves 2 images for one output, fewer than the 3 classes"),
        (1.0, LessThanOrEqualToError, "leaves output 2 without images"),
    ],
)
def test_impossible_fractions_are_named_with_the_range_that_works(
    fraction: float, error: type[ParameterError], what: str
) -> None:
    with pytest.raises(error, match=what) as caught:
        split_rows(dataset_of([0] * 6 + [1] * 7 + [2] * 7), fraction=fraction, seed=1)
    assert caught.value.where == "fraction"
    assert "from 0.15 to 0.85" in caught.value.advice


def test_one_image_cannot_be_split() -> None:
    with pytest.raises(InvalidDatasetError) as caught:
        split_rows(dataset_of([0]), fraction=0.5, seed=1)
    assert caught.value.reason == "one_image"


def test_a_class_of_one_image_is_in_one_part() -> None:
    first, second = split_rows(dataset_of([0, 1, 1, 2]), fraction=0.5, seed=1)
    assert len(first) == len(second) == 2


def test_parts_keep_ids_classes_files_and_transforms(make_typed: MakeTyped, tmp_path: Path) -> None:
    categories = [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}]
    meta = META.replace(
        "extension: {}", "extension: {transforms: [[RandomErasing, {}]], applied_transforms: [[Pad, 1]]}"
    )
    rows = [row(number, "cat" if number < 60 else "dog") for number in range(50, 70)]
    source = open_image_directory(make_typed(rows, categories, meta))
    for index in range(len(source)):
        source.path(index).write_bytes(PNG + bytes([index]))
    outputs = (tmp_path / "one", tmp_path / "two")
    assert split_image_directory(source.root, outputs, fraction=0.7, seed=5) == (14, 6)
    names = {}
    for output in outputs:
        part = open_image_directory(output)
        assert part.labels is not None
        assert part.classes == ("Others", "cat", "Others", "dog")
        assert part.transforms == (("RandomErasing", {}),)
        assert part.applied_transforms == (("Pad", 1),)
        assert list(part.ids) == sorted(part.ids), "the order of the source"
        for index, image_id in enumerate(part.ids):
            assert part.path(index).read_bytes() == PNG + bytes([image_id - 50]), "bytes are copied as they are"
            names[image_id] = part.classes[part.labels[index]]
    assert names == {number: "cat" if number < 60 else "dog" for number in range(50, 70)}


def test_unlabeled_images_are_split_plainly(make_tree: MakeTree, tmp_path: Path) -> None:
    source = make_tree(*(f"{number}.png" for number in range(10)))
    outputs = (tmp_path / "one", tmp_path / "two")
    assert split_image_directory(source, outputs, fraction=0.3, seed=1) == (3, 7)
    assert [open_image_directory(output).labels for output in outputs] == [None, None]


def test_same_seed_writes_the_same_bytes(make_tree: MakeTree, tmp_path: Path) -> None:
    source = make_tree(*(f"{name}/{number}.png" for name in "ab" for number in range(9)))
    for run in ("x", "y"):
        split_image_directory(source, (tmp_path / run / "1", tmp_path / run / "2"), fraction=0.5, seed=-7)
    for name in ("1/images.lst", "2/images.lst", "1/_schema.json", "2/_samples.json"):
        assert (tmp_path / "x" / name).read_bytes() == (tmp_path / "y" / name).read_bytes()


@pytest.mark.parametrize(("first", "second"), [("out", "out"), ("out", "out/deeper"), ("out/deeper", "out")])
def test_outputs_inside_each_other_are_refused(make_tree: MakeTree, tmp_path: Path, first: str, second: str) -> None:
    source = make_tree("a/1.png", "a/2.png")
    with pytest.raises(FailedToWriteOutputsError, match=r"(inside|the same folder as) the other output"):
        split_image_directory(source, (tmp_path / first, tmp_path / second), fraction=0.5, seed=1)


def test_nothing_is_written_when_one_output_is_occupied(make_tree: MakeTree, tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    (tmp_path / "two/mine.txt").write_text("mine")
    with pytest.raises(FailedToWriteOutputsError) as caught:
        split_image_directory(
            make_tree("a/1.png", "a/2.png"), (tmp_path / "one", tmp_path / "two"), fraction=0.5, seed=1
        )
    assert caught.value.reason == "not_empty"
    assert not (tmp_path / "one").exists()
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["mine.txt"]


def test_impossible_fraction_leaves_no_output(make_tree: MakeTree, tmp_path: Path) -> None:
    outputs = (tmp_path / "one", tmp_path / "two")
    with pytest.raises(LessThanOrEqualToError):
        split_image_directory(make_tree("a/1.png", "a/2.png"), outputs, fraction=0.9, seed=1)
    assert not any(output.exists() for output in outputs)
