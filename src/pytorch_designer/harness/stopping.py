"""Ctrl-C and SIGTERM as a request that running jobs honour, from whatever thread runs them."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytorch_designer.errors import InterruptedRunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class StopRequest:
    """Asks every job that was started with it to end; may be shared by many jobs in many threads.

    Attributes:
        signal_number: The signal that asked, or None as long as nobody has.
        is_urgent: Whether it was asked for twice: processes are then killed without a grace period.
    """

    def __init__(self) -> None:
        self.signal_number: int | None = None
        self.is_urgent = False

    def request(self, signal_number: int = signal.SIGTERM) -> None:
        """Ask; the second time it is urgent."""
        self.is_urgent = self.signal_number is not None
        self.signal_number = self.signal_number or signal_number

    def check(self, where: str) -> None:
        """Do nothing as long as nobody has asked.

        Args:
            where: What would be left undone.

        Raises:
            InterruptedRunError: Somebody has.
        """
        if self.signal_number is not None:
            raise InterruptedRunError("The run was stopped.", signal_number=self.signal_number, where=where)


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn SIGINT and SIGTERM into a request while the context lasts, where this is the main thread."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def receive(number: int, frame: FrameType | None) -> None:
        request.request(number)

    previous = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
