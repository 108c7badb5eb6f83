"""Stop requests: SIGINT (Ctrl-C), SIGTERM and SIGHUP (a closed terminal), shared with all threads that work."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytorch_designer.errors import InterruptedRunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class SignalInterrupt(KeyboardInterrupt):
    """Interruption by a signal other than Ctrl-C.

    Attributes:
        signal_number: The signal; the process exits with 128 + signal_number.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__()
        self.signal_number = signal_number


class StopRequest:
    """Stop request, shared by all that it concerns: a training loop, or the jobs of a pipeline.

    Attributes:
        signal_number: The signal that asked, or None until then.
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
        """Raise if a stop was requested.

        Args:
            where: What would be left undone.

        Raises:
            InterruptedRunError: Somebody has.
        """
        if self.signal_number is not None:
            raise InterruptedRunError("The run was stopped.", signal_number=self.signal_number, where=where)


@contextmanager
def stop_on_signals(*, interrupts_when_urgent: bool = False) -> Iterator[StopRequest]:
    """Turn SIGINT, SIGTERM and SIGHUP into a request while the context lasts, where this is the main thread.

    SIGHUP stays ignored where it is, as `nohup` asks.

    Args:
        interrupts_when_urgent: Whether a second signal raises `KeyboardInterrupt` in the main thread, for work that
            looks at the request only now and then.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def receive(number: int, frame: FrameType | None) -> None:
        request.request(number)
        if request.is_urgent and interrupts_when_urgent:
            raise KeyboardInterrupt

    previous = {number: signal.signal(number, receive) for number in _stop_signals()}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise `SignalInterrupt` while the context lasts, where this is the main thread.

    What is half done is then cleaned up as after Ctrl-C. A second signal ends the process at once.

    A library may swallow the interruption, Ctrl-C too, and then fail with what it has left half done, such as an
    import: whatever error comes after a signal is an interruption.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        for other in previous:
            signal.signal(other, signal.SIG_DFL)
        raise SignalInterrupt(number)

    previous = {number: signal.signal(number, receive) for number in _stop_signals() if _interrupts(number)}
    try:
        yield
    except Exception as error:
        if received:
            raise SignalInterrupt(received[0]) from error
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _interrupts(number: signal.Signals) -> bool:
    """Whether a signal is to be an interruption: SIGINT where it is one already, and is not ignored."""
    return number != signal.SIGINT or signal.getsignal(number) is signal.default_int_handler


def _stop_signals() -> list[signal.Signals]:
    numbers = [signal.SIGINT, signal.SIGTERM]
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:
        numbers.append(hang_up)
    return numbers
