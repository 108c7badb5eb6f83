"""Requests to stop."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from pytorch_designer.system.stop_requests import (
    SignalInterrupt,
    interrupted_by_signals,
    signals_held_back,
    stop_on_signals,
)

HANG_UP = [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []


def let_an_hour_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.monotonic() + 3600
    monkeypatch.setattr(time, "monotonic", lambda: later)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, *HANG_UP])
def test_first_signal_is_remembered_and_a_second_interrupts(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stop_on_signals(interrupts_when_urgent=True) as request:
        signal.raise_signal(number)
        assert request.signal_number == number
        let_an_hour_pass(monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


@pytest.mark.parametrize("number", [signal.SIGTERM, *HANG_UP])
def test_what_shell_and_system_both_send_is_one_request(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)  # whatever this machine is busy with
    with stop_on_signals(interrupts_when_urgent=True) as request:
        for again in (number, number, *HANG_UP):
            signal.raise_signal(again)
        assert request.signal_number == number
        assert not request.is_urgent
        with pytest.raises(KeyboardInterrupt):  # a person does not wait
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGTERM, *HANG_UP])
def test_what_shell_and_system_both_send_does_not_end_the_clean_up(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    cleaned = []

    def clean_up_after() -> None:
        try:
            signal.raise_signal(number)
        finally:
            for again in (number, *HANG_UP):
                signal.raise_signal(again)
            cleaned.append(True)

    with pytest.raises(SignalInterrupt) as interrupt, interrupted_by_signals():
        clean_up_after()
    assert interrupt.value.signal_number == number
    assert cleaned


@pytest.mark.skipif(not HANG_UP, reason="signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_later_signal_ends_a_clean_up_that_takes_long(number: signal.Signals) -> None:
    script = f"""
import signal, time
from pytorch_designer.system.stop_requests import interrupted_by_signals
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever starts the tests may ignore it
with interrupted_by_signals():
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        time.monotonic = lambda now=time.monotonic(): now + 3600
        signal.raise_signal({number:d})
        time.sleep(300)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -number


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, *HANG_UP])
def test_signals_that_are_held_back_come_at_the_end(number: signal.Signals) -> None:
    done = []

    def work() -> None:
        with interrupted_by_signals(), signals_held_back():
            signal.raise_signal(number)
            done.append(True)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever starts the tests may ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            work()
    finally:
        signal.signal(signal.SIGINT, before)
    assert done


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals(interrupts_when_urgent=True):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("number", HANG_UP)
def test_a_signal_that_nohup_ignores_stays_ignored(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with stop_on_signals() as request:
            signal.raise_signal(number)
        assert request.signal_number is None
    finally:
        signal.signal(number, before)
