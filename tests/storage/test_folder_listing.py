"""Listings of folders and of all folders below."""

from __future__ import annotations

import os
from threading import Event
from typing import TYPE_CHECKING

import pytest

from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage import directory_entries
from pytorch_designer.storage.folder_listing import list_folder, list_tree
from tests.directories.hand_built import MakeTree, needs_records

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from pytorch_designer.storage.folder_listing import FolderListing


def tree(root: Path) -> list[FolderListing]:
    return list(list_tree(root, list_folder(root, "")))


@needs_records
def test_both_ways_to_read_folders_give_the_same_listings(make_tree: MakeTree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_tree(
        "a/1.png", "a/2.JPG", "a/notes.txt", "a/.hidden.png", "a/Thumbs.db", "a/inner/3.png", "a/.git/4.png", "b/",
        "caf\udce9/\udcff.png", "caf\udce9/\u00e9.png", "caf\udce9/\U0001f600.png", "caf\udce9/\uff21.png", "1.png",
    )  # fmt: skip
    (root / "b/link.png").symlink_to("../a/1.png")
    (root / "b/link.txt").symlink_to("../a/1.png")
    os.mkfifo(root / "b/pipe.png")
    from_records = tree(root)
    monkeypatch.setattr(directory_entries, "gives_records", lambda: False)
    assert tree(root) == from_records
    assert [(part.path, list(part.images), part.folders, list(part.others)) for part in from_records] == [
        ("", ["1.png"], ("a", "b", "caf\udce9"), []),
        ("a", ["a/1.png", "a/2.JPG"], ("inner",), ["notes.txt"]),
        ("b", ["b/link.png"], (), ["link.txt", "pipe.png"]),
        ("caf\udce9", [f"caf\udce9/{name}.png" for name in ("\u00e9", "\udcff", "\uff21", "\U0001f600")], (), []),
        ("a/inner", ["a/inner/3.png"], (), []),
    ]


@pytest.mark.usefixtures("way")
def test_more_folders_than_are_read_ahead_come_level_by_level(make_tree: MakeTree) -> None:
    names = [f"{number:03}" for number in range(150)]
    root = make_tree(*(f"{name}/inner/1.png" for name in names))
    assert [listing.path for listing in tree(root)] == ["", *names, *(f"{name}/inner" for name in names)]


@pytest.mark.usefixtures("way")
def test_the_first_folder_in_order_that_cannot_be_listed_is_named(make_tree: MakeTree) -> None:
    root = make_tree("a/1.png", "b/1.png", "c/1.png")
    top = list_folder(root, "")
    for gone in ("b", "c"):
        (root / gone / "1.png").unlink()
        (root / gone).rmdir()
    listings = list_tree(root, top)
    assert [next(listings).path for _ in range(2)] == ["", "a"]
    with pytest.raises(InvalidDatasetError) as caught:
        next(listings)
    assert (caught.value.reason, caught.value.where) == ("unreadable", str(root / "b"))


@needs_records
def test_folders_are_read_before_they_are_asked_for_but_not_all_of_them(
    make_tree: MakeTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree(*(f"{number:03}/1.png" for number in range(150)))
    top = list_folder(root, "")
    getdents, num_read, are_ahead = directory_entries.getdents, 0, Event()

    def counted(descriptor: int, buffer: NDArray[np.uint64]) -> int:
        nonlocal num_read
        num_bytes = getdents(descriptor, buffer)
        if num_bytes == 0:
            num_read += 1
            if num_read == 64:
                are_ahead.set()
        return num_bytes

    monkeypatch.setattr(directory_entries, "getdents", counted)
    listings = list_tree(root, top)
    assert [next(listings).path for _ in range(2)] == ["", "000"]
    assert are_ahead.wait(timeout=30)
    assert num_read == 64
    assert len(list(listings)) == 149
