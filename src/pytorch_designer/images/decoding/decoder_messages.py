"""Messages of decoders: what libjpeg and libtiff print about a file, collected in the thread that decodes it.

These libraries print on C's standard error, without the name of the file, and return pixels nonetheless: libjpeg fills
what is missing with grey. Where the C library is glibc, its variable `stderr` is replaced by a stream whose text goes
to the `DecoderMessages` of the thread that prints, or, in all other threads, to the process's standard error as before.
Elsewhere nothing is collected (`can_listen`).

Source: the GNU C Library's manual, "Custom Streams"; libjpeg-turbo, `jerror.h`.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

_STANDARD_ERROR = 2
_UNBUFFERED = 2  # _IONBF
_LOCKED_BY_CALLER = 2  # FSETLOCKING_BYCALLER

_this_thread = threading.local()
_Write = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class _StreamFunctions(ctypes.Structure):
    _fields_ = (
        ("read", ctypes.c_void_p),
        ("write", _Write),
        ("seek", ctypes.c_void_p),
        ("close", ctypes.c_void_p),
    )


class DecoderMessages:
    """Context that collects what decoders print in this thread; an inner one takes over from an outer one."""

    __slots__ = ("_outer", "_text")

    def __init__(self) -> None:
        self._text: list[bytes] = []

    def __enter__(self) -> Self:
        can_listen()
        self._outer = getattr(_this_thread, "text", None)
        _this_thread.text = self._text
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _this_thread.text = self._outer

    @property
    def lines(self) -> list[str]:
        """The lines that were printed."""
        return b"".join(self._text).decode(errors="replace").splitlines() if self._text else []


@lru_cache(maxsize=1)
def can_listen() -> bool:
    """True if messages are collected on this platform; the first call sets it up for the process."""
    if not sys.platform.startswith("linux"):
        return False
    library: Any = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    library.fopencookie.restype = ctypes.c_void_p
    library.fopencookie.argtypes = [ctypes.c_void_p, ctypes.c_char_p, _StreamFunctions]
    stream = library.fopencookie(None, b"w", _StreamFunctions(None, _WRITE, None, None))
    if not stream:
        return False
    library.setvbuf(ctypes.c_void_p(stream), None, _UNBUFFERED, 0)
    # A thread that prints waits for Python's lock in `_write`; it must not hold the stream's lock meanwhile.
    getattr(library, "__fsetlocking")(ctypes.c_void_p(stream), _LOCKED_BY_CALLER)
    variable = ctypes.c_void_p.in_dll(library, "stderr")
    atexit.register(setattr, variable, "value", variable.value)  # C libraries print after Python has ended, too
    variable.value = stream
    return True


def _write(_: int | None, text: int | None, num_bytes: int) -> int:
    content = ctypes.string_at(text or 0, num_bytes)
    collected = getattr(_this_thread, "text", None)
    if collected is not None:
        collected.append(content)
    else:
        with suppress(OSError):
            os.write(_STANDARD_ERROR, content)
    return num_bytes


_WRITE = _Write(_write)  # kept: C calls it until the process ends
