"""Disabled nodes: what a local run leaves out, what it forgives, and who is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pytorch_designer.cli.commands.cloud_commands import run_submit
from pytorch_designer.errors import DesignerError, InvalidSpecError
from pytorch_designer.harness.lint.linter import findings_for_run
from pytorch_designer.harness.node_kinds.disabled_nodes import LeftOut, find_left_out
from pytorch_designer.harness.pipeline.pipeline_request import PipelineRequest, prepare_pipeline
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.schema.yaml_tree import parse_yaml, read_yaml
from tests.harness.pipeline_files import FOLDER, node, write_pipeline

OFF = {"properties": {"designer.disabled": "true"}}
MADE = "${{parent.jobs.make.outputs.out}}"
MAKE = node("echo made > ${{outputs.out}}/x", outputs={"out": FOLDER})


def using(*sources: str, **keys: Any) -> dict[str, Any]:
    inputs = {f"d{number}": f"${{{{parent.jobs.{name}.outputs.out}}}}" for number, name in enumerate(sources)}
    read = " ".join(f"${{{{inputs.{name}}}}}" for name in inputs)
    return node(f"ls {read}; echo x > ${{{{outputs.out}}}}/x", inputs=inputs, outputs={"out": FOLDER}, **keys)


def branch(condition: str = "make.outputs.out", **blocks: str) -> dict[str, Any]:
    named = {f"{key}_block": f"${{{{parent.jobs.{name}}}}}" for key, name in blocks.items()}
    return {"type": "if_else", "condition": f"${{{{parent.jobs.{condition}}}}}", **named}


LOOP = {"type": "do_while", "body": "${{parent.jobs.step}}", "limits": {"max_iteration_count": 2}}
CASES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "none": ({"make": MAKE, "use": using("make")}, {}),
    "what needs it": (
        {"make": MAKE | OFF, "use": using("make"), "then": using("use"), "side": MAKE},
        {"make": "disabled", "use": "needs make", "then": "needs use"},
    ),
    "not what it needs": ({"make": MAKE, "use": using("make") | OFF}, {"use": "disabled"}),
    "a path in its output": (
        {"make": MAKE | OFF, "use": node("ls", inputs={"d": {**FOLDER, "path": f"{MADE}/a"}})},
        {"make": "disabled", "use": "needs make"},
    ),
    "a variable": (
        {"make": MAKE | OFF, "use": node("ls", environment_variables={"A": MADE})},
        {"make": "disabled", "use": "needs make"},
    ),
    "written as a boolean": ({"make": MAKE | {"properties": {"designer.disabled": True}}}, {"make": "disabled"}),
    "enabled in words": ({"make": MAKE | {"properties": {"designer.disabled": "false"}}}, {}),
    "a condition": (
        {"make": MAKE | OFF, "choose": branch(true="yes", false="no"), "yes": node("true"), "no": node("true")},
        {"make": "disabled", "choose": "needs make", "yes": "choose leads to it", "no": "choose leads to it"},
    ),
    "a branch": (
        {"make": MAKE, "choose": branch(true="yes", false="no"), "yes": node("true") | OFF, "no": node("true")},
        {"choose": "leads to yes", "yes": "disabled", "no": "choose leads to it"},
    ),
    "the body of a loop": (
        {"step": MAKE | OFF, "loop": LOOP, "after": using("step")},
        {"step": "disabled", "loop": "leads to step", "after": "needs step"},
    ),
    "before a loop": (
        {"make": MAKE | OFF, "step": using("make"), "loop": LOOP},
        {"make": "disabled", "step": "needs make", "loop": "leads to step"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("jobs", "wanted"), CASES.values(), ids=CASES)
def test_what_depends_on_a_disabled_node_is_left_out_with_it(jobs: dict[str, Any], wanted: dict[str, str]) -> None:
    text = yaml.safe_dump({"type": "pipeline", "jobs": jobs}, sort_keys=False)

    assert find_left_out(parse_yaml(text, Path("/x.yaml")).root) == LeftOut(wanted)


def test_nodes_of_a_pipeline_component_run_wherever_it_is_used(tmp_path: Path) -> None:
    inner = {"type": "pipeline", "name": "inner", "version": 1, "jobs": {"make": MAKE | OFF}}
    (tmp_path / "inner.yaml").write_text(yaml.safe_dump(inner))

    request = prepare_pipeline(write_pipeline(tmp_path, {"in": {"component": "inner.yaml"}}), run_folder=tmp_path / "r")

    assert ([*request.plan.nodes], request.left_out) == (["in.make"], {})


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    """A pipeline whose disabled node has every fault that would refuse it: component, parameter, data, output."""
    jobs = {
        "make": MAKE,
        "bad": {
            "component": "gone.yaml",
            "inputs": {"a": "${{parent.inputs.nowhere}}", "b": "${{parent.jobs.nobody.outputs.x}}", "c": "${{x"},
            "outputs": {"out": "${{parent.outputs.result}}"},
            **OFF,
        },
    }
    inputs = {"nowhere": {**FOLDER, "path": "nowhere"}}
    return write_pipeline(tmp_path, jobs, inputs=inputs, outputs={"result": FOLDER})


def test_faults_of_a_disabled_node_and_of_data_that_only_it_uses_stop_no_run(faulty: Path) -> None:
    findings = findings_for_run(read_yaml(faulty))

    result = run_pipeline(faulty, run_folder=faulty.parent / "run", inputs={"nowhere": "x"}, outputs={"result": "y"})

    assert (findings.faults, findings.warnings) == ((), ())
    assert {name: found.state.value for name, found in result.nodes.items()} == {"make": "completed"}
    faulty.write_text(faulty.read_text().replace("'true'", "'false'"))
    with pytest.raises(DesignerError):
        prepare_pipeline(faulty, run_folder=faulty.parent / "run")


@pytest.mark.parametrize("option", ["only", "start_from", "up_to"])
def test_a_node_that_is_left_out_is_not_run_alone_either(option: str, tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, {"make": MAKE | OFF, "use": using("make"), "side": MAKE})

    options: dict[str, Any] = {option: ["use"]}

    with pytest.raises(DesignerError, match="use does not run: needs make") as caught:
        prepare_pipeline(path, run_folder=tmp_path / "run", **options)

    assert caught.value.reason == "disabled"


def test_a_pipeline_all_of_whose_nodes_are_left_out_is_refused(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, {"make": MAKE | OFF, "use": using("make")})

    with pytest.raises(DesignerError, match="No node of the pipeline runs") as caught:
        prepare_pipeline(path, run_folder=tmp_path / "run")

    assert caught.value.reason == "disabled"


def test_the_request_says_what_is_left_out(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, {"make": MAKE, "off": MAKE | OFF, "use": using("off", "make")})

    request: PipelineRequest = prepare_pipeline(path, run_folder=tmp_path / "run")

    assert ([*request.plan.nodes], request.left_out) == (["make"], {"off": "disabled", "use": "needs off"})


def test_a_pipeline_with_disabled_nodes_is_not_submitted(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, {"make": MAKE, "off": MAKE | OFF, "use": using("off")})

    def never(target: object) -> Any:
        raise AssertionError(target)

    with pytest.raises(InvalidSpecError) as caught:
        run_submit([str(path)], "program", connected=never)

    assert (caught.value.examples, caught.value.reason) == (("off",), "disabled")
