"""A small share of the campaigns of `make torture`."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from tests.campaigns.killed_components import Killer
from tests.campaigns.torture import torture


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX processes and signals")
def test_runs_killed_at_random_moments_end_in_the_same_model(tmp_path: Path) -> None:
    report = torture(tmp_path, num_kills=3, num_workers=1, seed=3, fresh_share=0.0)
    assert report.faults == []
    assert len(report.kills) == 3
    assert report.equal_runs


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX processes and signals")
def test_components_killed_before_operations_on_files_end_in_the_same_files_and_leave_nothing(tmp_path: Path) -> None:
    report = Killer(tmp_path, seed=4, fresh_share=0.0, counts_operations=True).run(num_kills=12, seconds=math.inf)
    assert report.faults == []
    assert report.kills.total() >= 12
    assert report.num_equal
