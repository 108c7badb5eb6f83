"""Temporary folders of processes that were killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pytorch_designer.storage.stopped_folder import temporary_folder
from tests.waiting import wait_until

HOLD_A_FOLDER = """
import time
from pytorch_designer.storage.stopped_folder import temporary_folder
with temporary_folder() as folder:
    (folder / "image.png").write_bytes(b"x")
    print(folder, flush=True)
    time.sleep(300)
"""


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.skipif(os.name != "posix", reason="locks of folders")
def test_a_folder_of_a_process_that_was_killed_is_removed_by_the_next_and_one_in_use_is_not(top: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(top)}
    with subprocess.Popen([sys.executable, "-c", HOLD_A_FOLDER], stdout=subprocess.PIPE, text=True,
                          env=environment) as process:  # fmt: skip
        assert process.stdout is not None
        held = Path(process.stdout.readline().strip())
        try:
            with temporary_folder():
                assert (held / "image.png").exists()
        finally:
            os.kill(process.pid, signal.SIGKILL)
    assert held.exists()
    with temporary_folder() as folder:
        assert sorted(top.iterdir()) == [folder]
    assert list(top.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_process_removes_it(number: signal.Signals, top: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD_A_FOLDER], stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "TMPDIR": str(top)}) as process:  # fmt: skip
        assert process.stdout is not None
        held = Path(process.stdout.readline().strip())
        os.kill(process.pid, number)
        wait_until(lambda: process.poll() is not None)
    assert process.returncode == -number
    assert not held.exists()


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_link_with_the_name_of_a_folder_is_left_alone(top: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "file").touch()
    link = top / "pytorch-designer-temporary-link"
    link.symlink_to(elsewhere)
    with temporary_folder():
        pass
    assert link.is_symlink()
    assert (elsewhere / "file").exists()


def test_an_interruption_of_the_removal_does_not_end_it(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interruptions = [KeyboardInterrupt()]
    remove = shutil.rmtree

    def interrupted(path: Path, *, ignore_errors: bool) -> None:
        if interruptions:
            raise interruptions.pop()
        remove(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt), temporary_folder() as folder:
        (folder / "image.png").touch()
    assert list(top.iterdir()) == []
