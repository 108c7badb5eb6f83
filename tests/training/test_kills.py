"""SIGKILL after every step, in validation, between epochs and at every file operation; the rerun ends the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TOP = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def kills(digit_folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("kills")
    for part, images in digit_folders.items():
        shutil.copytree(images, folder / part)
    command = [sys.executable, "-m", "tests.training.kill_points", str(folder)]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="POSIX processes and signals"),
]


@pytest.mark.slow
def test_every_kind_of_moment_was_hit(kills: list[dict[str, Any]]) -> None:
    counts = {
        kind: sum(f"kind='{kind}'" in kill["kills"] for kill in kills) for kind in ("step", "validation", "epoch")
    }
    assert counts["step"] >= 12, "3 epochs of 4 steps, and one killed twice"
    assert counts["epoch"] == 4, "and one before training"
    assert counts["validation"] >= 4
    assert sum("kind='file'" in kill["kills"] for kill in kills) > 5
    assert any(kill["kills"].count("Point") == 2 for kill in kills)


def test_the_rerun_takes_only_the_steps_that_were_not_saved(kills: list[dict[str, Any]]) -> None:
    taken = {kill["kills"]: kill["last_steps"] for kill in kills}
    for number in range(1, 13):  # killed after a step, before it is saved
        assert taken[f"[Point(kind='step', number={number})]"] == 12 - (number - 1)
    for number in range(1, 5):
        assert taken[f"[Point(kind='epoch', number={number})]"] == 12 - 4 * (number - 1)


def test_a_run_killed_at_any_moment_continues_to_the_same_weights_momentum_and_history(
    kills: list[dict[str, Any]],
) -> None:
    assert [kill for kill in kills if kill["differing"] or not kill["as_expected"]] == []
