"""Console logging to standard output, with the time of day if it is not a terminal."""

from __future__ import annotations

import logging
import sys

from pytorch_designer.shown_text import printable

LOGGER_NAME = "pytorch_designer"


class _StandardOutput(logging.Handler):
    """Writes to the current `sys.stdout`, so that lines appear above a live progress display."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stdout, flush=True)


def configure_console() -> None:
    """Send this program's log lines to standard output; warnings and errors show their level."""
    logger = logging.getLogger(LOGGER_NAME)
    if logger.handlers:
        return
    logger.addHandler(console_handler(with_time=not sys.stdout.isatty()))
    logger.setLevel(logging.INFO)
    logger.propagate = False


def console_handler(*, with_time: bool) -> logging.Handler:
    """Handler that writes log lines to standard output, without characters that a terminal obeys."""
    handler = _StandardOutput()
    handler.setFormatter(_Formatter(with_time=with_time))
    return handler


class _Formatter(logging.Formatter):
    def __init__(self, *, with_time: bool) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._with_time = with_time

    def format(self, record: logging.LogRecord) -> str:
        message = printable(record.getMessage())  # names of files and classes may hold what a terminal obeys
        if record.levelno >= logging.WARNING:
            message = f"{record.levelname.capitalize()}: {message}"
        return f"{self.formatTime(record, self.datefmt)} {message}" if self._with_time else message
