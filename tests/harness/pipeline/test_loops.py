"""`do_while`: rounds, what they hand on, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.errors import DesignerError
from pytorch_designer.harness.lint.linter import lint
from pytorch_designer.harness.pipeline.pipeline_plan import plan_pipeline
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.reuse.reuse_cache import open_cache
from pytorch_designer.harness.schema.pipeline_file import read_pipeline
from tests.harness.pipeline_files import FOLDER, make_folder, node, text_of, write_pipeline, write_yaml

COUNT = (
    "echo $(( ${{inputs.x}} + 1 )) > ${{outputs.next}};"
    " if [ ${{inputs.x}} -lt 3 ]; then echo True; else echo False; fi > ${{outputs.again}};"
    " cp -r ${{inputs.log}}/. ${{outputs.log}}; echo round ${{inputs.x}} >> ${{outputs.log}}/log.txt"
)
STEP = {
    "type": "command",
    "name": "step",
    "environment": "azureml:e:1",
    "command": COUNT,
    "inputs": {"x": {"type": "integer"}, "log": FOLDER},
    "outputs": {"next": {"type": "integer"}, "again": {"type": "boolean"}, "log": FOLDER},
}
LOOP = {
    "type": "do_while",
    "body": "${{parent.jobs.step}}",
    "condition": "${{parent.jobs.step.outputs.again}}",
    "mapping": {
        "${{parent.jobs.step.outputs.next}}": "${{parent.jobs.step.inputs.x}}",
        "${{parent.jobs.step.outputs.log}}": ["${{parent.jobs.step.inputs.log}}"],
    },
    "limits": {"max_iteration_count": 10},
}


def _jobs(tmp_path: Path, *, is_nested: bool = False, **keys: Any) -> dict[str, Any]:
    if not (tmp_path / "start").exists():
        make_folder(tmp_path / "start", **{"log.txt": "start\n"})
    component: Any = STEP
    if is_nested:
        bound = {name: f"${{{{parent.outputs.{name}}}}}" for name in STEP["outputs"]}
        given = {"x": "${{parent.inputs.x}}", "log": "${{parent.inputs.log}}"}
        inner = {"type": "command", "component": STEP, "inputs": given, "outputs": bound}
        after = node("test -s ${{inputs.log}}/log.txt", inputs={"log": "${{parent.jobs.inner.outputs.log}}"})
        ports = {"inputs": STEP["inputs"], "outputs": STEP["outputs"]}
        pipeline = {"type": "pipeline", "name": "body", **ports, "jobs": {"inner": inner, "after": after}}
        write_yaml(tmp_path / "body.yaml", pipeline)
        component = "body.yaml"
    return {
        "step": {"component": component, "inputs": {"x": 0, "log": {**FOLDER, "path": "start"}}},
        "loop": {**LOOP, **keys},
        "show": node(
            "cp ${{inputs.log}}/log.txt ${{outputs.seen}}", inputs={"log": "${{parent.jobs.step.outputs.log}}"}
        )
        | {"outputs": {"seen": {"type": "uri_file"}}},
    }


@pytest.mark.slow
@pytest.mark.parametrize("is_nested", [False, True])
def test_the_body_runs_until_the_condition_is_false(tmp_path: Path, is_nested: bool) -> None:
    path = write_pipeline(tmp_path, _jobs(tmp_path, is_nested=is_nested))

    result = run_pipeline(path, run_folder=tmp_path / "run")

    assert result.has_succeeded, [node.error for node in result.nodes.values()]
    assert text_of(result.nodes["show"].outputs["seen"]).split() == [
        "start",
        "round",
        "0",
        "round",
        "1",
        "round",
        "2",
        "round",
        "3",
    ]
    assert result.nodes["step.inner" if is_nested else "step"].run_folder.name.endswith(".round_4")


@pytest.mark.parametrize("has_condition", [True, False])
def test_there_are_no_more_rounds_than_the_limit(tmp_path: Path, has_condition: bool) -> None:
    keys: dict[str, Any] = {} if has_condition else {"condition": None}
    path = write_pipeline(tmp_path, _jobs(tmp_path, limits={"max_iteration_count": 2}, **keys))

    result = run_pipeline(path, run_folder=tmp_path / "run")

    assert text_of(result.nodes["show"].outputs["seen"]).split() == ["start", "round", "0", "round", "1"]


def test_outputs_of_the_pipeline_are_those_of_the_last_round(tmp_path: Path) -> None:
    jobs = _jobs(tmp_path)
    jobs["step"]["outputs"] = {"log": "${{parent.outputs.log}}", "next": "${{parent.outputs.next}}"}
    path = write_pipeline(tmp_path, jobs, outputs={"log": FOLDER, "next": {"type": "integer"}})

    result = run_pipeline(path, run_folder=tmp_path / "run", outputs={"log": tmp_path / "out"})

    assert text_of(tmp_path / "out" / "log.txt").count("round") == 4
    assert text_of(result.outputs["next"]) == "4\n"


@pytest.mark.slow
def test_rounds_are_reused(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, _jobs(tmp_path))
    cache = open_cache(tmp_path / "cache", 1 << 30)
    run_pipeline(path, run_folder=tmp_path / "run", cache=cache)

    again = run_pipeline(path, run_folder=tmp_path / "again", cache=cache)

    assert {name: found.state.value for name, found in again.nodes.items()} == {"step": "reused", "show": "reused"}


def test_a_round_that_fails_ends_the_loop(tmp_path: Path) -> None:
    jobs = _jobs(tmp_path)
    jobs["step"]["component"] = {**STEP, "command": f"test ${{{{inputs.x}}}} -lt 2 && {COUNT}"}

    result = run_pipeline(write_pipeline(tmp_path, jobs), run_folder=tmp_path / "run")

    assert {name: found.state.value for name, found in result.nodes.items()} == {"step": "failed", "show": "skipped"}
    assert result.nodes["step"].run_folder.name == "step.round_3"


@pytest.mark.slow
@pytest.mark.usefixtures("azure_sdk")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_loops_of_the_sdk_run(tmp_path: Path) -> None:
    from azure.ai.ml import Input, dsl, load_component
    from azure.ai.ml.dsl._do_while import do_while

    make_folder(tmp_path / "start", **{"log.txt": "start\n"})
    inputs = {"x": {"type": "integer"}, "log": {**FOLDER, "mode": "ro_mount"}}
    step = load_component(write_yaml(tmp_path / "step.yaml", {**STEP, "inputs": inputs}))

    @dsl.pipeline()
    def pipeline() -> None:
        body = step(x=0, log=Input(type="uri_folder", path=str(tmp_path / "start")))
        do_while(
            body=body,
            condition=body.outputs.again,
            mapping={body.outputs.next: body.inputs.x},
            max_iteration_count=10,
        )

    result = run_pipeline(pipeline(), run_folder=tmp_path / "run")

    assert result.has_succeeded
    assert text_of(result.nodes["body"].outputs["next"]) == "4\n"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"body": None}, "has no body"),
        ({"body": "step"}, "is not a node"),
        ({"limits": None}, "max_iteration_count"),
        ({"limits": {"max_iteration_count": 0}}, "at least 1"),
        ({"limits": {"max_iteration_count": 1001}}, "Azure ML allows 1,000"),
        ({"condition": "${{parent.jobs.step.outputs.gone}}"}, "has no output gone"),
        ({"condition": "${{parent.jobs.step.outputs.log}}"}, "is data, a uri_folder"),
        ({"condition": "${{parent.jobs.show.outputs.seen}}"}, "not one of the outputs of the body"),
        ({"mapping": {"${{parent.jobs.step.outputs.next}}": "gone"}}, "has no input gone"),
        (
            {"mapping": {"${{parent.jobs.step.outputs.next}}": "log"}},
            "maps next (integer) to the input log",
        ),
        ({"until": "x"}, "has no until"),
    ],
)
def test_every_wrong_field_is_named_before_anything_starts(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(DesignerError) as caught:
        plan_pipeline(read_pipeline(write_pipeline(tmp_path, _jobs(tmp_path, **keys))))

    (fault,) = caught.value.faults
    assert message in f"{fault.message} {fault.advice}"
    assert fault.place.line > 1
    assert fault.place.node == "loop"


def test_a_body_that_is_no_node_is_named(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"body": "${{parent.jobs.gone}}", "condition": None, "mapping": {}}

    with pytest.raises(DesignerError, match="gone, which is no node"):
        plan_pipeline(read_pipeline(write_pipeline(tmp_path, _jobs(tmp_path, **keys))))


def test_a_loop_in_a_loop_is_refused_by_name(tmp_path: Path) -> None:
    jobs = _jobs(tmp_path)
    write_yaml(tmp_path / "body.yaml", {"type": "pipeline", "name": "body", "jobs": jobs})
    loop = {"type": "do_while", "body": "${{parent.jobs.outer}}", "mapping": {}, "limits": {"max_iteration_count": 2}}

    path = write_pipeline(tmp_path, {"outer": {"component": "body.yaml"}, "loop": loop})

    with pytest.raises(DesignerError, match="has a loop in it"):
        plan_pipeline(read_pipeline(path))
    assert lint([path]).num_errors == 0  # Azure ML may run it
