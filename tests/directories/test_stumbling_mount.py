"""CASES 14: whatever is opened, read, listed or looked at in an input is tried again when the mount stumbles."""

from __future__ import annotations

import errno
import io
import json
import os
import tarfile
import time
import zipfile
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.meta import read_meta
from pytorch_designer.directories.scores.data_frame_directory import ScoredImagesWriter
from pytorch_designer.directories.scores.scored_dataset import open_scored_dataset
from pytorch_designer.directories.sources.referenced_files import check_referenced_files
from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.archives import extract_archive
from pytorch_designer.storage.folder_listing import list_folder, list_tree
from pytorch_designer.storage.paths import resolve_inside
from pytorch_designer.storage.retrying import exists, is_file, is_folder, open_retrying, real_path
from pytorch_designer.storage.string_column import StringColumn
from tests.directories.hand_built import PNG, MakeTree, MakeTyped, row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


CALLS = ("open", "read", "stat", "lstat", "scandir")


class Mount:
    """Stands in front of the system: the first `times` calls of each kind for each path fail with `number`."""

    def __init__(self) -> None:
        self.number = errno.EIO
        self.times = 0
        self.prefix = ""
        self.failures = Counter[tuple[str, str]]()
        self.pauses: list[float] = []
        self._paths: dict[int, str] = {}

    def stumble(self, root: Path, number: int = errno.EIO, *, times: int = 1) -> None:
        """From now on, below `root`."""
        self.prefix, self.number, self.times = str(root), number, times

    def in_front_of(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def unsteady(place: Any, *arguments: Any, **options: Any) -> Any:
            path = self._paths.get(place, "") if isinstance(place, int) else os.fspath(place)
            if self.times and path.startswith(self.prefix) and self.failures[name, path] < self.times:
                self.failures[name, path] += 1
                raise OSError(self.number, os.strerror(self.number), path)
            result = call(place, *arguments, **options)
            if name == "open":
                self._paths[result] = path
            return result

        return unsteady


@pytest.fixture
def mount(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mount]:
    mount = Mount()
    with monkeypatch.context() as patches:
        for name in CALLS:
            patches.setattr(os, name, mount.in_front_of(name, getattr(os, name)))
        patches.setattr(io, "open", mount.in_front_of("io.open", io.open))  # what `Path.open` calls
        patches.setattr(time, "sleep", mount.pauses.append)
        yield mount
        mount.times = 0


def archive_at(path: Path) -> Path:
    content = os.urandom(700_000)  # several reads of a buffer
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("cat/1.png", content)
    else:
        with tarfile.open(path, "w:gz") as tar:
            member = tarfile.TarInfo("cat/1.png")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT])
def test_a_stream_goes_on_where_a_read_failed(tmp_path: Path, mount: Mount, number: int) -> None:
    content = os.urandom(1_000_000)
    (tmp_path / "x").write_bytes(content)
    mount.stumble(tmp_path, number)
    with open_retrying(tmp_path / "x") as stream:
        start = stream.read(300_000)
        mount.failures.clear()  # the next opening and the next read fail once more
        rest = stream.read()
        assert stream.seek(-3, os.SEEK_END) == 999_997
        assert stream.read() == content[-3:]
    assert start + rest == content
    assert mount.failures["read", str(tmp_path / "x")] == 1


def test_a_stream_gives_up_after_four_attempts(tmp_path: Path, mount: Mount) -> None:
    (tmp_path / "x").write_bytes(b"content")
    with open_retrying(tmp_path / "x") as stream:
        mount.stumble(tmp_path, times=99)
        with pytest.raises(OSError, match="Input/output"):
            stream.read()
    assert mount.failures["stat", str(tmp_path / "x")] == 3  # before it is opened; the first attempt has it open
    assert mount.pauses == [0.05, 0.25, 1.0]


@pytest.mark.parametrize("name", ["pets.zip", "pets.tar.gz"])
def test_archives_are_extracted(tmp_path: Path, mount: Mount, name: str) -> None:
    (tmp_path / "input").mkdir()
    (tmp_path / "target").mkdir()
    archive = archive_at(tmp_path / "input" / name)
    mount.stumble(tmp_path / "input", errno.ENOTCONN)
    extract_archive(archive, tmp_path / "target")
    assert {kind for kind, _ in mount.failures} == {"open", "read", "stat"}
    assert (tmp_path / "target/cat/1.png").stat().st_size == 700_000


def test_an_archive_on_a_mount_that_stays_away_is_named(tmp_path: Path, mount: Mount) -> None:
    archive = archive_at(tmp_path / "pets.zip")
    mount.stumble(archive, times=99)
    with pytest.raises(InvalidDatasetError) as caught:
        extract_archive(archive, tmp_path)
    assert (caught.value.reason, caught.value.where) == ("unreadable", str(archive))


def test_scores_are_read(tmp_path: Path, mount: Mount) -> None:
    with ScoredImagesWriter(tmp_path, class_names=["a", "b"], has_labels=False, has_text_ids=False) as writer:
        writer.write(ids=[4, 7], files=["a", "b"], probabilities=np.array([[0.25, 0.75], [1.0, 0.0]]))
    mount.stumble(tmp_path)
    scored = open_scored_dataset(tmp_path)
    assert scored.probabilities.tolist() == [[0.25, 0.75], [1.0, 0.0]]
    data = str(tmp_path / "_data.parquet")
    assert [mount.failures[kind, data] for kind in ("open", "read", "stat")] == [1, 1, 1]


def test_scores_on_a_mount_that_stays_away_are_not_called_missing(tmp_path: Path, mount: Mount) -> None:
    with ScoredImagesWriter(tmp_path, class_names=["a"], has_labels=False, has_text_ids=False) as writer:
        writer.write(ids=[4], files=["a"], probabilities=np.array([[1.0]]))
    mount.stumble(tmp_path / "_data.parquet", times=99)
    with pytest.raises(InvalidDatasetError, match="Input/output") as caught:
        open_scored_dataset(tmp_path)
    assert caught.value.reason == "unreadable"


def test_meta_is_not_called_missing(tmp_path: Path, mount: Mount) -> None:
    (tmp_path / "_meta.yaml").write_text("type: ImageDirectory\n")
    mount.stumble(tmp_path)
    assert read_meta(tmp_path, "ImageDirectory", InvalidDatasetError) == {"type": "ImageDirectory"}
    found = {(kind, path.removeprefix(str(tmp_path))) for kind, path in mount.failures}
    assert found >= {("scandir", ""), ("stat", "/_meta.yaml"), ("open", "/_meta.yaml")}


def test_a_listing_that_fails_in_its_middle_is_started_again(
    make_tree: MakeTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree("a/1.png", "a/2.png", "a/3.png")
    scandir, times = os.scandir, iter([1, 2])

    class Unsteady:
        def __init__(self, path: Path) -> None:
            self._path = path

        def __enter__(self) -> Iterator[os.DirEntry[str]]:
            return self._entries()

        def __exit__(self, *error: object) -> None: ...

        def _entries(self) -> Iterator[os.DirEntry[str]]:
            num_given = next(times, None)
            with scandir(self._path) as entries:
                for number, entry in enumerate(entries):
                    if number == num_given:
                        raise OSError(errno.ESTALE, "Stale file handle")
                    yield entry

    monkeypatch.setattr(os, "scandir", Unsteady)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    assert list(list_folder(root, "a").images) == ["a/1.png", "a/2.png", "a/3.png"]
    assert next(times, None) is None


def test_a_folder_that_cannot_be_listed_is_named(make_tree: MakeTree, mount: Mount) -> None:
    root = make_tree("a/1.png")
    mount.stumble(root / "a", times=99)
    with pytest.raises(InvalidDatasetError, match="Input/output") as caught:
        list_folder(root, "a")
    assert (caught.value.reason, caught.value.where) == ("unreadable", str(root / "a"))


def test_folders_below_are_read_again(make_tree: MakeTree, mount: Mount) -> None:
    root = make_tree("a/1.png", "a/b/2.png")
    top = list_folder(root, "")
    mount.stumble(root)
    assert [list(listing.images) for listing in list_tree(root, top)] == [[], ["a/1.png"], ["a/b/2.png"]]
    assert mount.failures == {("scandir", str(root / "a")): 1, ("scandir", str(root / "a/b")): 1}


def test_links_in_a_listing_are_looked_at_again(make_tree: MakeTree, mount: Mount) -> None:
    root = make_tree("a/1.png", "b/2.png")
    (root / "a/link.png").symlink_to(root / "b/2.png")
    mount.stumble(root)
    assert list(list_folder(root, "a").images) == ["a/1.png", "a/link.png"]
    assert mount.failures["lstat", str(root / "a/link.png")] == 1


def test_listed_images_are_looked_for_again(make_tree: MakeTree, mount: Mount) -> None:
    root = make_tree("a/1.png", "b/2.png")
    (root / "a/link.png").symlink_to(root / "b/2.png")
    mount.stumble(root)
    files = StringColumn.from_strings(["a/1.png", "a/link.png"])
    check_referenced_files(root, files, root / "images.lst", str, "Copy them.")
    assert {kind for kind, _ in mount.failures} >= {"scandir", "stat", "lstat"}


def test_class_folders_and_typed_directories_open(make_tree: MakeTree, make_typed: MakeTyped, mount: Mount) -> None:
    tree, typed = make_tree("a/1.png", "b/2.png"), make_typed([row(1, None), row(2, None)])
    for root in (tree, typed):
        mount.stumble(root)
        assert len(open_image_directory(root)) == 2
    assert mount.failures["read", str(typed / "images.lst")] == 1


def test_a_link_that_cannot_be_read_for_a_moment_is_still_a_link(tmp_path: Path, mount: Mount) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "root/link.txt").symlink_to(tmp_path / "secret.txt")
    mount.stumble(tmp_path / "root/link.txt")
    with pytest.raises(InvalidDatasetError) as caught:
        resolve_inside(tmp_path / "root", "link.txt", InvalidDatasetError)
    assert caught.value.reason == "path_outside"
    assert mount.failures["lstat", str(tmp_path / "root/link.txt")] == 1


def test_what_is_there_is_told_after_a_failure_and_nothing_else_is_made_up(tmp_path: Path, mount: Mount) -> None:
    (tmp_path / "file").write_bytes(PNG)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    mount.stumble(tmp_path)
    names = ("file", "", "nothing", "file/below", "loop", "nu\0l")
    found = {name: [ask(tmp_path / name) for ask in (is_file, is_folder, exists)] for name in names}
    nothing = [False, False, False]
    assert found == {"file": [True, False, True], "": [False, True, True]} | dict.fromkeys(names[2:], nothing)
    assert real_path(tmp_path / "nothing/below") == os.path.realpath(tmp_path / "nothing/below")


def test_what_cannot_be_told_is_an_error(tmp_path: Path, mount: Mount) -> None:
    mount.stumble(tmp_path, errno.EACCES, times=99)
    with pytest.raises(PermissionError):
        is_file(tmp_path / json.dumps("x"))
