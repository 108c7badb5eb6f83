"""Requests to stop."""

from __future__ import annotations

import signal

import pytest

from pytorch_designer.training.signals import stop_requests


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_first_signal_is_remembered_and_a_second_interrupts(number: signal.Signals) -> None:
    with stop_requests() as request:
        signal.raise_signal(number)
        assert request.signal_number == number
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_requests():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
