"""Progress of a node that runs, read from the end of its log: of any component that prints it.

Recognized are counts ("epoch 3/5", "epoch 3 of 5", "120 of 1,797 images", tqdm's "37%|"), and rates ("340 images/s").
Where a component prints a table with a row per epoch, as Train PyTorch Model does, its header names the epoch.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pytorch_designer.shown_text import on_one_line, program_line

if TYPE_CHECKING:
    from pathlib import Path

_TAIL_BYTES = 8192
_MAX_LINES = 100
_MAX_TEXT = 80
_EPOCH = re.compile(r"\bepoch\s*[:=]?\s*\[?(\d{1,7})\s*(?:/|of)\s*(\d{1,7})", re.IGNORECASE)
_COUNT = re.compile(
    r"(?<![\w.])(\d[\d,]{0,11})\s*(?:/|of)\s*(\d[\d,]{0,11})\s+(steps?|images?|batches|files?|rows?|samples?|it)\b"
)
_PERCENT = re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d+)?)\s?%\s?\|")
_RATE = re.compile(r"(?<![\w.])(\d[\d,.]{0,11})\s?(images?|img|it|samples?|batch(?:es)?|steps?)\s?(?:/s\b|per second)")
_ROW = re.compile(r"(?:\d\d:\d\d:\d\d )?(\d{1,7})/(\d{1,7})\s+\S")
_RATE_COLUMN = "img/s"
_LEFT = re.compile(r"(?<![\w.])(\d{1,3}(?::\d\d){1,2}) left")


def read_progress(log: Path) -> dict[str, Any] | None:
    """Progress at the end of a log: `text`, and `fraction` from 0 to 1 or None.

    Returns:
        None if the log shows no progress.
    """
    try:
        with log.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(size - _TAIL_BYTES, 0))
            tail = stream.read(_TAIL_BYTES)
    except OSError:
        return None
    text = tail.decode("utf-8", "replace").replace("\r", "\n")
    return progress_of(text.split("\n")[-_MAX_LINES:])


def progress_of(lines: list[str]) -> dict[str, Any] | None:
    """The progress that the last of these lines tells which tells any; see `read_progress`."""
    shown = [on_one_line(program_line(line)) for line in lines]
    for number in reversed(range(len(shown))):
        found = _of_line(shown[number]) or _of_row(shown[number], shown[:number])
        if found is not None:
            return found
    return None


def _of_line(line: str) -> dict[str, Any] | None:
    epoch, counted, percent = _EPOCH.search(line), _COUNT.search(line), _PERCENT.search(line)
    if epoch is None and counted is None and percent is None:
        return None
    parts = []
    fraction = None
    inside = _share(counted[1], counted[2]) if counted else float(percent[1]) / 100 if percent else None
    if epoch is not None:
        number, total = int(epoch[1]), int(epoch[2])
        parts.append(f"epoch {number} of {total}")
        # Without a count inside it, a line about an epoch is written when it has ended.
        done = number if inside is None else number - 1 + inside
        fraction = None if not total else done / total
    elif counted is not None:
        parts.append(f"{counted[1]} of {counted[2]} {counted[3]}")
        fraction = inside
    elif percent is not None:
        parts.append(f"{percent[1]} %")
        fraction = inside
    rate, left = _RATE.search(line), _LEFT.search(line)
    if rate is not None:
        parts.append(f"{rate[1]} {rate[2]}/s")
    if left is not None:
        parts.append(f"{left[1]} left")
    bounded = None if fraction is None else min(max(fraction, 0.0), 1.0)
    return {"text": ", ".join(parts)[:_MAX_TEXT], "fraction": bounded}


def _of_row(line: str, above: list[str]) -> dict[str, Any] | None:
    """The progress of a table with a row per epoch, under a header that says so."""
    row = _ROW.match(line)
    header = next((text for text in reversed(above) if re.search(r"\bepoch\b", text, re.IGNORECASE)), None)
    if row is None or header is None:
        return None
    number, total = int(row[1]), int(row[2])
    text = f"epoch {number} of {total}"
    if _RATE_COLUMN in header:
        cells = line[: header.index(_RATE_COLUMN) + len(_RATE_COLUMN)].split()
        text += f", {cells[-1]} images/s" if cells and cells[-1].isdecimal() else ""
    return {"text": text[:_MAX_TEXT], "fraction": min(number / total, 1.0) if total else None}


def _share(done: str, total: str) -> float | None:
    whole = int(total.replace(",", "") or 0)
    return int(done.replace(",", "")) / whole if whole else None
