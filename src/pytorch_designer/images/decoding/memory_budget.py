"""Memory budget of decoding, which all threads that decode or transform images share.

A photo takes a few dozen megabytes while it is decoded, and an image at the limit of pixels some gigabytes: threads
that decode several of these would take that much each. A thread therefore takes what its image needs from one budget,
and waits until it is there. Small images, which are nearly all, are not counted: there are only as many as threads.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from pytorch_designer.system.resources import available_memory_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHARE = 8
_LEAST_BYTES = 2**28
_MOST_BYTES = 2**31
_UNCOUNTED_BYTES = 2**25
_UNCHECKED_BYTES = 2**28

BYTES_PER_PIXEL = 12
"""Peak of a decoder and the change to RGB: four bytes of Pillow's, four of a copy, and RGB."""


class MemoryBudget:
    """Bytes that threads take and give back.

    Attributes:
        num_bytes: How many there are.
    """

    def __init__(self, num_bytes: int) -> None:
        self.num_bytes = num_bytes
        self._num_taken = 0
        self._given_back = threading.Condition()
        self._this_thread = threading.local()

    @contextmanager
    def take(self, num_bytes: int) -> Iterator[None]:
        """Hold `num_bytes` while the context lasts; more than there are at all: alone.

        A thread that holds some takes no more within: it would wait for itself.
        """
        if num_bytes <= _UNCOUNTED_BYTES or getattr(self._this_thread, "is_holding", False):
            yield
            return
        num_taken = self.acquire(num_bytes)
        self._this_thread.is_holding = True
        try:
            yield
        finally:
            self._this_thread.is_holding = False
            self.give_back(num_taken)

    def acquire(self, num_bytes: int, *, timeout_seconds: float | None = None) -> int:
        """Take `num_bytes`, of more than there are at all: all; for another thread to give back.

        Returns:
            How many were taken; 0 where there was no room in time.
        """
        num_bytes = min(num_bytes, self.num_bytes)
        with self._given_back:
            if not self._given_back.wait_for(lambda: self._num_taken + num_bytes <= self.num_bytes, timeout_seconds):
                return 0
            self._num_taken += num_bytes
        return num_bytes

    def give_back(self, num_bytes: int) -> None:
        """Give back what `acquire` has taken."""
        with self._given_back:
            self._num_taken -= num_bytes
            self._given_back.notify_all()


@lru_cache(maxsize=1)
def decoding_budget() -> MemoryBudget:
    """The budget of this process: an eighth of the memory that is free at the start, 256 MiB to 2 GiB."""
    return new_budget()


def new_budget() -> MemoryBudget:
    """A budget of the same size, for what waits to be decoded."""
    return MemoryBudget(min(_MOST_BYTES, max(_LEAST_BYTES, available_memory_bytes() // _SHARE)))


def refusal_for_memory(num_bytes: int) -> str | None:
    """Reason why an image that takes `num_bytes` is not decoded or made on this machine; None where it fits."""
    if num_bytes <= _UNCHECKED_BYTES:
        return None
    free = available_memory_bytes()
    if num_bytes <= free:
        return None
    return f"it takes about {num_bytes / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free"


def is_counted(num_bytes: int) -> bool:
    """True if an image of so many bytes is a large one, which takes its memory from the budget."""
    return num_bytes > _UNCOUNTED_BYTES
