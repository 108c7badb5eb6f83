"""Threads that decode large images share one budget of memory."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from pytorch_designer.images.decoding.memory_budget import MemoryBudget, refusal_for_memory

BUDGET_BYTES = 2**28
LARGE_BYTES = 2**27


def most_at_once(num_bytes: int, *, num_threads: int = 8, seconds: float = 0.05) -> int:
    """The largest number of threads that hold `num_bytes` at the same time, each for so long, or until all do."""
    budget, lock = MemoryBudget(BUDGET_BYTES), threading.Lock()
    is_crowded = threading.Event()
    inside: list[int] = []
    most = 0

    def hold(number: int) -> None:
        nonlocal most
        with budget.take(num_bytes):
            with lock:
                inside.append(number)
                most = max(most, len(inside))
                if len(inside) == num_threads:
                    is_crowded.set()
            is_crowded.wait(seconds)
            with lock:
                inside.remove(number)

    with ThreadPoolExecutor(num_threads) as threads:
        list(threads.map(hold, range(num_threads)))
    return most


def test_large_images_wait_until_there_is_room() -> None:
    assert most_at_once(LARGE_BYTES) == 2
    assert most_at_once(BUDGET_BYTES * 10) == 1


def test_small_images_wait_for_nothing() -> None:
    assert most_at_once(2**20, seconds=60) == 8


def test_a_thread_that_holds_some_does_not_wait_for_itself() -> None:
    budget = MemoryBudget(BUDGET_BYTES)
    with budget.take(BUDGET_BYTES), budget.take(LARGE_BYTES):
        pass
    with budget.take(BUDGET_BYTES):
        pass


def test_more_memory_than_there_is_is_refused_with_both_sizes() -> None:
    assert refusal_for_memory(2**20) is None
    assert "1125899.9 GB" in (refusal_for_memory(2**50) or "")
