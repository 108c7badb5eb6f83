"""Parts of logs, for a page that shows a window of them: forwards from an offset, or backwards from one.

A part ends with a whole line, unless it is one endless line, or the rest of a log that no longer grows.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pytorch_designer.shown_text import redacted

if TYPE_CHECKING:
    from pathlib import Path

MAX_PART_BYTES = 1 << 20
USUAL_PART_BYTES = 1 << 16
_LINE_END = b"\n"


def log_part(
    path: Path, *, offset: int = 0, before: int | None = None, limit: int = USUAL_PART_BYTES, is_complete: bool
) -> dict[str, Any]:
    """A part of a log.

    Args:
        path: The log.
        offset: Where to begin, in bytes; negative: that many bytes before the end, at the beginning of a line.
        before: Where to end instead, in bytes: the part begins at the beginning of a line.
        limit: At most as many bytes, up to `MAX_PART_BYTES`.
        is_complete: Whether nothing will be written any more.

    Returns:
        `text` (bytes that are not UTF-8 replaced), `offset`, `next_offset`, `size` and `ended`.

    Raises:
        OSError: The log cannot be read.
    """
    limit = max(1, min(limit, MAX_PART_BYTES))
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        if before is not None:
            end = max(0, min(before, size))
            offset = _line_start(stream, max(end - limit, 0), end)
            data = _read(stream, offset, end - offset)
        else:
            offset = _line_start(stream, size + offset, size) if offset < 0 else min(offset, size)
            data = _read(stream, offset, limit)
            is_rest = offset + len(data) == size and is_complete
            if not is_rest:
                data = _whole_lines(data, limit)
    end = offset + len(data)
    text = redacted(data.decode("utf-8", "replace"))
    return {"text": text, "offset": offset, "next_offset": end, "size": size, "ended": is_complete and end == size}


def _read(stream: Any, offset: int, num_bytes: int) -> bytes:
    stream.seek(offset)
    data: bytes = stream.read(num_bytes)
    return data


def _line_start(stream: Any, offset: int, end: int) -> int:
    """The beginning of the first line that begins at `offset` or later, or `offset` where none does before `end`."""
    if offset <= 0:
        return 0
    found = _read(stream, offset - 1, min(end - offset + 1, MAX_PART_BYTES)).find(_LINE_END)
    start = offset + found
    return offset if found < 0 or start >= end else start


def _whole_lines(data: bytes, limit: int) -> bytes:
    end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
    return data[:end] if end or len(data) < limit else data
