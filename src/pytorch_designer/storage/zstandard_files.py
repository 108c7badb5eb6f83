"""Reading of Zstandard files, by Python's own module (from 3.14 on) or the package `zstandard`, whichever is there."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any, cast

from pytorch_designer.errors import MissingExtraError

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import WriteableBuffer

_MAX_WINDOW_BYTES = 128 << 20  # what `zstd` itself takes without being told to take more


def open_zstandard(raw: IO[bytes], path: Path) -> IO[bytes]:
    """The decompressed content of the Zstandard file `raw`; reads raise `ValueError` where it is damaged.

    Args:
        raw: The file, at its start.
        path: Its path, for the message.

    Raises:
        MissingExtraError: Neither module is there.
    """
    try:
        from compression import zstd
    except ImportError:
        pass
    else:
        return _buffered(zstd.ZstdFile(raw), zstd.ZstdError)
    try:
        import zstandard
    except ImportError:
        raise MissingExtraError(
            "Archives that are compressed with Zstandard (.tar.zst) need the package zstandard.",
            where=path,
            advice="Install it with `pip install zstandard`, or pack the archive as .tar.gz or .zip.",
        ) from None
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW_BYTES)
    return _buffered(decompressor.stream_reader(raw, read_across_frames=True), zstandard.ZstdError)


def _buffered(stream: Any, damage: type[Exception]) -> IO[bytes]:
    return cast("IO[bytes]", io.BufferedReader(_Decompressed(stream, damage)))


class _Decompressed(io.RawIOBase):
    def __init__(self, stream: Any, damage: type[Exception]) -> None:
        super().__init__()
        self._stream = stream
        self._damage = damage

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._stream.read(len(view))
        except self._damage as error:
            raise ValueError(str(error)) from error
        view[: len(data)] = data
        return len(data)
