"""Forecasts of nodes that are not one command: rounds of loops, trials of sweeps, blocks of conditions."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.harness.pipeline.pipeline_request import prepare_pipeline
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.pipeline.reuse_forecast import forecast
from pytorch_designer.harness.reuse.reuse_cache import ReuseCache
from tests.harness.pipeline_files import FOLDER, make_folder, node, write_pipeline

STEP = node(
    "echo $(( ${{inputs.x}} + 1 )) > ${{outputs.next}}; cat limit > /dev/null;"
    " if [ ${{inputs.x}} -lt $(cat limit) ]; then echo True; else echo False; fi > ${{outputs.again}}",
    code="code",
    inputs={"x": 0},
    outputs={"next": {"type": "integer"}, "again": {"type": "boolean"}},
)
LOOP = {
    "type": "do_while",
    "body": "${{parent.jobs.step}}",
    "condition": "${{parent.jobs.step.outputs.again}}",
    "mapping": {"${{parent.jobs.step.outputs.next}}": "${{parent.jobs.step.inputs.x}}"},
    "limits": {"max_iteration_count": 9},
}
AFTER = node("echo ${{inputs.x}}", inputs={"x": "${{parent.jobs.step.outputs.next}}"}, outputs={"out": FOLDER})
DECIDE = {
    "type": "if_else",
    "condition": "${{parent.jobs.step.outputs.again}}",
    "true_block": "${{parent.jobs.yes}}",
    "false_block": "${{parent.jobs.no}}",
}


def _states(path: Path, number: int, cache: ReuseCache) -> dict[str, tuple[bool | None, str]]:
    found = forecast(prepare_pipeline(path, run_folder=path.parent / f"forecast{number}", cache=cache))
    return {name: (one.is_reused, one.reason) for name, one in found.items()}


def test_rounds_of_a_loop_and_the_block_after_it_are_foretold(tmp_path: Path) -> None:
    make_folder(tmp_path / "code", limit="2")
    jobs = {"step": STEP, "loop": LOOP, "after": AFTER, "if": DECIDE, "yes": node("true"), "no": node("true")}
    path, cache = write_pipeline(tmp_path, jobs), ReuseCache(tmp_path / "cache", 1 << 30)
    first = _states(path, 0, cache)
    assert first["step"] == (False, "no result of this node is kept")
    assert first["after"] == (None, "depends on what step will write")

    states = {
        name: found.state.value
        for name, found in run_pipeline(path, run_folder=tmp_path / "run", cache=cache).nodes.items()
    }
    assert states == {"step": "completed", "after": "completed", "yes": "bypassed", "no": "completed"}

    kept = _states(path, 1, cache)
    assert [kept[name] for name in ("step", "after", "no")] == [(True, "")] * 3
    assert kept["yes"] == (None, "bypassed: the condition of if is False")
    last = max((entry for entry in cache.entries() if entry.node == "step"), key=lambda entry: entry.stored)
    shutil.rmtree(cache.folder / "entries" / last.key)
    again = _states(path, 2, cache)
    assert again["step"] == (False, "round 3: parameter x: 1 -> 2")
    assert again["after"] == (None, "depends on what step will write")


@pytest.mark.parametrize("sampling", ["grid", "bayesian"])
def test_trials_of_a_sweep_are_foretold(tmp_path: Path, sampling: str) -> None:
    if sampling == "bayesian":
        pytest.importorskip("optuna")
    sweep: dict[str, Any] = {
        "type": "sweep",
        "trial": {
            "type": "command",
            "name": "trial",
            "environment": "azureml:e:1",
            "command": "echo ${{inputs.x}}",
            "inputs": {"x": {"type": "integer"}},
        },
        "sampling_algorithm": sampling,
        "search_space": {"x": {"type": "choice", "values": [1, 3, 4]}},
        "objective": {"goal": "minimize", "primary_metric": "score"},
        "limits": {"max_total_trials": 3},
    }
    path, cache = write_pipeline(tmp_path, {"find": sweep}), ReuseCache(tmp_path / "cache", 1 << 30)

    (found,) = _states(path, 0, cache).values()

    if sampling == "grid":
        assert found == (False, "0 of 3 trials would be reused; trial_0: no result of this node is kept")
    else:
        assert found == (False, "its trials are chosen while it runs; each is reused where its result is kept")
