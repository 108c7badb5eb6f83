"""The entries of a folder, from the system's records and from os.scandir, and records built by hand."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytorch_designer.storage import directory_entries
from pytorch_designer.storage.directory_entries import Records, getdents, read_entries
from tests.directories.hand_built import MakeTree, needs_records

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNKNOWN, FOLDER, FILE, LINK = 0, 4, 8, 10  # linux: include/linux/fs_types.h
SMALLEST_BUFFER = 280  # 19 bytes, a name of 255 and its NUL, rounded up to eight

NAMES = st.binary(min_size=1, max_size=255).filter(
    lambda name: name not in {b".", b".."} and not any(byte in name for byte in (b"\0", b"/"))
)


def scanned(folder: Path) -> tuple[list[str], list[tuple[str, int]]]:
    """Sorted names of files, and sorted names and kinds of all else, one entry at a time."""
    with os.scandir(folder) as found:
        kinds = {entry.name: stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode) for entry in found}
    files = sorted(name for name, kind in kinds.items() if kind == stat.S_IFREG)
    return files, sorted((name, kind) for name, kind in kinds.items() if kind != stat.S_IFREG)


def read(folder: Path, buffer_bytes: int = 1 << 18) -> tuple[list[str], list[tuple[str, int]]]:
    entries = read_entries(folder, buffer_bytes)
    return sorted(entries.take_file_names()), sorted(entries.others)


def record(name: bytes, kind: int, padding: bytes) -> bytes:
    """A record as Linux lays it out; what is behind the name's NUL is left from before."""
    num_bytes = -(-(19 + len(name) + 1) // 8) * 8
    head = os.urandom(16) + num_bytes.to_bytes(2, "little") + bytes([kind])
    return (head + name + b"\0" + 8 * padding)[:num_bytes]


def found_in(*records: bytes) -> Records:
    return Records.find(np.frombuffer(b"".join(records), dtype=np.uint64))


@needs_records
@settings(deadline=None)
@given(
    entries=st.lists(st.tuples(NAMES, st.sampled_from(["file", "link", "folder"])), unique_by=lambda entry: entry[0]),
    num_spare_words=st.integers(0, 40),
)
def test_all_names_are_read_as_scandir_reads_them(entries: list[tuple[bytes, str]], num_spare_words: int) -> None:
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top)
        for name, kind in entries:
            path = folder / os.fsdecode(name)
            if kind == "file":
                path.touch()
            elif kind == "link":
                path.symlink_to("nowhere")
            else:
                path.mkdir()
        assert read(folder, SMALLEST_BUFFER + 8 * num_spare_words) == scanned(folder)


@needs_records
@given(
    entries=st.lists(st.tuples(NAMES, st.sampled_from([FILE, FOLDER, LINK, UNKNOWN])), min_size=1),
    padding=st.binary(min_size=1, max_size=8),
)
def test_records_are_taken_apart_whatever_lies_between_them(entries: list[tuple[bytes, int]], padding: bytes) -> None:
    records = found_in(*(record(name, kind, padding) for name, kind in entries))
    assert records.file_names() == [os.fsdecode(name) for name, kind in entries if kind == FILE]
    assert list(records.others()) == [(os.fsdecode(name), kind << 12) for name, kind in entries if kind != FILE]


@needs_records
def test_the_folder_itself_and_the_one_above_are_no_entries() -> None:
    records = found_in(record(b".", FOLDER, b"\0"), record(b"1.png", FILE, b"\0"), record(b"..", FOLDER, b"\0"))
    assert records.file_names() == ["1.png"]
    assert list(records.others()) == []


@pytest.mark.usefixtures("way")
def test_more_entries_than_a_buffer_holds(make_tree: MakeTree) -> None:
    names = [f"{number}.png" for number in range(1000)]
    root = make_tree(*names, "folder/")
    assert read(root, buffer_bytes=512) == (sorted(names), [("folder", stat.S_IFDIR)])


@pytest.mark.usefixtures("way")
def test_an_empty_folder_has_no_entries(tmp_path: Path) -> None:
    assert read(tmp_path) == ([], [])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_what_is_no_file_is_told_by_its_kind(make_tree: MakeTree, way: str) -> None:
    root = make_tree("1.png", "folder/")
    (root / "link.png").symlink_to("1.png")
    (root / "loop").symlink_to("loop")
    os.mkfifo(root / "pipe.png")
    files, others = read(root)
    assert files == ["1.png"]
    assert dict(others) == {
        "folder": stat.S_IFDIR,
        "link.png": stat.S_IFLNK,
        "loop": stat.S_IFLNK,
        "pipe.png": stat.S_IFIFO if way == "records" else 0,
    }


@needs_records
def test_a_file_system_that_does_not_tell_kinds_is_asked_for_each_entry(
    make_tree: MakeTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree("1.png", "folder/", "2.png")
    (root / "link.png").symlink_to("1.png")
    unread = [record(b"1.png", FILE, b"x"), record(b"folder", UNKNOWN, b"x")]

    def without_kinds(descriptor: int, buffer: NDArray[np.uint64]) -> int:
        if not unread:
            return 0
        words = np.frombuffer(unread.pop(), dtype=np.uint64)
        buffer[: len(words)] = words
        return words.nbytes

    monkeypatch.setattr(directory_entries, "getdents", without_kinds)
    expected = ["1.png", "2.png"], [("folder", stat.S_IFDIR), ("link.png", stat.S_IFLNK)]
    assert read(root) == expected
    assert not unread


@pytest.mark.usefixtures("way")
def test_a_folder_that_is_gone_or_is_none_is_named(make_tree: MakeTree) -> None:
    root = make_tree("1.png")
    for name, error in (("gone", FileNotFoundError), ("1.png", NotADirectoryError)):
        with pytest.raises(error) as caught:
            read_entries(root / name)
        assert os.fspath(caught.value.filename) == str(root / name)


@pytest.mark.usefixtures("way")
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_without_permission_is_named(make_tree: MakeTree) -> None:
    root = make_tree("a/1.png")
    (root / "a").chmod(0)
    with pytest.raises(PermissionError) as caught:
        read_entries(root / "a")
    (root / "a").chmod(0o700)
    assert os.fspath(caught.value.filename) == str(root / "a")


@needs_records
def test_a_folder_that_fails_while_it_is_read_is_named(make_tree: MakeTree) -> None:
    root = make_tree("1.png")
    with pytest.raises(OSError, match="Invalid argument") as caught:
        read_entries(root, buffer_bytes=8)  # no record is that small
    assert caught.value.filename == str(root)


@needs_records
def test_a_descriptor_of_no_folder_is_an_error(make_tree: MakeTree) -> None:
    root = make_tree("1.png")
    with (root / "1.png").open("rb") as file, pytest.raises(NotADirectoryError):
        getdents(file.fileno(), np.zeros(64, dtype=np.uint64))


@needs_records
def test_a_folder_that_fails_while_it_is_read_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    descriptors: list[int] = []

    def fail(descriptor: int, buffer: NDArray[np.uint64]) -> int:
        descriptors.append(descriptor)
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(directory_entries, "getdents", fail)
    with pytest.raises(OSError, match="Input/output"):
        read_entries(tmp_path)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptors[0])
