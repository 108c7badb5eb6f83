"""Standard streams that may fail without ending the run.

A run writes to standard output and standard error for whoever looks at them. Its result does not depend on them: they
may be closed from the start, go to a full disk, or lose their reader (`| head`, an ended ssh session).
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer

_DESCRIPTORS = (0, 1, 2)


def keep_streams_usable() -> None:
    """Let no write to standard output and standard error fail, in this process and in those that inherit them.

    A stream that is closed becomes the null device, as otherwise the next file that is opened would take its place. So
    does one whose reader is gone. What does not fit on a full disk is dropped. A character that the stream's encoding
    lacks is written as an escape.
    """
    if os.name != "posix":  # a console of Windows has writes of its own
        return
    for descriptor in _DESCRIPTORS:
        if not _is_open(descriptor):
            _become_null(descriptor)
    sys.stdout = lasting_stream(sys.stdout, 1)
    sys.stderr = lasting_stream(sys.stderr, 2)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _become_null(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)
    else:
        os.set_inheritable(descriptor, True)


def lasting_stream(stream: TextIO | None, descriptor: int) -> TextIO:
    """A stream on this descriptor that writes any text, and goes on where the reader is gone or the disk full."""
    if stream is None:  # it was closed when Python started
        return _text_stream(descriptor, encoding="utf-8", is_line_buffered=True, is_unbuffered=False)
    if not isinstance(stream, io.TextIOWrapper) or isinstance(getattr(stream.buffer, "raw", None), _LastingFile):
        return stream
    try:
        stream.flush()
    except OSError:
        stream.detach()  # with what it could not write
    return _text_stream(
        descriptor,
        encoding=stream.encoding,
        is_line_buffered=stream.line_buffering,
        is_unbuffered=stream.write_through,
    )


def _text_stream(descriptor: int, *, encoding: str, is_line_buffered: bool, is_unbuffered: bool) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(_LastingFile(descriptor, "wb", closefd=False)),
        encoding=encoding,
        errors="backslashreplace",
        line_buffering=is_line_buffered,
        write_through=is_unbuffered,
    )


class _LastingFile(io.FileIO):
    """File whose writes do not fail."""

    def write(self, data: Buffer, /) -> int:
        num_bytes = memoryview(data).nbytes
        try:
            num_written = super().write(data)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                _become_null(self.fileno())
            return num_bytes
        if num_written is None:  # a pipe that does not block, and is full
            select.select([], [self.fileno()], [])
            return 0
        return num_written
