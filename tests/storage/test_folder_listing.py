"""Listings of folders and of all folders below."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.folder_listing import list_folder, list_tree
from tests.directories.hand_built import MakeTree

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.storage.folder_listing import FolderListing


def tree(root: Path) -> list[FolderListing]:
    return list_tree(root, list_folder(root, ""))


def test_images_folders_and_other_files_are_told_apart(make_tree: MakeTree) -> None:
    root = make_tree(
        "a/1.png", "a/2.JPG", "a/notes.txt", "a/.hidden.png", "a/Thumbs.db", "a/inner/3.png", "a/.git/4.png", "b/",
        "caf\udce9/\udcff.png", "caf\udce9/\u00e9.png", "caf\udce9/\U0001f600.png", "caf\udce9/\uff21.png", "1.png",
    )  # fmt: skip
    (root / "b/link.png").symlink_to("../a/1.png")
    (root / "b/link.txt").symlink_to("../a/1.png")
    os.mkfifo(root / "b/pipe.png")
    assert [(part.path, list(part.images), part.folders, list(part.others)) for part in tree(root)] == [
        ("", ["1.png"], ("a", "b", "caf\udce9"), []),
        ("a", ["a/1.png", "a/2.JPG"], ("inner",), ["notes.txt"]),
        ("b", ["b/link.png"], (), ["link.txt", "pipe.png"]),
        ("caf\udce9", [f"caf\udce9/{name}.png" for name in ("\u00e9", "\udcff", "\uff21", "\U0001f600")], (), []),
        ("a/inner", ["a/inner/3.png"], (), []),
    ]


def test_folders_come_level_by_level(make_tree: MakeTree) -> None:
    names = [f"{number:03}" for number in range(150)]
    root = make_tree(*(f"{name}/inner/1.png" for name in names))
    assert [listing.path for listing in tree(root)] == ["", *names, *(f"{name}/inner" for name in names)]


def test_the_first_folder_in_order_that_cannot_be_listed_is_named(make_tree: MakeTree) -> None:
    root = make_tree("a/1.png", "b/1.png", "c/1.png")
    top = list_folder(root, "")
    for gone in ("b", "c"):
        (root / gone / "1.png").unlink()
        (root / gone).rmdir()
    with pytest.raises(InvalidDatasetError) as caught:
        list_tree(root, top)
    assert (caught.value.reason, caught.value.where) == ("unreadable", str(root / "b"))
