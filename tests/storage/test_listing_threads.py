"""Threads that list: in which order, how many at once, and what becomes of results and errors."""

from __future__ import annotations

import threading
import time
from functools import partial
from threading import Barrier, Event

import pytest

from pytorch_designer.storage.listing_threads import ListingThreads


def test_results_come_back() -> None:
    with ListingThreads() as threads:
        futures = [threads.submit(partial(pow, number, 2)) for number in range(100)]
        assert [future.result() for future in futures] == [number * number for number in range(100)]


def test_an_error_is_raised_where_the_result_is_asked_for_and_stops_no_other_listing() -> None:
    with ListingThreads() as threads:
        failing, working = threads.submit(partial(int, "x")), threads.submit(partial(int, "1"))
        with pytest.raises(ValueError, match="'x'"):
            failing.result()
        assert working.result() == 1


def test_listings_that_wait_for_nothing_share_one_thread_in_the_order_of_their_coming() -> None:
    order: list[int] = []
    with ListingThreads() as threads:
        futures = [threads.submit(partial(order.append, number)) for number in range(100)]
        futures_of_names = [threads.submit(threading.get_ident) for _ in range(10)]
        assert [future.result() for future in futures] == [None] * 100
        assert len({future.result() for future in futures_of_names}) == 1
    assert order == list(range(100))


def test_listings_run_at_once_after_one_that_waited() -> None:
    all_inside = Barrier(3)
    with ListingThreads() as threads:
        waited = threads.submit(partial(time.sleep, 0.3))
        queued = [threads.submit(partial(all_inside.wait, timeout=30)) for _ in range(2)]
        waited.result()
        later = threads.submit(partial(all_inside.wait, timeout=30))
        assert {future.result() for future in (*queued, later)} == {0, 1, 2}


def test_leaving_waits_for_what_has_begun_and_forgets_the_rest() -> None:
    has_begun, may_end, ran = Event(), Event(), list[str]()

    def list_slowly() -> None:
        has_begun.set()
        may_end.wait(timeout=30)
        ran.append("first")

    with ListingThreads() as threads:
        threads.submit(list_slowly)
        threads.submit(partial(ran.append, "second"))
        has_begun.wait(timeout=30)
        threading.Timer(0.05, may_end.set).start()
    assert ran == ["first"]
