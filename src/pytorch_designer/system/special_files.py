"""Special files, such as devices and pipes, which are refused instead of waited for.

A named pipe without a writer blocks whoever opens it, and a device may never end.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

SPECIAL_KINDS = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def special_kind(path: Path) -> str | None:
    """Kind of `path`, or of what a link leads to, with its article: `a device`. None for files and folders.

    What cannot be looked at, or is not there, is None too: opening it says why.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return None
    return next((kind for is_kind, kind in SPECIAL_KINDS if is_kind(mode)), None)


def resolved(path: Path) -> Path:
    """`path`, absolute and without links; a link that goes in circles stays, and is nothing that exists.

    `Path.resolve` raises for these, depending on the version of Python, an error that is no `OSError`.
    """
    return Path(os.path.realpath(path))
