"""Decoded pixels in a file on a local disk, for rows that memory has no room for.

    | row 7 | row 8 | row 9 | ...      each row_bytes long, in the dataset's order, written whole before it is marked

The file has no name from the start (on Windows: it goes when it is closed), so that nothing is left behind when the
process is killed. It is written and read with calls that report errors, and never mapped into memory: a full disk
would end the process by a signal.

Nothing here ever fails a run. The first error that the disk reports, or row that comes back other than it was
written, is logged; from then on nothing is held, and the images are read from where they came from.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import zlib
from typing import IO, TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_log = logging.getLogger(__name__)


class DiskRows:
    """The pixels of a range of rows, on disk. May be used by many threads, but for `close`.

    Attributes:
        rows: The rows that are kept once they have been stored.
        folder: Where the file lies.
        row_bytes: Bytes of one row.
    """

    def __init__(self, rows: range, shape: tuple[int, int, int], folder: Path) -> None:
        """Prepare to store rows of `shape` uint8; no file is made before the first one."""
        self.rows = rows
        self.folder = folder
        self.row_bytes = int(np.prod(shape))
        self._shape = shape
        self._is_stored = np.zeros(len(rows), dtype=np.bool_)
        self._checksums = np.zeros(len(rows), dtype=np.uint32)
        self._stream: IO[bytes] | None = None
        self._is_given_up = False
        self._lock = threading.Lock()

    def store(self, row: int, pixels_hwc: NDArray[np.uint8]) -> None:
        """Keep the pixels, uint8 [height, width, 3], of a row of `rows`, unless the disk has failed."""
        index = row - self.rows.start
        if self._is_given_up or self._is_stored[index]:
            return
        content = np.ascontiguousarray(pixels_hwc).data.cast("B")
        try:
            self._write(index * self.row_bytes, content)
        except OSError as error:
            self._give_up(error.strerror or str(error))
            return
        self._checksums[index] = zlib.crc32(content)
        self._is_stored[index] = True

    def read(self, row: int) -> NDArray[np.uint8] | None:
        """The pixels of a row of `rows`, uint8 [height, width, 3]; None if it is not held."""
        index = row - self.rows.start
        if not self._is_stored[index]:
            return None
        pixels = np.empty(self._shape, dtype=np.uint8)
        content = pixels.data.cast("B")
        try:
            num_read = self._read(index * self.row_bytes, content)
        except OSError as error:
            self._give_up(error.strerror or str(error))
            return None
        if self._is_given_up:  # the file may have been cut off meanwhile
            return None
        if num_read != self.row_bytes or zlib.crc32(content) != self._checksums[index]:
            self._give_up("what was written came back changed")
            return None
        return pixels

    def clear(self) -> None:
        """Give the room on the disk back; nothing is held any more, nor stored."""
        with self._lock:
            self._drop()

    def close(self) -> None:
        """Close the file, when no other thread uses it any more. Safe to repeat."""
        self.clear()
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _give_up(self, reason: str) -> None:
        with self._lock:
            if self._is_given_up:
                return
            self._drop()
        _log.warning(
            "The local disk in %s cannot be used to keep decoded images: %s. They are read again in every epoch.",
            self.folder,
            reason,
        )

    def _drop(self) -> None:
        # In this order: whoever reads while the file is cut off sees afterwards that what was read does not count.
        self._is_given_up = True
        self._is_stored[:] = False
        if self._stream is not None and not self._stream.closed:
            try:
                os.truncate(self._stream.fileno(), 0)  # closing it would free its number while others use it
            except OSError:
                _log.debug("%s: the file of decoded images keeps its room until the run ends.", self.folder)

    def _file(self) -> IO[bytes]:
        with self._lock:
            if self._stream is None:
                self._stream = tempfile.TemporaryFile(  # noqa: SIM115  # `close` closes it
                    buffering=0, dir=self.folder, prefix="pytorch-designer-"
                )
            return self._stream

    def _write(self, offset: int, content: memoryview) -> None:
        stream, num_written = self._file(), 0
        while num_written < len(content):
            rest = content[num_written:]
            if hasattr(os, "pwrite"):
                num_written += os.pwrite(stream.fileno(), rest, offset + num_written)
            else:
                with self._lock:
                    stream.seek(offset + num_written)
                    num_written += stream.write(rest)

    def _read(self, offset: int, content: memoryview) -> int:
        stream = self._file()
        if hasattr(os, "preadv"):
            return os.preadv(stream.fileno(), [content], offset)
        with self._lock:
            stream.seek(offset)
            return stream.readinto(content)  # type: ignore[attr-defined,no-any-return]
