"""Turns of threads that list folders; what a listing holds is tested through the directories that are opened."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from pytorch_designer.directories.folder_listing import Turns


def test_turns_are_taken_at_once_after_a_listing_that_waited() -> None:
    turns, both_inside = Turns(), Barrier(2)

    def list_with_the_other() -> int:
        with turns.turn():
            return both_inside.wait(timeout=30)

    with turns.turn():
        time.sleep(0.3)
    with ThreadPoolExecutor(2) as pool:
        assert {future.result() for future in [pool.submit(list_with_the_other) for _ in range(2)]} == {0, 1}
