"""Locks of the harness, also on a mount without locks that holds leftovers of a killed harness."""

from __future__ import annotations

import errno
import os
import threading
from typing import TYPE_CHECKING

import pytest

from pytorch_designer.errors import FailedToWriteOutputsError
from pytorch_designer.harness.pipeline.pipeline_state import prepared_folder
from pytorch_designer.harness.reuse.reuse_cache import ReuseCache

if TYPE_CHECKING:
    from pathlib import Path

_SOMEBODY = f"{os.getpid()}\nanother-node\n"


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def missing(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", missing)


@pytest.mark.usefixtures("no_locks")
def test_the_run_folder_of_a_killed_pipeline_is_used_again(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text(_SOMEBODY)
    with prepared_folder(tmp_path):
        assert (tmp_path / "nodes").is_dir()


@pytest.mark.usefixtures("no_locks")
def test_kept_results_can_be_removed_after_a_kill(tmp_path: Path) -> None:
    cache = ReuseCache(tmp_path, 1 << 30)
    cache.claim()
    (tmp_path / "lock").write_text(_SOMEBODY)
    (tmp_path / "entries" / "key").mkdir(parents=True)
    clearing = threading.Thread(target=cache.clear, daemon=True)  # which would wait for a lock that nobody gives back
    clearing.start()
    clearing.join(20)
    assert not clearing.is_alive()
    assert list((tmp_path / "entries").iterdir()) == []


def test_a_run_folder_that_is_in_use_is_refused(tmp_path: Path) -> None:
    with (
        prepared_folder(tmp_path),
        pytest.raises(FailedToWriteOutputsError, match="Another run of a pipeline"),
        prepared_folder(tmp_path),
    ):
        pass


def test_a_run_folder_whose_lock_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()
    with pytest.raises(FailedToWriteOutputsError) as caught, prepared_folder(tmp_path):
        pass
    assert caught.value.where == str(tmp_path / ".lock")
