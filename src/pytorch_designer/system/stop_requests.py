"""Stop requests: SIGINT (Ctrl-C), SIGTERM and SIGHUP (a closed terminal), shared with all threads that work."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytorch_designer.errors import InterruptedRunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_REPETITION_SECONDS = 2.0


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

    SIGHUP stays ignored where it is, as `nohup` asks. A signal that programs have sent twice is one request; see
    `_Repetitions`.

    Args:
        interrupts_when_urgent: Whether a second signal raises `KeyboardInterrupt` in the main thread, for work that
            looks at the request only now and then.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    repetitions = _Repetitions()

    def receive(number: int, frame: FrameType | None) -> None:
        if repetitions.has(number):
            return
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

    What is half done is then cleaned up as after Ctrl-C. A second signal ends the process at once, but for one that
    programs have sent twice; see `_Repetitions`.

    A library may swallow the interruption, Ctrl-C too, and then fail with what it has left half done, such as an
    import: whatever error comes after a signal is an interruption.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    repetitions = _Repetitions()

    def receive(number: int, frame: FrameType | None) -> None:
        if repetitions.has(number):
            return
        is_being_ended = any(other != signal.SIGINT for other in received)
        received.append(number)
        if is_being_ended:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        raise KeyboardInterrupt if number == signal.SIGINT else SignalInterrupt(number)

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


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Receive SIGINT, SIGTERM and SIGHUP at the end of the context, where this is the main thread.

    For what must not be left half done and cannot take long.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)

    previous = {number: signal.signal(number, receive) for number in _stop_signals()}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        for late in received:
            signal.raise_signal(late)


class _Repetitions:
    """Signals that are the same request as the one before.

    When a terminal is closed, the shell and the system both hang up its programs; a service manager signals a program
    and all that it has started, to which the program passes the signal on. Ctrl-C is always a person's.
    """

    def __init__(self) -> None:
        self._first: float | None = None

    def has(self, number: int) -> bool:
        """Whether a signal that has just been received is a repetition."""
        if number == signal.SIGINT:
            return False
        now = time.monotonic()
        if self._first is None:
            self._first = now
            return False
        return now - self._first < _REPETITION_SECONDS


def _interrupts(number: signal.Signals) -> bool:
    """Whether a signal is to be an interruption: SIGINT where it is one already, and is not ignored."""
    return number != signal.SIGINT or signal.getsignal(number) is signal.default_int_handler


def _stop_signals() -> list[signal.Signals]:
    numbers = [signal.SIGINT, signal.SIGTERM]
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:
        numbers.append(hang_up)
    return [number for number in numbers if signal.getsignal(number) is not None]  # None: a handler that is not Python
