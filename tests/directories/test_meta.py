from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytorch_designer.directories.meta import MAX_META_BYTES, read_meta, write_meta
from pytorch_designer.errors import InvalidDatasetError, InvalidModelDirectoryError
from pytorch_designer.storage.paths import resolve_inside


def reason_of(root: Path) -> str | None:
    with pytest.raises(InvalidDatasetError) as caught:
        read_meta(root, "ImageDirectory", InvalidDatasetError)
    assert str(root) in str(caught.value.where)
    return caught.value.reason


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_meta(tmp_path, "ModelDirectory", model="model_spec.yaml", registerModel=True)
    assert read_meta(tmp_path, "ModelDirectory", InvalidModelDirectoryError) == {
        "type": "ModelDirectory",
        "extension": {},
        "model": "model_spec.yaml",
        "registerModel": True,
    }


def test_unknown_keys_are_kept(tmp_path: Path) -> None:
    (tmp_path / "_meta.yaml").write_text("type: ImageDirectory\nfuture: [1, 2]\n")
    assert read_meta(tmp_path, "ImageDirectory", InvalidDatasetError)["future"] == [1, 2]


def test_no_such_path_is_named(tmp_path: Path) -> None:  # CASES 23, and the next two
    assert reason_of(tmp_path / "absent") == "missing_directory"


def test_a_file_instead_of_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert reason_of(tmp_path / "file") == "not_a_directory"


def test_an_empty_directory_is_named(tmp_path: Path) -> None:
    assert reason_of(tmp_path) == "empty_directory"


def test_a_directory_without_meta_is_named(tmp_path: Path) -> None:
    (tmp_path / "images.lst").write_bytes(b"")
    assert reason_of(tmp_path) == "missing_meta"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "missing_type"),
        (b"extension: {}", "missing_type"),
        (b"type: ModelDirectory", "wrong_type"),
        (b"type: [ImageDirectory]", "wrong_type"),
        (b"type: {", "malformed_meta"),
        (b"- type", "malformed_meta"),
        (b"type: !!python/object/apply:os.system [exit]", "malformed_meta"),
        (b"\xff\xfe\x00", "malformed_meta"),
        (b"[" * 5000, "malformed_meta"),
        (b"x: " + b"9" * 5000 + b"\ny: 2020-13-45", "malformed_meta"),
        (b"#" * (MAX_META_BYTES + 1), "too_large"),
    ],
)
def test_an_unusable_meta_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "_meta.yaml").write_bytes(content)
    assert reason_of(tmp_path) == reason


@pytest.mark.parametrize(
    "relative",
    ["", ".", "/etc/passwd", "C:\\x", "c:x", "\\\\server\\x", "\\x", "..", "a/../b", "a\\..\\b", "a\0b", "\ud800"],
)
def test_a_path_that_is_absolute_climbs_or_is_none_is_refused(tmp_path: Path, relative: str) -> None:  # CASES 24
    with pytest.raises(InvalidDatasetError) as caught:
        resolve_inside(tmp_path, relative, InvalidDatasetError)
    assert caught.value.reason == "path_outside"


@pytest.mark.parametrize("relative", ["a", "a/b.jpg", "a/..b", "a b/ü\udcff.jpg", "...", "./a"])
def test_a_path_inside_is_joined(tmp_path: Path, relative: str) -> None:
    assert resolve_inside(tmp_path, relative, InvalidDatasetError) == tmp_path / relative


def test_a_link_that_leaves_is_refused(tmp_path: Path) -> None:  # CASES 25, and the next three
    root = tmp_path / "root"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    with pytest.raises(InvalidDatasetError, match="through a link") as caught:
        resolve_inside(root, "out/file", InvalidDatasetError)
    assert caught.value.reason == "path_outside"


def test_a_link_to_a_sibling_of_like_name_is_refused(tmp_path: Path) -> None:
    for name in ("root", "root2"):
        (tmp_path / name).mkdir()
    (tmp_path / "root" / "out").symlink_to(tmp_path / "root2")
    with pytest.raises(InvalidDatasetError):
        resolve_inside(tmp_path / "root", "out", InvalidDatasetError)


def test_a_link_in_circles_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(InvalidDatasetError) as caught:
        resolve_inside(tmp_path, "a", InvalidDatasetError)
    assert caught.value.reason == "link_loop"


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert resolve_inside(tmp_path / "link", "x", InvalidDatasetError) == tmp_path / "link" / "x"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["a", "b", "..", ".", "", "/", "\\", "C:", "a\\..", "\0"])).map("/".join))
def test_no_accepted_path_leaves_the_root(tmp_path: Path, relative: str) -> None:
    try:
        resolved = resolve_inside(tmp_path, relative, InvalidDatasetError)
    except InvalidDatasetError:
        return
    depth = 0
    for part in PurePosixPath(relative).parts:
        depth += -1 if part == ".." else 1
        assert depth >= 0
    assert resolved.resolve().is_relative_to(tmp_path.resolve())
