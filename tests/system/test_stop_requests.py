"""Requests to stop."""

from __future__ import annotations

import signal

import pytest

from pytorch_designer.system.stop_requests import stop_on_signals

HANG_UP = [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, *HANG_UP])
def test_first_signal_is_remembered_and_a_second_interrupts(number: signal.Signals) -> None:
    with stop_on_signals(interrupts_when_urgent=True) as request:
        signal.raise_signal(number)
        assert request.signal_number == number
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


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
