"""Temporary folders of processes that were killed."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

import pytest

from pytorch_designer.storage.stopped_folder import owned_temporary_folder, temporary_folder
from pytorch_designer.system.stop_requests import interrupted_by_signals
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


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a listing of `glob` that is not closed
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_no_moment_of_an_interruption_leaves_it(name: str, top: Path) -> None:
    """An interruption comes where Python looks for signals: where a function begins, and after one written in C."""
    moment, was_interrupted = 0, True
    while was_interrupted:
        moment += 1
        was_interrupted = interrupt_at(moment, signal.Signals[name])
        assert list(top.iterdir()) == [], moment
    assert moment > 50  # else it was not watched


def interrupt_at(moment: int, number: signal.Signals) -> bool:
    """Make and leave a folder, and raise a signal at such a moment; whether there was that moment."""
    countdown = itertools.count(moment, -1)

    def watch(frame: FrameType, event: str, argument: object) -> None:
        if event in {"call", "c_return"} and next(countdown) == 1:
            sys.setprofile(None)
            signal.raise_signal(number)

    handler = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever starts the tests may ignore it
    try:
        with interrupted_by_signals():
            sys.setprofile(watch)
            with temporary_folder() as folder:
                (folder / "image.png").touch()
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
        signal.signal(signal.SIGINT, handler)
    return next(countdown) < 1


def test_a_folder_with_an_owner_goes_with_it_and_with_the_process_after_a_kill(top: Path) -> None:
    class Owner:
        pass

    owner = Owner()
    folder = owned_temporary_folder(owner)
    (folder / "model").touch()
    with temporary_folder():
        assert (folder / "model").exists()
    del owner
    assert list(top.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="locks of folders")
def test_a_folder_whose_owner_was_killed_is_removed_by_the_next_process(top: Path) -> None:
    script = """
import os, signal
from pytorch_designer.storage.stopped_folder import owned_temporary_folder
(owned_temporary_folder(type("Owner", (), {})) / "model").touch()
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False, env={**os.environ, "TMPDIR": str(top)})
    assert len(list(top.iterdir())) == 1
    with temporary_folder():
        pass
    assert list(top.iterdir()) == []
