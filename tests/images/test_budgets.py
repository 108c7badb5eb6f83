"""Defaults of the machine at hand."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from pytorch_designer.images import budgets

if TYPE_CHECKING:
    from pathlib import Path


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content + "\n", encoding="utf-8")
    return root


def test_automatic_choices_are_shared_between_processes() -> None:
    assert 1 <= budgets.default_read_threads() <= budgets.MAX_READ_THREADS
    assert budgets.default_read_threads(num_processes=10_000) == 1
    whole = budgets.default_cache_bytes()
    assert whole > 0
    assert budgets.default_cache_bytes(num_processes=4) == pytest.approx(whole / 4, rel=0.2)


def test_more_reads_are_under_way_than_there_are_cores() -> None:
    assert budgets.default_read_threads() >= 32


def test_half_of_the_free_disk_is_for_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_CACHE_FOLDER", str(tmp_path))
    write(tmp_path, {"proc/self/mountinfo": "27 1 254:0 / / rw - ext4 /dev/vda rw"})
    half = shutil.disk_usage(tmp_path).free / 2
    assert budgets.default_cache_folder() == tmp_path
    assert budgets.default_disk_cache_bytes(root=tmp_path) == pytest.approx(half, rel=0.2)
    assert budgets.default_disk_cache_bytes(num_processes=4, root=tmp_path) == pytest.approx(half / 4, rel=0.2)


@pytest.mark.parametrize("chosen", [None, "1000000"])
def test_a_folder_in_memory_is_not_a_disk(chosen: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    monkeypatch.setenv("PYTORCH_DESIGNER_CACHE_FOLDER", str(folder))
    if chosen is not None:
        monkeypatch.setenv("PYTORCH_DESIGNER_DISK_CACHE_BYTES", chosen)
    mounts = "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n" + (
        rf"28 27 0:25 / {tmp_path}/a\040folder rw - tmpfs tmpfs rw"
        + "\n29 27 0:26 / /somewhere/else rw - ext4 /dev/b rw"
    )
    write(tmp_path, {"proc/self/mountinfo": mounts})
    assert budgets.default_disk_cache_bytes(root=tmp_path) == 0


def test_a_cache_folder_that_is_not_there_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_CACHE_FOLDER", str(tmp_path / "absent"))
    assert budgets.default_disk_cache_bytes() == 0
    (message,) = caplog.messages
    assert str(tmp_path / "absent") in message


@pytest.mark.parametrize("chosen", [0, 12345])
def test_the_disk_budget_can_be_set(chosen: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_CACHE_FOLDER", str(tmp_path))
    monkeypatch.setenv("PYTORCH_DESIGNER_DISK_CACHE_BYTES", str(chosen))
    assert budgets.default_disk_cache_bytes(root=tmp_path) == chosen


def test_settings_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_READ_THREADS", "3")
    monkeypatch.setenv("PYTORCH_DESIGNER_CACHE_BYTES", "0")
    assert budgets.default_read_threads(num_processes=2) == 3
    assert budgets.default_cache_bytes(num_processes=2) == 0
