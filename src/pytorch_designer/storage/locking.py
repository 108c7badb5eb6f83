"""Locks that die with their owner: the system releases them when a process is killed or a node goes away.

Some network mounts do not support such locks. There is none then: a file used as a lock would outlive its owner, and
keep others out until a person removes it.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
_FOREVER = -1.0


@contextmanager
def held_lock(path: Path, timeout_seconds: float = _FOREVER) -> Iterator[None]:
    """Hold the lock of the file `path`, in a folder that is there; the file stays.

    Args:
        path: The lock file.
        timeout_seconds: How long to wait for another process that holds it, 0 for not at all; negative: forever.

    Raises:
        filelock.Timeout: Another process holds it.
        OSError: The file cannot be opened.
    """
    lock = FileLock(path, timeout=timeout_seconds, fallback_to_soft=False)
    try:
        lock.acquire()
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    try:
        yield
    finally:
        lock.release()
