"""Temporary folders whose removal does not depend on how their process ends.

A signal runs no `finally`: SIGTERM and SIGHUP remove the folder before they end the process. After SIGKILL, or when the
system has ended a process for its memory, the next process that makes such a folder removes it. The owner of a folder
holds a lock of it, which dies with the process; a folder without one is nobody's.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import tempfile
import threading
import uuid
import weakref
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.system.stop_requests import signals_held_back

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
_PREFIX = "pytorch-designer-temporary-"
_NO_DESCRIPTOR = -1


@contextmanager
def temporary_folder(*, removed_by_signals: bool = True) -> Iterator[Path]:
    """A new folder for temporary files, removed when the context ends, by SIGTERM, or by the next process.

    Args:
        removed_by_signals: See `removed_when_stopped`.

    Raises:
        OSError: It cannot be made.
    """
    top = Path(tempfile.gettempdir())
    _remove_abandoned(top)
    folder = top / f"{_PREFIX}{uuid.uuid4().hex}"  # known before it is made: an interruption may come at any moment
    lock = _NO_DESCRIPTOR
    try:
        with removed_when_stopped(folder) if removed_by_signals else nullcontext():
            lock = _make_locked(folder)
            yield folder
    finally:
        try:
            _discard(folder, lock)
        except KeyboardInterrupt:  # one that came before signals were held back, or after that
            _discard(folder, _NO_DESCRIPTOR)
            raise


def owned_temporary_folder(owner: object) -> Path:
    """A new folder for temporary files, removed with `owner`, at the end of this process, or by the next process.

    Raises:
        OSError: It cannot be made.
    """
    top = Path(tempfile.gettempdir())
    _remove_abandoned(top)
    folder = top / f"{_PREFIX}{uuid.uuid4().hex}"
    weakref.finalize(owner, _discard, folder, _make_locked(folder))
    return folder


@contextmanager
def removed_when_stopped(folder: Path) -> Iterator[None]:
    """Remove `folder` before SIGTERM or SIGHUP ends the process, where nobody else receives them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.getsignal(number) for number in _SIGNALS}
    ours = {number: _Removal(folder, handler) for number, handler in previous.items() if _ends_the_process(handler)}
    for number, removal in ours.items():
        signal.signal(number, removal)
    try:
        yield
    finally:
        for number, removal in ours.items():
            signal.signal(number, removal.previous)


@dataclass(frozen=True)
class _Removal:
    folder: Path
    previous: Any

    def __call__(self, number: int, frame: FrameType | None) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        signal.signal(number, self.previous)
        signal.raise_signal(number)


def _ends_the_process(handler: object) -> bool:
    return handler is signal.SIG_DFL or isinstance(handler, _Removal)


def _make_locked(folder: Path) -> int:
    """Make a folder; the descriptor of its lock. Whoever removes abandoned ones may take it before it is locked."""
    while True:
        folder.mkdir(mode=0o700, exist_ok=True)
        lock = _lock_of(folder)
        if lock is not None and (lock == _NO_DESCRIPTOR or folder.exists()):
            return lock
        if lock is not None:
            os.close(lock)


def _discard(folder: Path, lock: int) -> None:
    with signals_held_back():  # the standard library's removal is no longer itself after an interruption
        shutil.rmtree(folder, ignore_errors=True)
        if lock != _NO_DESCRIPTOR:
            os.close(lock)


def _lock_of(folder: Path) -> int | None:
    """A descriptor that holds the lock of a folder; `_NO_DESCRIPTOR` without such locks; None if another has it."""
    try:
        import fcntl
    except ImportError:  # Windows
        return _NO_DESCRIPTOR
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError:  # a file system without locks
        os.close(lock)
        return _NO_DESCRIPTOR
    return lock


def _remove_abandoned(top: Path) -> None:
    """Remove this user's folders whose process has ended without doing so."""
    if os.name != "posix":
        return
    for folder in top.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            found = folder.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
                continue
            lock = _lock_of(folder)
            if lock is not None and lock != _NO_DESCRIPTOR:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)
