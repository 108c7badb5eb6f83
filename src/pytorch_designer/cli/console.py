"""Console logging to standard output, with the time of day if it is not a terminal."""

from __future__ import annotations

import logging
import sys

LOGGER_NAME = "pytorch_designer"


class _StandardOutput(logging.Handler):
    """Writes to the current `sys.stdout`, so that lines appear above a live progress display."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            print(self.format(record), file=sys.stdout, flush=True)
        except UnicodeEncodeError:
            encoding = sys.stdout.encoding or "ascii"
            print(self.format(record).encode(encoding, "backslashreplace").decode(encoding), flush=True)


def configure_console() -> None:
    """Send this program's log lines to standard output; warnings and errors show their level."""
    logger = logging.getLogger(LOGGER_NAME)
    if logger.handlers:
        return
    handler = _StandardOutput()
    handler.setFormatter(_Formatter(with_time=not sys.stdout.isatty()))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


class _Formatter(logging.Formatter):
    def __init__(self, *, with_time: bool) -> None:
        super().__init__(datefmt="%H:%M:%S")
        self._with_time = with_time

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        if record.levelno >= logging.WARNING:
            message = f"{record.levelname.capitalize()}: {message}"
        return f"{self.formatTime(record, self.datefmt)} {message}" if self._with_time else message
