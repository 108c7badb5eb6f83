"""Sweeps run to their end, as nodes and alone. Trials write their metrics as MLflow does, without its import."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.errors import DesignerError, InvalidSpecError
from pytorch_designer.harness.job.node import NodeState
from pytorch_designer.harness.job.run_store import open_run_store
from pytorch_designer.harness.lint.linter import lint
from pytorch_designer.harness.pipeline.pipeline_plan import plan_pipeline
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult
from pytorch_designer.harness.reuse.reuse_cache import open_cache
from pytorch_designer.harness.schema.pipeline_file import read_pipeline
from tests.harness.pipeline_files import ENVIRONMENT, FOLDER, make_folder, text_of, write_pipeline, write_yaml
from tests.waiting import killed_at_last, wait_until

TRIAL = """
import os, pathlib, sqlite3, sys, time

def log_metric(key, value):
    database = os.environ["MLFLOW_TRACKING_URI"].partition(":///")[2]
    with sqlite3.connect(database, timeout=30) as connection:
        connection.execute(
            "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, 0, 0)",
            (key, value, time.time_ns() // 1000000, os.environ["MLFLOW_RUN_ID"]),
        )
        connection.commit()
    time.sleep(0.002)

x, out = float(sys.argv[1]), sys.argv[2]
"""
GOOD = 'log_metric("score", 0.0)\nlog_metric("score", -abs(x - 3))\npathlib.Path(out, "x.txt").write_text(str(x))'
SPACE = {"x": {"type": "choice", "values": [1, 3, 4]}}


def _sweep(tmp_path: Path, body: str = GOOD, **keys: Any) -> dict[str, Any]:
    if not (tmp_path / "code").exists():
        make_folder(tmp_path / "code", **{"trial.py": TRIAL + body})
    trial = {
        "type": "command",
        "name": "trial",
        "code": "code",
        "environment": ENVIRONMENT,
        "command": "python trial.py ${{inputs.x}} ${{outputs.model}}",
        "inputs": {"x": {"type": "integer"}},
        "outputs": {"model": FOLDER},
    }
    return {
        "type": "sweep",
        "trial": trial,
        "sampling_algorithm": "grid",
        "search_space": SPACE,
        "objective": {"goal": "minimize", "primary_metric": "score"},
        "limits": {"max_total_trials": 10, "max_concurrent_trials": 2},
        **keys,
    }


def _run(tmp_path: Path, sweep: dict[str, Any], *, run: str = "run", **options: Any) -> PipelineResult:
    show = {
        "command": "cat ${{inputs.model}}/x.txt > ${{outputs.seen}}",
        "environment": ENVIRONMENT,
        "inputs": {"model": "${{parent.jobs.tune.outputs.model}}"},
        "outputs": {"seen": {"type": "uri_file"}},
    }
    path = write_pipeline(tmp_path, {"tune": sweep, "show": show})
    cache = open_cache(tmp_path / "kept", 1 << 30)
    return run_pipeline(path, run_folder=tmp_path / run, cache=cache, max_parallel=2, **options)


def _trials(result: PipelineResult, node: str = "tune") -> list[dict[str, Any]]:
    trials: list[dict[str, Any]] = json.loads(text_of(result.nodes[node].run_folder / "trials.json"))["trials"]
    return trials


def _states(result: PipelineResult) -> list[str]:
    return [trial["state"] for trial in _trials(result)]


@pytest.mark.slow
def test_the_best_trials_outputs_are_those_of_the_sweep(tmp_path: Path) -> None:
    result = _run(tmp_path, _sweep(tmp_path))

    assert result.has_succeeded
    assert text_of(result.nodes["show"].outputs["seen"]) == "1.0"  # the objective is -|x - 3|, to be minimized
    assert [(trial["values"], trial["objective"]) for trial in _trials(result)] == [
        ({"x": 1}, -2.0),
        ({"x": 3}, 0.0),
        ({"x": 4}, -1.0),
    ]
    log = text_of(result.nodes["tune"].log_files[0])
    assert "3 trials, at most 2 at a time, grid sampling, to minimize score" in log
    assert [line.split()[:3] for line in log.splitlines() if "  completed  " in line] == [
        ["0", "completed", "-2"],
        ["2", "completed", "-1"],
        ["1", "completed", "0"],
    ]


def test_the_best_of_the_values_of_a_trial_counts(tmp_path: Path) -> None:
    body = 'log_metric("score", x)\nlog_metric("score", 0.5)\nos.makedirs(out, exist_ok=True)'
    result = _run(tmp_path, _sweep(tmp_path, body, objective={"goal": "maximize", "primary_metric": "score"}))

    assert [trial["objective"] for trial in _trials(result)] == [1.0, 3.0, 4.0]
    assert [trial["history"] for trial in _trials(result)] == [[1.0, 0.5], [3.0, 0.5], [4.0, 0.5]]


@pytest.mark.slow
def test_trials_are_reused_with_their_metrics(tmp_path: Path) -> None:
    first = _run(tmp_path, _sweep(tmp_path))
    more = {"x": {"type": "choice", "values": [1, 3, 4, 9]}}
    second = _run(tmp_path, _sweep(tmp_path, search_space=more), run="second")

    assert _states(second) == ["reused", "reused", "reused", "completed"]
    assert [trial["history"] for trial in _trials(second)][:3] == [trial["history"] for trial in _trials(first)]
    assert text_of(second.nodes["show"].outputs["seen"]) == "9.0"
    third = _run(tmp_path, _sweep(tmp_path, search_space=more), run="third")
    assert third.nodes["show"].state is NodeState.REUSED


@pytest.mark.slow
def test_runs_in_mlflow_are_nested(tmp_path: Path) -> None:
    import sqlite3

    store = open_run_store(tmp_path / "mlflow.db")
    result = _run(tmp_path, _sweep(tmp_path), store=store)

    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        rows = connection.execute(
            "SELECT runs.name, runs.status, tags.value FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid"
            " WHERE tags.key = 'mlflow.parentRunId' ORDER BY runs.name"
        ).fetchall()
    sweep = result.nodes["tune"].run_id
    assert [row[:2] for row in rows] == [
        (name, "FINISHED") for name in ("show", "tune", "tune.trial_0", "tune.trial_1", "tune.trial_2")
    ]
    assert {row[2] for row in rows[2:]} == {sweep}
    assert not (result.nodes["tune"].run_folder / "mlflow.db").exists()


def test_a_page_shows_all_trials(tmp_path: Path) -> None:
    result = _run(tmp_path, _sweep(tmp_path))

    page = text_of(result.nodes["tune"].run_folder / "sweep.html")
    assert page.count("<polyline") == 3
    assert page.count("<script") == 0
    assert 'role="img"' in page
    assert "Trial 0: score = -2; x = 1" in page
    assert "prefers-color-scheme: dark" in page


def test_a_failed_trial_does_not_end_the_sweep(tmp_path: Path) -> None:
    body = f"if x == 1: sys.exit(7)\n{GOOD}"
    result = _run(tmp_path, _sweep(tmp_path, body))

    assert _states(result) == ["failed", "completed", "completed"]
    assert text_of(result.nodes["show"].outputs["seen"]) == "4.0"
    assert "exit code 7" in text_of(result.nodes["tune"].log_files[0])


def test_a_sweep_without_a_good_trial_fails(tmp_path: Path) -> None:
    result = _run(tmp_path, _sweep(tmp_path, "sys.exit(7)"))

    assert result.nodes["tune"].state is NodeState.FAILED
    assert "None of the 3 trials has succeeded" in str(result.nodes["tune"].error)
    assert result.nodes["show"].state is NodeState.SKIPPED


def test_a_metric_that_no_trial_logs_ends_the_sweep_at_once(tmp_path: Path) -> None:
    body = 'log_metric("accuracy", 1.0)\nos.makedirs(out, exist_ok=True)'
    limits = {"max_total_trials": 10, "max_concurrent_trials": 1}
    result = _run(tmp_path, _sweep(tmp_path, body, limits=limits))

    node = result.nodes["tune"]
    assert node.state is NodeState.FAILED
    assert node.fault is not None
    assert (node.fault.name, node.fault.reason) == (InvalidSpecError.__name__, "no_metric")
    assert "accuracy" in node.fault.advice
    assert len(_trials(result)) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "state"),
    [
        ({"early_termination": {"type": "bandit", "slack_amount": 0.5}}, "terminated"),
        ({"limits": {"max_total_trials": 3, "max_concurrent_trials": 1, "trial_timeout": 4}}, "timed out"),
    ],
)
def test_poor_and_slow_trials_are_ended(tmp_path: Path, keys: dict[str, Any], state: str) -> None:
    body = 'os.makedirs(out, exist_ok=True)\nlog_metric("score", x)\nif x > 1: time.sleep(600)'
    limits = {"max_total_trials": 3, "max_concurrent_trials": 1}
    result = _run(tmp_path, _sweep(tmp_path, body, **{"limits": limits, **keys}))

    assert _states(result) == ["completed", state, state]
    assert result.has_succeeded is False  # `show` needs x.txt, which these trials do not write
    assert result.nodes["tune"].state is NodeState.COMPLETED


@pytest.mark.slow
def test_the_time_of_the_whole_sweep_is_limited(tmp_path: Path) -> None:
    limits = {"max_total_trials": 3, "max_concurrent_trials": 1, "timeout": 4}
    result = _run(tmp_path, _sweep(tmp_path, "time.sleep(600)", limits=limits))

    fault = result.nodes["tune"].fault
    assert fault is not None
    assert fault.name == "TimeLimitError"
    assert _states(result) == ["canceled"]


@pytest.mark.slow
def test_a_sweep_job_that_stands_alone_is_a_pipeline_of_one_node(tmp_path: Path) -> None:
    sweep = _sweep(tmp_path)
    sweep["trial"] = {
        "code": "code",
        "command": "python trial.py ${{search_space.x}} ${{outputs.model}} ${{inputs.note}}",
        "environment": ENVIRONMENT,
    }
    path = write_yaml(tmp_path / "job.yaml", {**sweep, "inputs": {"note": "hi"}, "outputs": {"model": FOLDER}})

    result = run_pipeline(path, run_folder=tmp_path / "run", inputs={"note": "hello"})

    assert list(result.nodes) == ["sweep"]
    assert text_of(result.outputs["model"] / "x.txt") == "1.0"
    record = json.loads(text_of(result.nodes["sweep"].run_folder / "trials" / "trial_0" / "run.json"))
    assert record["inputs"]["note"] == "hello"


@pytest.mark.slow
@pytest.mark.usefixtures("azure_sdk")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("is_alone", [True, False])
def test_sweeps_of_the_sdk_run(tmp_path: Path, is_alone: bool) -> None:
    from azure.ai.ml import Input, Output, command, dsl
    from azure.ai.ml.sweep import Choice, GridSamplingAlgorithm

    make_folder(tmp_path / "code", **{"trial.py": TRIAL + GOOD})
    make_folder(tmp_path / "data", **{"a.txt": "a"})
    trial = command(
        code=str(tmp_path / "code"),
        command="python trial.py ${{inputs.x}} ${{outputs.model}} && ls ${{inputs.data}}/a.txt",
        environment=ENVIRONMENT,
        inputs={"x": Input(type="integer"), "data": Input(type="uri_folder")},
        outputs={"model": Output(type="uri_folder")},
    )
    options = {"primary_metric": "score", "goal": "Minimize", "sampling_algorithm": GridSamplingAlgorithm()}

    data = Input(type="uri_folder", path=str(tmp_path / "data"))

    @dsl.pipeline()
    def pipeline() -> Any:
        tune = trial(x=Choice([3, 4]), data=data).sweep(**options, max_total_trials=5)
        return {"model": tune.outputs.model}

    job = trial(x=Choice([3, 4]), data=data).sweep(**options, max_total_trials=5) if is_alone else pipeline()
    result = run_pipeline(job, run_folder=tmp_path / "run")

    assert result.has_succeeded, [node.error for node in result.nodes.values()]
    assert text_of(result.outputs["model"] / "x.txt") == "4.0"


def test_settings_may_be_bound_to_inputs_of_the_pipeline(tmp_path: Path) -> None:
    sweep = _sweep(tmp_path, limits={"max_total_trials": "${{parent.inputs.trials}}"})
    path = write_pipeline(tmp_path, {"tune": sweep}, inputs={"trials": 2})

    planned = plan_pipeline(read_pipeline(path), {"trials": 3}).nodes["tune"].sweep

    assert planned is not None
    assert planned.max_total_trials == 3
    assert [finding for finding in lint([path]).findings if finding.kind == "sweep-settings"] == []


def test_every_wrong_field_is_named_before_anything_starts(tmp_path: Path) -> None:
    sweep = _sweep(
        tmp_path,
        search_space={"x": {"type": "choice", "values": []}, "unused": {"type": "choice", "values": [1]}},
        objective={"goal": "minimise", "primary_metric": "m"},
        limits={},
    )
    path = write_pipeline(tmp_path, {"tune": sweep})

    with pytest.raises(DesignerError) as caught:
        plan_pipeline(read_pipeline(path))

    faults = caught.value.faults
    assert {fault.place.node for fault in faults} == {"tune"}
    assert all(fault.place.line for fault in faults)
    assert [fault.message for fault in faults if "x" in fault.place.keys] == ["The choice x has no values."]
    assert any("minimise" in fault.message for fault in faults)
    assert any("max_total_trials" in fault.message for fault in faults)


@pytest.mark.parametrize(
    ("command", "message"),
    [("echo ${{outputs.model}}", "does not use the hyperparameter x"), ("${{search_space.y}}", "no input 'y'")],
)
def test_the_trial_uses_what_is_searched(tmp_path: Path, command: str, message: str) -> None:
    sweep = _sweep(tmp_path)
    sweep["trial"]["command"] = command

    with pytest.raises(DesignerError, match=message):
        plan_pipeline(read_pipeline(write_pipeline(tmp_path, {"tune": sweep})))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc")
@pytest.mark.parametrize("kind", ["sweep", "parallel"])
def test_a_killed_harness_leaves_nothing_and_its_finished_trials_are_reused(tmp_path: Path, kind: str) -> None:
    pids = tmp_path / "pids"
    pids.mkdir()
    mark = f"pathlib.Path({str(pids)!r}, str(os.getpid())).touch()\n"
    body = f"{mark}if x == 4 and not os.path.exists({str(tmp_path / 'second')!r}): time.sleep(60)\n{GOOD}"
    limits = {"max_total_trials": 3, "max_concurrent_trials": 1}
    node = _sweep(tmp_path, body, limits=limits)
    if kind == "parallel":
        make_folder(tmp_path / "data", **{"a.txt": "a", "b.txt": "b"})
        script = f"import os, pathlib, time\ndef run(batch):\n    {mark}    time.sleep(60)\n    return batch\n"
        make_folder(tmp_path / "workers", **{"score.py": script})
        node = {
            "type": "parallel",
            "inputs": {"data": {**FOLDER, "path": "data"}},
            "input_data": "${{inputs.data}}",
            "max_concurrency_per_instance": 2,
            "task": {"type": "run_function", "code": "workers", "entry_script": "score.py"},
        }
    path = write_pipeline(tmp_path, {"tune": node})
    command = [sys.executable, "-m", "pytorch_designer", "run", str(path), "--run-folder", str(tmp_path / "run")]
    with killed_at_last(subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL)) as harness:
        expected = 3 if kind == "sweep" else min(2, len(os.sched_getaffinity(0)))
        wait_until(lambda: len(list(pids.iterdir())) == expected)
        harness.send_signal(signal.SIGKILL)
    wait_until(lambda: not any(Path("/proc", pid.name).exists() for pid in pids.iterdir()))

    if kind == "sweep":
        (tmp_path / "second").touch()
        subprocess.run(command, cwd=tmp_path, stdout=subprocess.DEVNULL, check=True, timeout=300)
        states = [trial["state"] for trial in json.loads(text_of(tmp_path / "run/nodes/tune/trials.json"))["trials"]]
        assert states == ["reused", "reused", "completed"]
