"""Reads that are tried again when a mount stumbles: a cloud mount reports these errors while it reconnects."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

TRANSIENT_ERRORS = frozenset(
    getattr(errno, name) for name in ("EIO", "ENOTCONN", "ESTALE", "ETIMEDOUT", "EAGAIN") if hasattr(errno, name)
)
_PAUSES_SECONDS = (0.05, 0.25, 1.0)


def retrying(read: Callable[[], T]) -> T:
    """What `read` returns, which is called up to four times within little more than a second.

    Args:
        read: Opens or reads something; may be called again after it failed.

    Raises:
        OSError: The last one that `read` raised, or the first that is not transient.
    """
    for pause in _PAUSES_SECONDS:
        try:
            return read()
        except OSError as error:
            if error.errno not in TRANSIENT_ERRORS:
                raise
        time.sleep(pause)
    return read()
