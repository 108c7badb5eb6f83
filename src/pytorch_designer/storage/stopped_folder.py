"""Removal of a temporary folder when a signal ends the process, which runs no `finally`."""

from __future__ import annotations

import shutil
import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import FrameType

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


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
