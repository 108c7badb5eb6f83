"""Processes that tests start, and waits that end: for a condition, and for such a process."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
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


def is_running(pid: int) -> bool:
    """True if a process runs; one that has ended and was not waited for does not."""
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # it has just gone, or this is macOS
        return not Path("/proc/self").exists()
    return state != "Z"
