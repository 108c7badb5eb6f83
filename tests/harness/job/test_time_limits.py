"""Time limits of jobs, and MPI's distribution with one process."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.errors import DesignerError, TimeLimitError
from pytorch_designer.harness.job.job_run import run_job
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from tests.harness.fixture_types import MakeRequest
from tests.harness.pipeline_files import component, node, text_of, write_pipeline, write_yaml

needs_posix = pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX's")


@pytest.mark.slow
@needs_posix
def test_a_job_is_ended_at_its_limit_with_all_that_it_has_started(tmp_path: Path, make_request: MakeRequest) -> None:
    command = f"mkdir -p outputs; echo kept > outputs/x; sleep 600 & echo $! > {tmp_path}/child; echo started; wait"
    request = make_request(command)
    lines: list[str] = []

    started = time.monotonic()
    with pytest.raises(TimeLimitError) as caught:
        run_job(replace(request, spec=replace(request.spec, timeout_seconds=3)), lambda rank, line: lines.append(line))

    assert time.monotonic() - started < 300
    assert "longer than its limit of 3 s" in caught.value.what
    assert caught.value.where == str(tmp_path / "run")
    assert lines == ["started"]
    assert text_of(tmp_path / "run" / "outputs" / "x") == "kept\n"
    with pytest.raises(ProcessLookupError):
        os.kill(int(text_of(tmp_path / "child")), 0)
    assert '"state": "failed"' in text_of(tmp_path / "run" / "run.json")


def test_a_job_below_its_limit_is_left_alone(make_request: MakeRequest) -> None:
    request = make_request("true")

    assert run_job(replace(request, spec=replace(request.spec, timeout_seconds=60))).has_succeeded


@pytest.mark.slow
@needs_posix
@pytest.mark.parametrize("timeout", [1, "${{parent.inputs.seconds}}"])
def test_a_node_has_the_limit_that_it_names(tmp_path: Path, timeout: Any) -> None:
    write_yaml(tmp_path / "c.yaml", component("sleep 600", outputs={"out": {"type": "uri_folder"}}))
    slow = {"type": "command", "component": "c.yaml", "limits": {"timeout": timeout}}
    jobs = {
        "slow": slow,
        "needs": node("true", inputs={"d": "${{parent.jobs.slow.outputs.out}}"}),
        "other": node("sleep 1.2"),
    }
    path = write_pipeline(tmp_path, jobs, inputs={"seconds": 1})

    result = run_pipeline(path, run_folder=tmp_path / "run", max_parallel=2)

    assert {name: found.state.value for name, found in result.nodes.items()} == {
        "slow": "failed",
        "other": "completed",
        "needs": "skipped",
    }
    fault = result.nodes["slow"].fault
    assert fault is not None
    assert (fault.name, fault.code) == ("TimeLimitError", "P016")


@pytest.mark.parametrize("timeout", [0, -1, "soon", 1.5])
def test_a_limit_that_is_none_is_refused(tmp_path: Path, timeout: Any) -> None:
    path = write_pipeline(tmp_path, {"a": node("true", limits={"timeout": timeout})})

    with pytest.raises(DesignerError, match="timeout"):
        run_pipeline(path, run_folder=tmp_path / "run")


def test_a_limit_does_not_change_what_is_reused(tmp_path: Path) -> None:
    from pytorch_designer.harness.reuse.reuse_cache import ReuseCache

    cache = ReuseCache(tmp_path / "cache", 1 << 30)
    states = []
    for number, limits in enumerate(({}, {"timeout": 60})):
        path = write_pipeline(tmp_path, {"a": node("true", limits=limits)})
        states.append(run_pipeline(path, run_folder=tmp_path / str(number), cache=cache).nodes["a"].state.value)

    assert states == ["completed", "reused"]


def test_one_process_of_mpi_runs_and_sees_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "9")
    names = " ".join(f"$OMPI_COMM_WORLD_{name}" for name in ("SIZE", "RANK", "LOCAL_SIZE", "LOCAL_RANK"))
    jobs = {
        "mpi": node(f"echo {names}", distribution={"type": "mpi", "process_count_per_instance": 1}),
        "none": node("echo [$OMPI_COMM_WORLD_SIZE]"),
    }

    result = run_pipeline(write_pipeline(tmp_path, jobs), run_folder=tmp_path / "run")

    assert text_of(result.nodes["mpi"].log_files[0]) == "1 0 1 0\n"
    assert text_of(result.nodes["none"].log_files[0]) == "[]\n", "the caller's place is not the job's"
