"""Threads that list folders: one of them, or many where listing waits for a disk or a mount.

Each entry of a listing gives Python's lock away for a moment. Threads that have nothing else to wait for would spend
more time on passing it around than on listing, even if they took turns, and each that has once run keeps memory.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

T = TypeVar("T")

_MANY = 16  # more threads than cores keep several waits going
_FEW_SECONDS_WAITED = 0.2
_MAX_WAITED_TO_COMPUTED = 2.0  # up to this, what listing waits for may as well be a core that others use


class ListingThreads:
    """Runs listings one after the other, and many at once from when these turn out to wait on."""

    def __init__(self) -> None:
        """Start no thread yet."""
        self._one = ThreadPoolExecutor(1)
        self._many = ThreadPoolExecutor(_MANY)
        self._tasks: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._lock = Lock()
        self._is_waiting = False
        self._seconds_waited = 0.0
        self._seconds_computed = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Wait for the listings that have begun, and forget all others."""
        self._tasks.clear()
        self._one.shutdown()
        self._many.shutdown()

    def submit(self, task: Callable[[], T]) -> Future[T]:
        """Have a thread run `task`, in the order of these calls."""
        future = Future[T]()
        self._tasks.append((future, task))
        (self._many if self._is_waiting else self._one).submit(self._run_next)
        return future

    def _run_next(self) -> None:
        try:
            future, task = self._tasks.popleft()
        except IndexError:  # the many threads have run what the one had still before it
            return
        started, computed_before = time.perf_counter(), time.thread_time()
        try:
            future.set_result(task())
        except BaseException as error:  # noqa: BLE001 - is raised where the result is asked for
            future.set_exception(error)
        self._note(time.perf_counter() - started, time.thread_time() - computed_before)

    def _note(self, seconds: float, seconds_computed: float) -> None:
        """Take in how long a listing took; the first time that they are found to wait, let many threads at them."""
        with self._lock:
            self._seconds_waited += seconds - seconds_computed
            self._seconds_computed += seconds_computed
            bound = max(_FEW_SECONDS_WAITED, _MAX_WAITED_TO_COMPUTED * self._seconds_computed)
            if self._is_waiting or self._seconds_waited <= bound:
                return
            self._is_waiting = True
        for _ in range(len(self._tasks)):
            self._many.submit(self._run_next)
