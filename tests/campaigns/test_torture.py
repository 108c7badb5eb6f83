"""A small share of the campaign `make torture`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.campaigns.torture import torture


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX processes and signals")
def test_runs_killed_at_random_moments_end_in_the_same_model(tmp_path: Path) -> None:
    report = torture(tmp_path, num_kills=3, num_workers=1, seed=3, fresh_share=0.0)
    assert report.faults == []
    assert len(report.kills) == 3
    assert report.equal_runs
