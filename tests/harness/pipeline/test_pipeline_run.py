"""Pipelines of real processes."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytorch_designer.errors import (
    DesignerError,
    FailedToWriteOutputsError,
    InputChangedError,
    InterruptedRunError,
    UnknownNameError,
)
from pytorch_designer.harness.job.node import NodeState
from pytorch_designer.harness.job.run_store import open_run_store
from pytorch_designer.harness.pipeline import pipeline_run
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.system.stop_requests import StopRequest
from tests.harness.pipeline_files import FOLDER, make_folder, node, text_of, write_pipeline
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pytorch_designer.harness.job.node import NodeResult
    from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult

OUT = {"out": None}
MEET = "touch {top}/{me}; for i in $(seq 500); do [ -e {top}/{other} ] && exit 0; sleep 0.02; done; exit 1"


def _run(folder: Path, jobs: dict[str, Any], keys: dict[str, Any] | None = None, **options: Any) -> PipelineResult:
    return run_pipeline(write_pipeline(folder, jobs, **(keys or {})), run_folder=folder / "run", **options)


def _states(result: PipelineResult) -> dict[str, str]:
    return {name: found.state.value for name, found in result.nodes.items()}


def _state_file(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(text_of(folder / "run" / "pipeline.json"))
    return state


def _needs(name: str) -> dict[str, str]:
    return {"d": f"${{{{parent.jobs.{name}.outputs.out}}}}"}


def test_data_flows_from_node_to_node_and_out(tmp_path: Path) -> None:
    make_folder(tmp_path / "data", a="start")
    jobs = {
        "second": node(
            "cat ${{inputs.d}}/x > ${{outputs.out}}/y; echo ' end' >> ${{outputs.out}}/y",
            inputs=_needs("first"),
            outputs={"out": "${{parent.outputs.result}}"},
        ),
        "first": node("cp ${{inputs.d}}/a ${{outputs.out}}/x", inputs={"d": "${{parent.inputs.data}}"}, outputs=OUT),
    }
    ports = {"inputs": {"data": {**FOLDER, "path": "data"}}, "outputs": {"result": FOLDER}}

    result = _run(tmp_path, jobs, ports)

    assert (result.state, result.exit_code) == ("completed", 0)
    assert result.outputs == {"result": tmp_path / "run" / "named-outputs" / "result"}
    assert text_of(result.outputs["result"] / "y") == "start end\n"
    assert result.nodes["first"].outputs == {"out": tmp_path / "run" / "nodes" / "first" / "named-outputs" / "out"}


def test_outputs_go_where_the_caller_or_the_file_says(tmp_path: Path) -> None:
    jobs = {
        name: node("touch ${{outputs.out}}/x", outputs={"out": f"${{{{parent.outputs.{name}}}}}"}) for name in "abc"
    }
    outputs = {"a": FOLDER, "b": {**FOLDER, "path": "of_file"}, "c": {**FOLDER, "path": "not_used"}}

    result = _run(tmp_path, jobs, {"outputs": outputs}, outputs={"c": tmp_path / "of_caller"})

    assert {name: path.name for name, path in result.outputs.items()} == {"a": "a", "b": "of_file", "c": "of_caller"}
    assert all((path / "x").exists() for path in result.outputs.values())


def test_a_single_file_is_handed_on(tmp_path: Path) -> None:
    file = {"type": "uri_file"}
    jobs = {
        "a": node("echo text > ${{outputs.out}}", outputs={"out": file}),
        "b": node("cat ${{inputs.d}}", inputs=_needs("a")),
    }

    result = _run(tmp_path, jobs)

    assert text_of(result.nodes["b"].log_files[0]) == "text\n"


def test_a_part_of_an_output_can_be_handed_on(tmp_path: Path) -> None:
    jobs = {
        "a": node("mkdir ${{outputs.out}}/part; echo text > ${{outputs.out}}/part/x", outputs=OUT),
        "b": node("cat ${{inputs.d}}/x", inputs={"d": "${{parent.jobs.a.outputs.out}}/part"}),
        "c": node("true", inputs={"d": "${{parent.jobs.a.outputs.out}}/missing"}),
    }

    result = _run(tmp_path, jobs)

    assert text_of(result.nodes["b"].log_files[0]) == "text\n"
    assert result.nodes["c"].state is NodeState.FAILED
    assert "missing" in (result.nodes["c"].error or "")


def test_nodes_see_the_run_of_the_pipeline_as_their_root(tmp_path: Path) -> None:
    result = _run(tmp_path, {"n": node("echo $AZUREML_ROOT_RUN_ID $AZUREML_RUN_ID")})

    assert text_of(result.nodes["n"].log_files[0]).split() == [result.run_id, result.nodes["n"].run_id]


def test_nodes_that_do_not_need_each_other_run_at_the_same_time(tmp_path: Path) -> None:
    jobs = {
        "a": node(MEET.format(top=tmp_path, me="a", other="b")),
        "b": node(MEET.format(top=tmp_path, me="b", other="a")),
    }

    assert _run(tmp_path, jobs, max_parallel=2).has_succeeded


def test_no_more_processes_run_at_a_time_than_allowed(tmp_path: Path) -> None:
    command = f"mkdir {tmp_path}/busy || exit 1; sleep 0.05; rmdir {tmp_path}/busy"

    assert _run(tmp_path, {name: node(command) for name in "abcd"}, max_parallel=1).has_succeeded


def test_a_node_counts_as_many_as_its_processes(tmp_path: Path) -> None:
    command = f"[ $RANK = 1 ] || {{ mkdir {tmp_path}/busy || exit 1; sleep 0.05; rmdir {tmp_path}/busy; }}"
    two = {"type": "pytorch", "process_count_per_instance": 2}

    assert _run(tmp_path, {name: node(command, distribution=two) for name in "abc"}, max_parallel=3).has_succeeded


def test_nodes_wait_for_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_run, "MIN_FREE_BYTES", 1 << 60)
    command = f"mkdir {tmp_path}/busy || exit 1; sleep 0.05; rmdir {tmp_path}/busy"

    assert _run(tmp_path, {name: node(command) for name in "abc"}, max_parallel=3).has_succeeded


def test_a_failure_stops_what_needs_it_and_nothing_else(tmp_path: Path) -> None:
    jobs = {
        "bad": node("echo oh; exit 7", outputs=OUT),
        "needs": node("true", inputs=_needs("bad"), outputs=OUT),
        "needs_that": node("true", inputs=_needs("needs")),
        "good": node("sleep 0.2", outputs=OUT),
        "after_good": node("true", inputs=_needs("good")),
    }

    result = _run(tmp_path, jobs)

    assert _states(result) == {
        "bad": "failed",
        "needs": "skipped",
        "needs_that": "skipped",
        "good": "completed",
        "after_good": "completed",
    }
    assert (result.state, result.exit_code, result.nodes["bad"].exit_code) == ("failed", 1, 7)
    assert result.nodes["needs_that"].error == "It needs needs."
    state = _state_file(tmp_path)
    assert (state["state"], {name: found["state"] for name, found in state["nodes"].items()}) == (
        "failed",
        _states(result),
    )


def test_a_failure_stops_everything_where_the_pipeline_says_so(tmp_path: Path) -> None:
    jobs = {
        "bad": node(f"until [ -e {tmp_path}/started ]; do sleep 0.02; done; exit 7"),
        "long": node(f"touch {tmp_path}/started; sleep 600", outputs=OUT),
        "later": node("true", inputs=_needs("long")),
    }

    result = _run(tmp_path, jobs, {"settings": {"continue_on_step_failure": False}}, max_parallel=2, grace_seconds=1)

    assert _states(result) == {"bad": "failed", "long": "canceled", "later": "canceled"}
    assert result.seconds is not None
    assert result.seconds < 300


def test_a_named_error_of_a_job_fails_its_node(tmp_path: Path) -> None:
    make_folder(tmp_path / "data", a="x")
    jobs = {"n": node("touch ${{inputs.d}}/b", inputs={"d": {**FOLDER, "path": "data"}}), "m": node("true")}

    result = _run(tmp_path, jobs)

    assert _states(result) == {"n": "failed", "m": "completed"}
    assert InputChangedError.__name__ in (result.nodes["n"].error or "")


def test_nothing_is_written_when_the_pipeline_is_wrong(tmp_path: Path) -> None:
    jobs = {"a": node(f"touch {tmp_path}/started"), "b": node("true", inputs={"x": "${{parent.jobs.c.outputs.o}}"})}

    with pytest.raises(DesignerError, match="no node c"):
        _run(tmp_path, jobs, store=open_run_store(tmp_path / "mlflow.db"))

    assert not any((tmp_path / name).exists() for name in ("started", "run"))


def test_an_output_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="gone"):
        _run(tmp_path, {"a": node("true")}, outputs={"gone": tmp_path})


def test_outputs_that_share_a_folder_are_refused(tmp_path: Path) -> None:
    jobs = {name: node("true", outputs={"out": f"${{{{parent.outputs.{name}}}}}"}) for name in "ab"}

    with pytest.raises(FailedToWriteOutputsError, match="share a folder"):
        _run(tmp_path, jobs, {"outputs": {"a": FOLDER, "b": FOLDER}}, outputs={"a": "x", "b": "x/y"})

    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_not_a_runs_is_left_alone(tmp_path: Path) -> None:
    make_folder(tmp_path / "run", precious="x")

    with pytest.raises(FailedToWriteOutputsError, match="not empty"):
        _run(tmp_path, {"a": node("true")})

    assert [path.name for path in (tmp_path / "run").iterdir()] == ["precious"]


def test_a_second_run_is_kept_out_of_the_folder(tmp_path: Path) -> None:
    refused: list[str] = []

    class SecondRun:
        def node_changed(self, node: NodeResult) -> None:
            if node.state is NodeState.RUNNING:
                with pytest.raises(FailedToWriteOutputsError) as caught:
                    run_pipeline(tmp_path / "pipeline.yaml", run_folder=tmp_path / "run")
                refused.append(caught.value.what)

        def line_written(self, node: str, rank: int, line: str) -> None:
            pass

    assert _run(tmp_path, {"a": node("true")}, view=SecondRun()).has_succeeded
    assert refused == ["Another run of a pipeline uses this run folder."]
    assert _run(tmp_path, {"a": node("true")}).has_succeeded


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_a_stop_ends_all_children_and_leaves_a_readable_state(tmp_path: Path) -> None:
    jobs = {
        **{name: node(f"echo $$ > {tmp_path}/{name}; sleep 60", outputs=OUT) for name in "ab"},
        "c": node("true", inputs=_needs("a")),
    }
    stop = StopRequest()

    def ask_when_started() -> None:
        wait_until(lambda: all((tmp_path / name).exists() and text_of(tmp_path / name) for name in "ab"))
        stop.request()

    thread = threading.Thread(target=ask_when_started)
    thread.start()
    with pytest.raises(InterruptedRunError):
        _run(tmp_path, jobs, max_parallel=2, stop=stop, grace_seconds=1)
    thread.join(120)

    for name in "ab":
        with pytest.raises(ProcessLookupError):
            os.kill(int(text_of(tmp_path / name)), 0)
    state = _state_file(tmp_path)
    assert state["state"] == "canceled"
    assert {name: found["state"] for name, found in state["nodes"].items()} == dict.fromkeys("abc", "canceled")


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_who_asks_twice_need_not_wait(tmp_path: Path) -> None:
    stop = StopRequest()

    def ask_twice() -> None:
        wait_until((tmp_path / "started").exists)
        stop.request()
        stop.request()

    thread = threading.Thread(target=ask_twice)
    thread.start()
    started = time.monotonic()
    with pytest.raises(InterruptedRunError):
        _run(tmp_path, {"a": node(f"trap '' TERM; touch {tmp_path}/started; sleep 600")}, stop=stop, grace_seconds=600)
    thread.join(120)

    assert time.monotonic() - started < 300


def test_what_happens_is_told_as_it_happens(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    class View:
        def node_changed(self, node: NodeResult) -> None:
            seen.append((node.name, node.state.value))

        def line_written(self, node: str, rank: int, line: str) -> None:
            seen.append((node, line))

    jobs = {"a": node("echo hello", outputs=OUT), "b": node("exit 1", inputs=_needs("a"))}

    _run(tmp_path, jobs, view=View())

    assert seen == [("a", "running"), ("a", "hello"), ("a", "completed"), ("b", "running"), ("b", "failed")]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # SQLAlchemy's, of what MLflow does
def test_each_node_is_a_run_below_that_of_the_pipeline(tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    program = "import mlflow; mlflow.log_metric('m', 0.5, step=2); mlflow.log_param('p', 'v')"
    jobs = {"good": node(f'python -c "{program}"'), "bad": node("exit 3"), "lost": node("true", inputs=_needs("bad"))}
    jobs["bad"]["outputs"] = OUT
    store = open_run_store(tmp_path / "mlflow.db", "flowers")

    result = _run(tmp_path, jobs, {"display_name": "Train"}, store=store)

    client = mlflow.MlflowClient(tracking_uri=store.tracking_uri)
    runs = {run.info.run_name: run for run in client.search_runs([str(store.experiment_id)])}
    assert {name: run.info.status for name, run in runs.items()} == {
        "Train": "FAILED",
        "good": "FINISHED",
        "bad": "FAILED",
    }
    assert runs["Train"].info.run_id == result.run_id
    assert {runs[name].data.tags["mlflow.parentRunId"] for name in ("good", "bad")} == {result.run_id}
    assert (runs["good"].data.metrics, runs["good"].data.params) == ({"m": 0.5}, {"p": "v"})
