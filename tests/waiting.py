"""Waits that end: for a condition, and for a process that a test has started."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import AnyStr

_SECONDS = 120.0
_POLL_SECONDS = 0.02


def wait_until(condition: Callable[[], object], seconds: float = _SECONDS) -> None:
    """Wait for a condition; the test fails where it has not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds:g} seconds"
        time.sleep(_POLL_SECONDS)


@contextmanager
def killed_at_last(process: subprocess.Popen[AnyStr], seconds: float = _SECONDS) -> Iterator[subprocess.Popen[AnyStr]]:
    """A process that is killed at the end, and after a time, so that reading its lines ends too."""
    watch = threading.Timer(seconds, process.kill)
    watch.start()
    try:
        with process:
            try:
                yield process
            finally:
                process.kill()
    finally:
        watch.cancel()
