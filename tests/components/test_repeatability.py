"""Two fresh processes train the same bytes (CASES 1, 2); the campaign `make families` does it for every family."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaigns.families import FAMILIES, differing_families

pytestmark = pytest.mark.slow


def test_two_fresh_processes_train_equal_bytes(tmp_path: Path) -> None:
    families = ["mobilenet_v3_small", "squeezenet1_1"]
    assert set(families) < set(FAMILIES)
    assert differing_families(tmp_path, families) == {}
