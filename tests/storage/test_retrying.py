"""Reads that fail for a moment, as on a cloud mount that reconnects."""

from __future__ import annotations

import errno
import time

import pytest

from pytorch_designer.storage.retrying import retrying


class _Unsteady:
    """Fails so many times with an error number, then gives a text."""

    def __init__(self, number: int, times: int) -> None:
        self._number = number
        self._left = times
        self.num_calls = 0

    def __call__(self) -> str:
        self.num_calls += 1
        if self._left:
            self._left -= 1
            raise OSError(self._number, "unsteady")
        return "content"


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


@pytest.mark.parametrize("times", [0, 1, 3])
def test_up_to_three_transient_errors_are_waited_out(pauses: list[float], times: int) -> None:
    assert retrying(_Unsteady(errno.EIO, times)) == "content"
    assert pauses == [0.05, 0.25, 1.0][:times]


def test_fourth_error_is_raised() -> None:
    unsteady = _Unsteady(errno.ENOTCONN, 9)
    with pytest.raises(OSError, match="unsteady"):
        retrying(unsteady)
    assert unsteady.num_calls == 4


def test_lasting_errors_are_raised_at_once(pauses: list[float]) -> None:
    unsteady = _Unsteady(errno.EACCES, 1)
    with pytest.raises(PermissionError):
        retrying(unsteady)
    assert (unsteady.num_calls, pauses) == (1, [])
