"""Runs read back from their folders: while they go on, after their end, and after a kill of the harness."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytorch_designer.errors import UnknownNameError
from pytorch_designer.harness.job.node import NodeFault
from pytorch_designer.harness.pipeline.event_log import EventReader
from pytorch_designer.harness.pipeline.pipeline_reading import read_result
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from tests.harness.pipeline_files import FOLDER, make_folder, node, text_of, write_pipeline
from tests.waiting import killed_at_last, wait_until

OUT = {"out": None}


def test_a_run_is_read_back_as_it_was_returned(tmp_path: Path) -> None:
    make_folder(tmp_path / "data", a="x")
    error = {"name": "BadError", "code": "9", "what": "No.", "where": "x", "advice": "Do.", "examples": ["e"]}
    report = f"mkdir -p outputs; echo '{json.dumps(error)}' > outputs/error_info.json; exit 1"
    jobs = {
        "a": node("true", inputs={"d": "${{parent.inputs.data}}"}, outputs={"o": "${{parent.outputs.result}}"}),
        "bad": node(report),
        "writes": node("touch ${{inputs.d}}/b", inputs={"d": "${{parent.inputs.data}}"}),
    }
    ports = {"inputs": {"data": {**FOLDER, "path": "data"}}, "outputs": {"result": FOLDER}}

    path = write_pipeline(tmp_path, jobs, **ports)
    result = run_pipeline(path, run_folder=tmp_path / "run", max_parallel=1)

    assert read_result(tmp_path / "run") == result
    assert result.inputs == {"data": str(tmp_path / "data")}
    assert result.nodes["bad"].fault == NodeFault("BadError", "No.", "9", "x", "Do.", ("e",))
    assert result.nodes["writes"].fault is not None
    assert (result.nodes["writes"].fault.name, result.nodes["writes"].fault.code) == ("InputChangedError", "P006")
    assert text_of(tmp_path / "run" / "pipeline.source.yaml") == text_of(path)


@pytest.mark.parametrize("content", ["[]", '{"name": "x"}', "x", '{"name": "x", "what": "y", "examples": 3}'])
def test_another_programs_error_file_is_no_fault(tmp_path: Path, content: str) -> None:
    jobs = {"a": node(f"mkdir -p outputs; echo '{content}' > outputs/error_info.json; exit 1")}

    assert run_pipeline(write_pipeline(tmp_path, jobs), run_folder=tmp_path / "run").nodes["a"].fault is None


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_a_killed_harness_leaves_a_truthful_state_that_the_next_run_continues(tmp_path: Path) -> None:
    jobs = {
        "first": node("true", outputs=OUT),
        "second": node(f"touch {tmp_path}/started; sleep 60", inputs={"d": "${{parent.jobs.first.outputs.out}}"}),
        "third": node("true", inputs={"d": "${{parent.jobs.first.outputs.out}}"}),
    }
    path, run_folder = write_pipeline(tmp_path, jobs), tmp_path / "run"
    program = "import sys; from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline; run_pipeline"
    command = [sys.executable, "-c", f"{program}({str(path)!r}, run_folder='run', max_parallel=1)"]
    with killed_at_last(subprocess.Popen(command)):
        wait_until((tmp_path / "started").exists)
        assert read_result(run_folder).state == "running"
    result = read_result(run_folder)

    assert result.state == "interrupted"
    assert {name: found.state.value for name, found in result.nodes.items()} == {
        "first": "completed",
        "second": "interrupted",
        "third": "canceled",
    }
    assert "before this node started" in (result.nodes["third"].error or "")
    events = list(EventReader(run_folder).read())
    assert events[-1].kind in {"node_changed", "node_sampled"}, "nobody wrote an end"
    last = {event.fields["node"]: event.fields["state"] for event in events if event.kind == "node_changed"}
    assert last == {"first": "completed", "second": "running"}

    jobs["second"]["command"] = "true"
    run_pipeline(write_pipeline(tmp_path, jobs), run_folder=run_folder)
    assert read_result(run_folder).state == "completed"
    numbers = [event.number for event in EventReader(run_folder).read()]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"nodes": 3}', "{" * 5000])
def test_a_state_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "pipeline.json").write_text(content, encoding="utf-8")

    with pytest.raises(UnknownNameError) as caught:
        read_result(tmp_path)

    assert caught.value.where is not None
    assert str(tmp_path) in caught.value.where
