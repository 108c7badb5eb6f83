"""Events for open pages: numbered, kept for a while, and sent as server-sent events.

A page that was away says with `Last-Event-ID` which one it has seen last, and gets those that it has missed. Where they
are no longer kept, or are of a server that has ended, it gets `reset`: it reads everything again. Pages that read
slowly therefore cost no memory.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_MAX_EVENTS = 5_000
_MAX_BYTES = 8 << 20
_HEARTBEAT_SECONDS = 15.0
_RETRY_MILLISECONDS = 1_000


@dataclass(frozen=True)
class _Kept:
    number: int
    data: bytes


class EventHub:
    """Events of one server; may be published from any thread.

    Attributes:
        num_pages: How many pages listen at the moment.
    """

    def __init__(self) -> None:
        self._series = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._kept: deque[_Kept] = deque()
        self._num_bytes = 0
        self._number = 0
        self._is_closed = False
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self.num_pages = 0

    def publish(self, name: str, content: dict[str, Any]) -> None:
        """Send an event to all pages."""
        text = json.dumps(content)
        with self._lock:
            self._number += 1
            data = f"id: {self._series}-{self._number}\nevent: {name}\ndata: {text}\n\n".encode()
            self._kept.append(_Kept(self._number, data))
            self._num_bytes += len(data)
            while len(self._kept) > _MAX_EVENTS or self._num_bytes > _MAX_BYTES:
                self._num_bytes -= len(self._kept.popleft().data)
        self._wake()

    def close(self) -> None:
        """End all streams."""
        self._is_closed = True
        self._wake()

    async def stream(self, last_event_id: str | None) -> AsyncIterator[bytes]:
        """The events for one page, as text/event-stream, until the server ends.

        Args:
            last_event_id: The last event that the page has seen, or None.
        """
        seen, is_reset = self._first(last_event_id)
        woken = asyncio.Event()
        place = (asyncio.get_running_loop(), woken)
        with self._lock:
            self._waiting.add(place)
        self.num_pages += 1
        try:
            yield f"retry: {_RETRY_MILLISECONDS}\n\n".encode()
            if is_reset:
                yield self._reset(seen)
            while not self._is_closed:
                woken.clear()
                data, seen = self._after(seen)
                if data:
                    yield data
                    continue
                try:
                    await asyncio.wait_for(woken.wait(), _HEARTBEAT_SECONDS)
                except asyncio.TimeoutError:
                    yield b": still here\n\n"
        finally:
            self.num_pages -= 1
            with self._lock:
                self._waiting.discard(place)

    def _first(self, last_event_id: str | None) -> tuple[int, bool]:
        """The number after which a page goes on, and whether it has missed something."""
        with self._lock:
            if last_event_id is None:
                return self._number, False
            series, _, number = last_event_id.partition("-")
            is_known = series == self._series and number.isdecimal() and int(number[:20]) <= self._number
            return (int(number), False) if is_known else (self._number, True)

    def _after(self, seen: int) -> tuple[bytes, int]:
        with self._lock:
            if not self._kept or self._kept[-1].number <= seen:
                return b"", seen
            if self._kept[0].number > seen + 1:
                return self._reset(self._number), self._number
            new = [event.data for event in self._kept if event.number > seen]
            return b"".join(new), self._number

    def _reset(self, number: int) -> bytes:
        return f"id: {self._series}-{number}\nevent: reset\ndata: {{}}\n\n".encode()

    def _wake(self) -> None:
        with self._lock:
            waiting = list(self._waiting)
        for loop, woken in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(woken.set)
