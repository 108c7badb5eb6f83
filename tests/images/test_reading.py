"""Files that cannot be read are named by reason; mounts that stumble are tried again."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from pytorch_designer.images.bad_files import UnreadableImageError
from pytorch_designer.images.reading import read_file, read_start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def reason(path: Path, *, max_bytes: int = 1000) -> str:
    with pytest.raises(UnreadableImageError) as caught:
        read_file(path, max_bytes=max_bytes)
    return caught.value.reason


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 3])
def test_all_bytes_are_read(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    assert read_file(tmp_path / "x", max_bytes=1000) == content
    assert read_start(tmp_path / "x", num_bytes=10) == content[:10]


def test_a_missing_file(tmp_path: Path) -> None:
    assert reason(tmp_path / "x") == "no such file"


def test_a_folder_named_like_an_image(tmp_path: Path) -> None:
    (tmp_path / "x.png").mkdir()
    assert reason(tmp_path / "x.png") in {"a folder, not a file", "permission denied"}  # the latter on Windows


def test_a_file_above_the_limit_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(1001))
    assert reason(tmp_path / "x") == "the file is too large (1,001 bytes)"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind this user")
def test_a_file_without_permission(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    (tmp_path / "x").chmod(0)
    assert reason(tmp_path / "x") == "permission denied"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no named pipes")
def test_a_named_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    assert reason(tmp_path / "x") == "not a regular file"


@pytest.fixture
def fail_opens(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], list[float]]:
    """Let the first opens fail with an error number; the list that comes back collects the pauses taken."""

    def arrange(number: int, num_failures: int) -> list[float]:
        failures = [OSError(number, os.strerror(number))] * num_failures
        real_open, pauses = os.open, list[float]()

        def unsteady_open(*arguments: Any, **options: Any) -> int:
            if failures:
                raise failures.pop()
            return real_open(*arguments, **options)

        monkeypatch.setattr(os, "open", unsteady_open)
        monkeypatch.setattr(time, "sleep", pauses.append)
        return pauses

    return arrange


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT])
def test_a_stumbling_mount_is_tried_again(
    number: int, fail_opens: Callable[[int, int], list[float]], tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(b"content")
    pauses = fail_opens(number, 3)
    assert read_file(tmp_path / "x", max_bytes=1000) == b"content"
    assert len(pauses) == 3
    assert sum(pauses) < 2


def test_retries_are_bounded(fail_opens: Callable[[int, int], list[float]], tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"content")
    fail_opens(errno.EIO, 100)
    assert reason(tmp_path / "x") == f"it cannot be read: {os.strerror(errno.EIO)}"


def test_lasting_errors_are_not_tried_again(fail_opens: Callable[[int, int], list[float]], tmp_path: Path) -> None:
    pauses = fail_opens(errno.ENAMETOOLONG, 1)
    assert reason(tmp_path / "x") == f"it cannot be read: {os.strerror(errno.ENAMETOOLONG)}"
    assert pauses == []
