"""`if_else`: which nodes run, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.errors import DesignerError
from pytorch_designer.harness.pipeline.pipeline_plan import plan_pipeline
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.schema.pipeline_file import read_pipeline
from tests.harness.pipeline_files import FOLDER, component, node, write_pipeline, write_yaml

CHECK = node("echo ${{inputs.value}} > ${{outputs.is_good}}", inputs={"value": "${{parent.inputs.value}}"})
CHECK["outputs"] = {"is_good": {"type": "boolean", "is_control": True}}
CONDITION = "${{parent.jobs.check.outputs.is_good}}"
IF = {
    "type": "if_else",
    "condition": CONDITION,
    "true_block": "${{parent.jobs.yes}}",
    "false_block": ["${{parent.jobs.no}}"],
}


def _run(tmp_path: Path, jobs: dict[str, Any], value: object = "True") -> dict[str, str]:
    path = write_pipeline(tmp_path, jobs, inputs={"value": str(value)})
    result = run_pipeline(path, run_folder=tmp_path / f"run-{value}")
    assert result.has_succeeded
    return {name: found.state.value for name, found in result.nodes.items()}


@pytest.mark.parametrize(("value", "runs", "rests"), [("True", "yes", "no"), ("false", "no", "yes")])
def test_a_value_decides_which_block_runs(tmp_path: Path, value: str, runs: str, rests: str) -> None:
    jobs = {"check": CHECK, "decide": IF, "yes": node("true"), "no": node("true")}

    states = _run(tmp_path, jobs, value)

    assert states == {"check": "completed", runs: "completed", rests: "bypassed"}


def test_what_needs_a_bypassed_node_is_bypassed_too(tmp_path: Path) -> None:
    make = node("mkdir -p ${{outputs.d}}", outputs={"d": FOLDER})
    use = node("ls ${{inputs.d}}", inputs={"d": "${{parent.jobs.no.outputs.d}}"})

    states = _run(tmp_path, {"check": CHECK, "decide": IF, "yes": node("true"), "no": make, "after": use})

    assert states["after"] == "bypassed"


def test_all_nodes_of_a_nested_pipeline_are_decided_about(tmp_path: Path) -> None:
    inner = {"type": "pipeline", "name": "inner", "jobs": {"a": node("true"), "b": node("true")}}
    write_yaml(tmp_path / "inner.yaml", inner)
    jobs = {"check": CHECK, "decide": IF, "yes": {"component": "inner.yaml"}, "no": node("true")}

    states = _run(tmp_path, jobs, "False")

    assert states == {"check": "completed", "yes.a": "bypassed", "yes.b": "bypassed", "no": "completed"}


def test_conditions_may_be_nested(tmp_path: Path) -> None:
    jobs = {
        "check": CHECK,
        "outer": {**IF, "true_block": "${{parent.jobs.inner}}", "false_block": "${{parent.jobs.no}}"},
        "inner": {
            "type": "if_else",
            "condition": False,
            "true_block": "${{parent.jobs.a}}",
            "false_block": "${{parent.jobs.b}}",
        },
        "a": node("true"),
        "b": node("true"),
        "no": node("true"),
    }

    assert _run(tmp_path, jobs, "True") == {
        "check": "completed",
        "a": "bypassed",
        "b": "completed",
        "no": "bypassed",
    }
    assert _run(tmp_path, jobs, "False")["b"] == "bypassed"


def test_an_input_of_the_pipeline_decides_too(tmp_path: Path) -> None:
    jobs = {"decide": {**IF, "condition": "${{parent.inputs.value}}"}, "yes": node("true"), "no": node("true")}

    assert _run(tmp_path, jobs, "True") == {"yes": "completed", "no": "bypassed"}


def test_a_value_that_was_not_written_fails_its_node(tmp_path: Path) -> None:
    path = write_pipeline(
        tmp_path, {"check": CHECK, "decide": IF, "yes": node("true"), "no": node("true")}, inputs={"value": "perhaps"}
    )

    result = run_pipeline(path, run_folder=tmp_path / "run")

    assert {name: found.state.value for name, found in result.nodes.items()} == {
        "check": "failed",
        "yes": "skipped",
        "no": "skipped",
    }


@pytest.mark.usefixtures("azure_sdk")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_conditions_of_the_sdk_are_read(tmp_path: Path) -> None:
    from azure.ai.ml import command, dsl, load_component
    from azure.ai.ml.dsl._condition import condition

    outputs = {"good": {"type": "boolean", "is_control": True}}
    check = load_component(
        write_yaml(tmp_path / "c.yaml", component("echo False > ${{outputs.good}}", outputs=outputs))
    )
    step = command(command="true", environment="azureml:e:1")

    @dsl.pipeline()
    def pipeline() -> None:
        checked = check()
        yes, no = step(), step()
        yes.name, no.name = "yes", "no"
        condition(condition=checked.outputs.good, true_block=yes, false_block=no)

    result = run_pipeline(pipeline(), run_folder=tmp_path / "run")

    assert {name: found.state.value for name, found in result.nodes.items()} == {
        "checked": "completed",
        "yes": "bypassed",
        "no": "completed",
    }


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"condition": None}, "has no condition"),
        ({"condition": "maybe"}, "must be a binding"),
        ({"condition": "${{parent.jobs.gone.outputs.x}}"}, "no node gone"),
        ({"condition": "${{parent.jobs.yes.outputs.d}}"}, "is data, a uri_folder"),
        ({"true_block": "yes"}, "yes in decide is not a node"),
        ({"true_block": "${{parent.jobs.gone}}"}, "gone, which is no node"),
        ({"true_block": "${{parent.jobs.no}}"}, "in both blocks"),
        ({"true_block": None, "false_block": None}, "neither a true_block nor"),
        ({"else_block": "${{parent.jobs.no}}"}, "has no else_block"),
    ],
)
def test_every_wrong_field_is_named_before_anything_starts(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    jobs = {
        "check": CHECK,
        "decide": {**IF, **keys},
        "yes": node("true", outputs={"d": FOLDER}),
        "no": node("true"),
    }

    with pytest.raises(DesignerError) as caught:
        plan_pipeline(read_pipeline(write_pipeline(tmp_path, jobs, inputs={"value": "True"})))

    (fault,) = caught.value.faults
    assert message in f"{fault.message} {fault.advice}"
    assert fault.place.line > 1
    assert fault.place.node == "decide"
