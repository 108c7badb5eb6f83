"""Folders of images, with and without classes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.errors import InvalidDatasetError
from tests.directories.hand_built import PNG, MakeTree

if TYPE_CHECKING:
    from pathlib import Path


def refusal(path: Path) -> InvalidDatasetError:
    with pytest.raises(InvalidDatasetError) as caught:
        open_image_directory(path)
    return caught.value


def labeled(path: Path) -> dict[str, str]:
    """Class name by file."""
    dataset = open_image_directory(path)
    assert dataset.labels is not None
    return {file: dataset.classes[label] for file, label in zip(dataset.files, dataset.labels.tolist(), strict=True)}


def test_class_folders_are_sorted_by_name_and_files_within(make_tree: MakeTree) -> None:
    dataset = open_image_directory(make_tree("dog/b.png", "dog/a.jpg", "cat/9.png", "cat/10.png"))
    assert list(dataset.files) == ["cat/10.png", "cat/9.png", "dog/a.jpg", "dog/b.png"]
    assert dataset.classes == ("cat", "dog")
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [0, 0, 1, 1]
    assert list(dataset.ids) == [0, 1, 2, 3]


def test_a_single_class_is_a_class(make_tree: MakeTree) -> None:  # CASES 22
    assert labeled(make_tree("cat/1.png")) == {"cat/1.png": "cat"}


def test_an_empty_folder_is_a_class_without_images(make_tree: MakeTree) -> None:  # CASES 22
    assert open_image_directory(make_tree("cat/1.png", "emu/")).classes == ("cat", "emu")


def test_names_are_kept_as_they_are_on_disk(make_tree: MakeTree) -> None:  # CASES 22
    names = ["A", "a", "a b", "\"q\" 'q'", "x,y", "new\nline", "😀", "\u00e9", "e\u0301", "caf\udce9", "back\\slash"]
    root = make_tree(*(f"{name}/1.png" for name in names))
    assert labeled(root) == {f"{name}/1.png": name for name in names}
    dataset = open_image_directory(root)
    assert dataset.classes == tuple(sorted(names))
    assert all(dataset.path(index).is_file() for index in range(len(dataset)))


def test_litter_is_skipped(make_tree: MakeTree) -> None:
    root = make_tree(
        "cat/1.png", "cat/.DS_Store", "cat/._1.png", "cat/Thumbs.db", ".DS_Store", ".ipynb_checkpoints/1.png",
        "__MACOSX/cat/1.png", "cat/.ipynb_checkpoints/1-checkpoint.png", ".git/x.png", "Thumbs.db",
    )  # fmt: skip
    assert labeled(root) == {"cat/1.png": "cat"}
    assert open_image_directory(root).classes == ("cat",)


def test_extensions_count_in_any_case_and_other_files_do_not(make_tree: MakeTree) -> None:
    images = [
        f"cat/{name}" for name in ("1.JPG", "2.Jpeg", "3.png", "4.ppm", "5.BMP", "6.pgm", "7.tif", "8.TIFF", "9.webp")
    ]
    assert (
        list(labeled(make_tree(*images, "cat/x.txt", "cat/x.svg", "cat/png", "README.md", "cat/x.jpg.bak"))) == images
    )


def test_left_out_files_and_folders_are_named(make_tree: MakeTree) -> None:
    root = make_tree("pets/cat/1.png", "pets/cat/2.svg", "pets/cat/@eaDir/1.png", "pets/docs/paper.pdf", "notes.txt")
    left_out = open_image_directory(root).layout.left_out
    assert left_out == ("notes.txt", "pets/cat/2.svg", "pets/cat/@eaDir/", "pets/docs/")


def test_a_chain_of_single_folders_is_descended_to_the_classes(make_tree: MakeTree) -> None:
    root = make_tree("download/pets/cat/1.png", "download/pets/dog/1.png", "download/README.md")
    dataset = open_image_directory(root)
    assert dataset.classes == ("cat", "dog")
    assert all(dataset.path(index).is_file() for index in range(len(dataset)))


def test_a_lone_class_at_the_end_of_a_chain_stays_a_class(make_tree: MakeTree) -> None:
    assert list(labeled(make_tree("download/pets/cat/1.png")).values()) == ["cat"]


@pytest.mark.parametrize(
    "paths",
    [
        ["cat/1.png", "2.png"],  # both levels
        ["anna/cat/1.png", "ben/cat/2.png"],  # the same names below
        ["images/1.png", "cat/2.png"],
        ["cat/1.png", "dog/2.png", "emu/notes.pdf"],
    ],
)
def test_what_is_unclear_is_refused_where_labels_are_written_and_else_has_none(
    make_tree: MakeTree, paths: list[str]
) -> None:
    root = make_tree(*paths)
    (root / "emu" / "notes.pdf").unlink(missing_ok=True)
    if (root / "emu").is_dir():
        (root / "emu" / "notes.pdf").write_text("%PDF")
        paths = paths[:-1]
    assert refusal(root).reason in {"unclear_layout", "class_without_images"}
    dataset = open_image_directory(root, takes_other_tasks=True)
    assert sorted(dataset.files) == sorted(paths)
    assert dataset.labels is None
    assert dataset.classes == ()
    assert all(dataset.path(index).is_file() for index in range(len(dataset)))


def test_folders_without_images_do_not_make_a_layout_nested(make_tree: MakeTree) -> None:
    assert labeled(make_tree("cat/1.png", "cat/notes/x.txt", "cat/x.png/")) == {"cat/1.png": "cat"}


@pytest.mark.parametrize("paths", [["x.txt"], ["cat/", "dog/"], ["cat/"], ["a.zip", "b.zip"], ["__MACOSX/cat/1.png"]])
def test_no_images_is_an_error(make_tree: MakeTree, paths: list[str]) -> None:  # CASES 23
    assert refusal(make_tree(*paths)).reason == "no_images"


@pytest.mark.parametrize(
    ("link", "target", "reason"),
    [
        ("cat/2.png", "{root}/cat/2.png", "broken_link"),
        ("cat/2.png", "nowhere.png", "broken_link"),
        ("cat/2.png", "{outside}", "link_leaves_directory"),
        ("cat/loop", "..", "link_to_folder"),
        ("loop", ".", "link_to_folder"),
        ("kitten", "cat", "link_to_folder"),
        ("dog", "{outside}/..", "link_leaves_directory"),
    ],
)
def test_links_that_leave_loop_or_dangle_are_refused(
    make_tree: MakeTree, tmp_path: Path, link: str, target: str, reason: str
) -> None:  # CASES 25
    root = make_tree("cat/1.png")
    (tmp_path / "outside.png").write_bytes(PNG)
    (root / link).symlink_to(target.format(root=root, outside=tmp_path / "outside.png"))
    error = refusal(root)
    assert error.reason == reason
    assert str(root / link) in str(error)


def test_a_link_to_a_file_inside_is_an_image(make_tree: MakeTree) -> None:
    root = make_tree("cat/1.png")
    (root / "cat/2.png").symlink_to("1.png")
    assert labeled(root) == {"cat/1.png": "cat", "cat/2.png": "cat"}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_no_image(make_tree: MakeTree) -> None:
    root = make_tree("cat/1.png")
    os.mkfifo(root / "cat/2.png")
    assert list(labeled(root)) == ["cat/1.png"]
