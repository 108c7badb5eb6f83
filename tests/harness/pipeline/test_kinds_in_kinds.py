"""Node kinds within one another: what runs, and what is refused by name before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.errors import UnsupportedLocallyError
from pytorch_designer.harness.lint.linter import lint
from pytorch_designer.harness.pipeline.pipeline_plan import plan_pipeline
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.schema.pipeline_file import read_pipeline
from tests.harness.pipeline_files import ENVIRONMENT, make_folder, node, write_pipeline, write_yaml
from tests.harness.sweep.test_sweep_run import TRIAL

PORTS = {"next": {"type": "integer"}, "again": {"type": "boolean"}}
COUNT = (
    "echo $(( ${{inputs.x}} + 1 )) > ${{outputs.next}};"
    " if [ ${{inputs.x}} -lt 1 ]; then echo True; else echo False; fi > ${{outputs.again}}"
)
STEP = {
    "type": "command",
    "name": "step",
    "environment": ENVIRONMENT,
    "command": COUNT,
    "inputs": {"x": {"type": "integer"}},
    "outputs": PORTS,
}
SWEEP = {
    "type": "sweep",
    "trial": {
        **STEP,
        "name": "trial",
        "code": "code",
        "command": f"python trial.py ${{{{inputs.y}}}} .; {COUNT}",
        "inputs": {"x": {"type": "integer"}, "y": {"type": "integer"}},
    },
    "sampling_algorithm": "grid",
    "search_space": {"y": {"type": "choice", "values": [1, 3]}},
    "objective": {"goal": "maximize", "primary_metric": "score"},
    "limits": {"max_total_trials": 2},
}
PARALLEL = {
    "type": "parallel",
    "inputs": {"data": {"type": "uri_folder", "path": "data"}},
    "outputs": {"lines": {"type": "uri_file"}},
    "input_data": "${{inputs.data}}",
    "mini_batch_size": "1",
    "task": {
        "type": "run_function",
        "code": "code",
        "entry_script": "score.py",
        "environment": ENVIRONMENT,
        "append_row_to": "${{outputs.lines}}",
    },
}


def _loop(body: str, *, has_condition: bool = True) -> dict[str, Any]:
    loop: dict[str, Any] = {
        "type": "do_while",
        "body": f"${{{{parent.jobs.{body}}}}}",
        "limits": {"max_iteration_count": 2 if not has_condition else 5},
    }
    if has_condition:
        loop["condition"] = f"${{{{parent.jobs.{body}.outputs.again}}}}"
        loop["mapping"] = {f"${{{{parent.jobs.{body}.outputs.next}}}}": f"${{{{parent.jobs.{body}.inputs.x}}}}"}
    return loop


def _nested(tmp_path: Path, jobs: dict[str, Any], *, has_ports: bool) -> dict[str, Any]:
    """A node that is a pipeline of `jobs`; with ports it hands out what one of them has counted."""
    outputs = PORTS if has_ports else {}
    write_yaml(
        tmp_path / "nested.yaml",
        {
            "$schema": "https://azuremlschemas.azureedge.net/latest/pipelineComponent.schema.json",
            "type": "pipeline",
            "name": "nested",
            "inputs": {"x": {"type": "integer"}},
            "outputs": outputs,
            "jobs": jobs,
        },
    )
    return {"component": "nested.yaml", "inputs": {"x": 0}}


def _of_parent(job: dict[str, Any]) -> dict[str, Any]:
    return {
        **job,
        "inputs": {"x": "${{parent.inputs.x}}"},
        "outputs": {name: f"${{{{parent.outputs.{name}}}}}" for name in PORTS},
    }


def _decide(value: str, true_block: str) -> dict[str, Any]:
    check = node(f"echo {value} > ${{{{outputs.ok}}}}") | {"outputs": {"ok": {"type": "boolean"}}}
    decide = {
        "type": "if_else",
        "condition": "${{parent.jobs.check.outputs.ok}}",
        "true_block": f"${{{{parent.jobs.{true_block}}}}}",
    }
    return {"check": check, "decide": decide}


def _jobs(tmp_path: Path, name: str) -> dict[str, Any]:
    step: dict[str, Any] = {"component": STEP, "inputs": {"x": 0}}
    sweep = {**SWEEP, "inputs": {"x": 0}}
    loop = _loop("body")
    inner = {
        "sweep in a pipeline in a loop": {"inner": _of_parent(SWEEP)},
        "loop in a pipeline in if_else": {"s": step, "l": _loop("s")},
        "if_else in a loop": {
            **_decide("False", "other"),
            "other": node("false"),
            "inner": _of_parent({"component": STEP}),
        },
        "loop in a loop": {"s": _of_parent({"component": STEP}), "l": _loop("s")},
    }.get(name)
    has_ports = name.endswith("loop")
    nested = {} if inner is None else {"body": _nested(tmp_path, inner, has_ports=has_ports)}
    jobs: dict[str, dict[str, Any]] = {
        "sweep in a loop": {"body": sweep, "loop": loop},
        "parallel in a loop": {"body": PARALLEL, "loop": _loop("body", has_condition=False)},
        "loop in if_else": {**_decide("True", "loop"), "body": step, "loop": loop},
        "loop in if_else that is not chosen": {**_decide("False", "loop"), "body": step, "loop": loop},
        "loop in a pipeline in if_else": {**_decide("True", "body"), **nested},
        "sweep in if_else": {**_decide("True", "body"), "body": sweep},
    }
    return jobs.get(name, {**nested, "loop": loop})


RUNS = {
    "sweep in a loop": ("body", "completed", 2),
    "sweep in a pipeline in a loop": ("body.inner", "completed", 2),
    "parallel in a loop": ("body", "completed", 2),
    "loop in if_else": ("body", "completed", 2),
    "loop in if_else that is not chosen": ("body", "bypassed", 0),
    "loop in a pipeline in if_else": ("body.s", "completed", 2),
    "sweep in if_else": ("body", "completed", 1),
    "if_else in a loop": ("body.inner", "completed", 2),
}


@pytest.fixture
def _code(tmp_path: Path) -> None:
    score = "def init(): pass\n\ndef run(batch): return [len(batch)]\n"
    make_folder(tmp_path / "code", **{"trial.py": TRIAL + "log_metric('score', x)", "score.py": score})
    make_folder(tmp_path / "data", a="a", b="b")


@pytest.mark.usefixtures("_code")
@pytest.mark.parametrize("name", RUNS)
def test_kinds_run_within_others(tmp_path: Path, name: str) -> None:
    path = write_pipeline(tmp_path, _jobs(tmp_path, name))
    job, state, rounds = RUNS[name]

    assert lint([path]).num_errors == 0
    result = run_pipeline(path, run_folder=tmp_path / "run")

    assert result.has_succeeded, {item.name: item.error for item in result.nodes.values()}
    assert result.nodes[job].state.value == state
    folders = [folder for folder in (tmp_path / "run" / "nodes").glob(f"{job}*") if folder.is_dir()]
    assert len(folders) == rounds, folders


@pytest.mark.usefixtures("_code")
def test_a_loop_in_a_loop_is_refused_by_name_everywhere(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, _jobs(tmp_path, "loop in a loop"))

    with pytest.raises(UnsupportedLocallyError, match="The body of loop has a loop in it, l, which"):
        plan_pipeline(read_pipeline(path))
    with pytest.raises(UnsupportedLocallyError, match="The body of loop has a loop in it, l, which"):
        run_pipeline(path, run_folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()
