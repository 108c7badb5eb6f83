"""Requests to stop."""

from __future__ import annotations

import signal

import pytest

from pytorch_designer.system.stop_requests import stop_on_signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
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
