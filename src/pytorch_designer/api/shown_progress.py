"""Progress of a call where the caller sees it: in a notebook's output, or below the lines of a terminal.

A notebook shows one output that is replaced a few times per second, and keeps the table of epochs. No widget, script or
extension is needed. A program that is not interactive shows nothing.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from pytorch_designer.progress import LiveLine, ProgressLine, SilentLine
from pytorch_designer.reporting.page import render_page

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

_REFRESH_SECONDS = 0.25


def open_shown_line() -> ProgressLine:
    """The progress line for where this process shows things."""
    if is_notebook():
        return NotebookLine()
    return TerminalLine() if sys.stdout is not None and sys.stdout.isatty() else SilentLine()


def is_notebook() -> bool:
    """True if this process is the kernel of a notebook."""
    ipython: Any = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


class TerminalLine(LiveLine):
    """Bar at the bottom of a terminal, below the lines that stay."""

    def keep(self, text: str) -> None:
        """Print a line."""
        print(text, file=sys.stdout, flush=True)


class NotebookLine:
    """Progress as one output of a notebook's cell."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._current: dict[str, Any] | None = None
        self._handle: Any = None
        self._refreshed_at = 0.0

    def __enter__(self) -> Self:
        display: Any = sys.modules["IPython"].display.display
        self._handle = display(self._content(), raw=True, display_id=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._current = None
        self._update()

    def show(self, description: str, num_done: int, total: int, unit: str, details: str = "") -> None:
        """Update the bar, at most four times per second."""
        self._current = {
            "description": description,
            "num_done": num_done,
            "total": total,
            "details": details or f"{num_done:,} of {total:,} {unit}",
        }
        if time.monotonic() - self._refreshed_at >= _REFRESH_SECONDS:
            self._update()

    def keep(self, text: str) -> None:
        """Show a line that stays, above the bar."""
        self._lines.append(text)
        self._update()

    def _update(self) -> None:
        self._refreshed_at = time.monotonic()
        self._handle.update(self._content(), raw=True)

    def _content(self) -> dict[str, str]:
        current = self._current
        text = [*self._lines, *([] if current is None else [f"{current['description']}: {current['details']}"])]
        page = render_page("notebook_progress.html", lines=self._lines, current=current)
        return {"text/html": page, "text/plain": "\n".join(text)}
