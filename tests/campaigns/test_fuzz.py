"""Damaged archives, directories, models and requests, some hundreds of those of the campaign `make fuzz`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.campaigns.fuzz import KINDS, fuzz
from tests.campaigns.fuzz_trials import TRIALS, FaultError

OTHER_KINDS = [kind for kind in KINDS if kind != "images"]  # which tests/images/test_fuzz.py decodes
NUM_INPUTS = 400


@pytest.mark.slow
def test_damaged_inputs_of_every_kind_are_taken_or_named_by_a_process_that_lives() -> None:
    findings = fuzz(0, NUM_INPUTS, num_workers=1, kinds=OTHER_KINDS)
    assert findings.faults == []
    assert findings.num_files == NUM_INPUTS
    for name in ("images", "coco", "scores", "model", "request", "archive.zip", "archive.tar"):
        assert findings.taken[name], f"all damage of {name} is refused"
        assert findings.refused[name], f"all damage of {name} is taken"


def test_every_kind_has_a_trial() -> None:
    assert set(TRIALS) == set(KINDS)


def test_a_fault_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "evil").write_text("what an archive wrote outside")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(FaultError, match="left behind"):
        TRIALS["archives"](0, tmp_path)
