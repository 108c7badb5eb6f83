"""Requests to a run that goes on: the end of one node, or of all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.errors import InterruptedRunError, UnknownNameError
from pytorch_designer.harness.job.node import NodeState
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult
from pytorch_designer.harness.pipeline.run_requests import cancel_node, cancel_run
from tests.harness.pipeline_files import node, write_pipeline
from tests.waiting import wait_until

OUT = {"out": None}


def _needs(name: str) -> dict[str, str]:
    return {"d": f"${{{{parent.jobs.{name}.outputs.out}}}}"}


def _run_while(folder: Path, jobs: dict[str, Any], ask: Callable[[], object]) -> PipelineResult:
    """Run a pipeline, and call `ask` when the file `started` is there."""

    def wait_and_ask() -> None:
        wait_until((folder / "started").exists)
        ask()

    thread = threading.Thread(target=wait_and_ask)
    thread.start()
    try:
        return run_pipeline(write_pipeline(folder, jobs), run_folder=folder / "run", grace_seconds=1, max_parallel=2)
    finally:
        thread.join(120)


def _run_and_cancel(folder: Path, jobs: dict[str, Any], name: str) -> PipelineResult:
    """Run a pipeline, and cancel a node when the file `started` is there; then there is a file `asked`."""
    asked: list[bool] = []

    def ask() -> None:
        asked.append(cancel_node(folder / "run", name))
        (folder / "asked").touch()

    result = _run_while(folder, jobs, ask)
    assert asked == [True]
    return result


def test_one_node_is_canceled_with_what_needs_it_and_the_others_go_on(tmp_path: Path) -> None:
    jobs = {
        "long": node(f"touch {tmp_path}/started; sleep 600", outputs=OUT),
        "later": node("true", inputs=_needs("long"), outputs=OUT),
        "last": node("true", inputs=_needs("later")),
        "other": node(f"until [ -e {tmp_path}/asked ]; do sleep 0.02; done", outputs=OUT),
        "after_other": node("true", inputs=_needs("other")),
    }

    result = _run_and_cancel(tmp_path, jobs, "long")

    assert {name: found.state.value for name, found in result.nodes.items()} == {
        "long": "canceled",
        "other": "completed",
        "later": "canceled",
        "last": "canceled",
        "after_other": "completed",
    }
    assert (result.state, result.exit_code) == ("canceled", 1)
    assert result.nodes["long"].error == "It was canceled."
    assert result.nodes["later"].error == "It needs long."
    assert not cancel_node(tmp_path / "run", "long"), "the run has ended"


def test_a_node_that_waits_is_not_started(tmp_path: Path) -> None:
    jobs = {
        "first": node(f"touch {tmp_path}/started; until [ -e {tmp_path}/asked ]; do sleep 0.02; done", outputs=OUT),
        "second": node(f"touch {tmp_path}/second", inputs=_needs("first")),
    }

    result = _run_and_cancel(tmp_path, jobs, "second")

    assert [node.state for node in result.nodes.values()] == [NodeState.COMPLETED, NodeState.CANCELED]
    assert not (tmp_path / "second").exists()


def test_a_run_is_canceled_from_outside(tmp_path: Path) -> None:
    jobs = {"long": node(f"touch {tmp_path}/started; sleep 600")}

    with pytest.raises(InterruptedRunError):
        _run_while(tmp_path, jobs, lambda: cancel_run(tmp_path / "run"))

    assert not cancel_run(tmp_path / "run")
    run_pipeline(write_pipeline(tmp_path, {"a": node("true")}), run_folder=tmp_path / "run")  # nothing is left over


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="no run of a pipeline"):
        cancel_run(tmp_path)
    run_pipeline(write_pipeline(tmp_path, {"a": node("true")}), run_folder=tmp_path / "run")
    with pytest.raises(UnknownNameError, match="no node 'b'"):
        cancel_node(tmp_path / "run", "b")
