"""Standard output that may be closed, full, or without a reader: what was to be shown is lost, and nothing else."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path


def show(text: str) -> None:
    """Print `text` at once, with what the encoding lacks written out.

    After `| head` has seen enough, or the disk behind standard output is full, nothing more is shown, and the work goes
    on: its exit code is its own.
    """
    if sys.stdout is None:  # it was closed before this program began
        return
    encoding = sys.stdout.encoding or "ascii"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except (OSError, ValueError):
        _go_on_silently()


def _go_on_silently() -> None:
    """Let standard output go nowhere, what is still in its buffer included, which would fail at the end again."""
    null = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, ValueError):
        os.dup2(null, sys.stdout.fileno())
    os.close(null)
    sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (for the rest of the process)
