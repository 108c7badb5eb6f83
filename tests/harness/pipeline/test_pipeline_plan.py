from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.errors import (
    DesignerError,
    GreaterThanOrEqualToError,
    InvalidSpecError,
    UnknownNameError,
    UnsupportedLocallyError,
)
from pytorch_designer.harness.lint.linter import lint
from pytorch_designer.harness.pipeline.pipeline_plan import Plan, plan_pipeline
from pytorch_designer.harness.schema.assets import Assets
from pytorch_designer.harness.schema.pipeline_file import read_pipeline
from pytorch_designer.harness.schema.specification import Distribution
from tests.harness.pipeline_files import FOLDER, component, node, write_pipeline, write_yaml

STEP = component(
    "run ${{inputs.rate}} $[[${{inputs.data}}]] $[[${{inputs.note}}]]",
    inputs={
        "rate": {"type": "number", "default": 1, "min": 0},
        "data": {**FOLDER, "optional": True},
        "note": {"type": "string", "optional": True},
    },
    outputs={"out": FOLDER},
)


def _plan(folder: Path, jobs: dict[str, Any], values: dict[str, object] | None = None, **keys: Any) -> Plan:
    return plan_pipeline(read_pipeline(write_pipeline(folder, jobs, **keys)), values)


def _texts(plan: Plan, name: str) -> dict[str, str]:
    """The inputs of a node, with an output shown as `node.port`."""
    paths = {(found, port): Path(f"{found}.{port}") for found, node in plan.nodes.items() for port in node.spec.outputs}
    return {port: source.text(paths) for port, source in plan.nodes[name].inputs.items()}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data" / "part").mkdir(parents=True)
    return tmp_path / "data"


def test_literals_inputs_and_outputs_are_bound(tmp_path: Path, data: Path) -> None:
    jobs = {
        "second": {"component": STEP, "inputs": {"data": "${{parent.jobs.first.outputs.out}}", "rate": "1e-7"}},
        "first": {
            "component": STEP,
            "inputs": {"data": "${{ parent.inputs.data }}", "rate": "${{parent.inputs.rate}}"},
        },
    }

    plan = _plan(tmp_path, jobs, inputs={"data": {**FOLDER, "path": "data"}, "rate": 3})

    assert _texts(plan, "first") == {"data": str(data), "rate": "3"}
    assert _texts(plan, "second") == {"data": "first.out", "rate": "1e-07"}
    assert list(plan.nodes) == ["first", "second"]
    assert (plan.nodes["first"].needs, plan.nodes["second"].needs) == (frozenset(), frozenset({"first"}))


def test_a_binding_may_be_part_of_a_path_or_text(tmp_path: Path, data: Path) -> None:
    jobs = {
        "first": {
            "component": STEP,
            "inputs": {
                "data": {"type": "uri_folder", "path": "${{parent.inputs.data}}/part"},
                "note": "a ${{parent.inputs.w}}!",
            },
        },
        "second": {"component": STEP, "inputs": {"data": "${{parent.jobs.first.outputs.out}}/x", "note": "n"}},
    }

    plan = _plan(tmp_path, jobs, inputs={"data": {**FOLDER, "path": "data"}, "w": "word"})

    assert _texts(plan, "first") == {"data": str(data / "part"), "note": "a word!"}
    assert _texts(plan, "second") == {"data": "first.out/x", "note": "n"}


def test_what_another_node_was_given_can_be_bound(tmp_path: Path) -> None:
    jobs = {
        "a": {"component": STEP, "inputs": {"rate": 5}},
        "b": {"component": STEP, "inputs": {"rate": "${{parent.jobs.a.inputs.rate}}"}},
    }

    plan = _plan(tmp_path, jobs)

    assert (_texts(plan, "b"), plan.nodes["b"].needs) == ({"rate": "5"}, frozenset())


def test_members_of_groups_are_bound(tmp_path: Path) -> None:
    group = {"type": "group", "values": {"rate": {"type": "number", "default": 2}}}
    jobs = {"a": {"component": STEP, "inputs": {"rate": "${{parent.inputs.training.rate}}"}}}

    assert _texts(_plan(tmp_path, jobs, inputs={"training": group}), "a") == {"rate": "2.0"}
    assert _texts(_plan(tmp_path, jobs, {"training.rate": 3}, inputs={"training": group}), "a") == {"rate": "3"}


def test_nested_pipelines_are_laid_flat(tmp_path: Path, data: Path) -> None:
    inner = {
        "type": "pipeline",
        "name": "inner",
        "inputs": {
            "data": FOLDER,
            "rate": {"type": "number", "default": 5},
            "note": {"type": "string", "optional": True},
        },
        "outputs": {"result": FOLDER},
        "jobs": {
            "x": {
                "component": STEP,
                "inputs": {
                    "data": "${{parent.inputs.data}}",
                    "rate": "${{parent.inputs.rate}}",
                    "note": "${{parent.inputs.note}}",
                },
            },
            "y": {
                "component": STEP,
                "inputs": {"data": "${{parent.jobs.x.outputs.out}}"},
                "outputs": {"out": "${{parent.outputs.result}}"},
            },
        },
    }
    outer = {
        "type": "pipeline",
        "name": "outer",
        "inputs": {"data": FOLDER},
        "outputs": {"result": FOLDER},
        "jobs": {
            "deep": {
                "type": "pipeline",
                "component": "inner.yaml",
                "inputs": {"data": "${{parent.inputs.data}}"},
                "outputs": {"result": "${{parent.outputs.result}}"},
            }
        },
    }
    write_yaml(tmp_path / "inner.yaml", inner)
    write_yaml(tmp_path / "outer.yaml", outer)
    jobs = {
        "top": {
            "type": "pipeline",
            "component": "outer.yaml",
            "inputs": {"data": "${{parent.inputs.data}}"},
            "outputs": {"result": "${{parent.outputs.final}}"},
        },
        "last": {"component": STEP, "inputs": {"data": "${{parent.jobs.top.outputs.result}}"}},
    }

    plan = _plan(tmp_path, jobs, inputs={"data": {**FOLDER, "path": "data"}}, outputs={"final": FOLDER})

    assert list(plan.nodes) == ["top.deep.x", "top.deep.y", "last"]
    assert _texts(plan, "top.deep.x") == {"data": str(data), "rate": "5.0"}
    assert _texts(plan, "last") == {"data": "top.deep.y.out"}
    assert plan.nodes["last"].needs == {"top.deep.y"}
    assert plan.nodes["top.deep.y"].pipeline_outputs == {"out": "final"}
    assert plan.outputs == {"final": ("top.deep.y", "out")}


def test_settings_of_a_node_may_be_bound(tmp_path: Path) -> None:
    jobs = {
        "n": {
            "component": STEP,
            "environment_variables": {"LEVEL": "level ${{parent.inputs.n}}", "FROM": "${{parent.jobs.m.outputs.out}}"},
            "resources": {"instance_count": "${{parent.inputs.n}}"},
            "distribution": {"type": "PyTorch", "process_count_per_instance": "${{parent.inputs.n}}"},
            "outputs": {"out": {"mode": "upload"}},
        },
        "m": {"component": STEP},
    }

    plan = _plan(tmp_path, jobs, inputs={"n": 2})

    found = plan.nodes["n"]
    assert found.spec.resources.instance_count == 2
    assert found.spec.distribution == Distribution("pytorch", 2)
    assert found.spec.outputs["out"].mode == "upload"
    paths = {("m", "out"): Path("somewhere")}
    assert {name: source.text(paths) for name, source in found.environment_variables.items()} == {
        "LEVEL": "level 2",
        "FROM": "somewhere",
    }
    assert found.needs == {"m"}
    assert plan.nodes["m"].spec.resources.instance_count == 1


def test_an_optional_input_of_the_pipeline_without_a_value_gives_none(tmp_path: Path) -> None:
    inputs = {"note": {"type": "string", "optional": True}, "data": {**FOLDER, "optional": True}}
    jobs = {"n": {"component": STEP, "inputs": {"note": "${{parent.inputs.note}}", "data": "${{parent.inputs.data}}"}}}

    assert _texts(_plan(tmp_path, jobs, inputs=inputs), "n") == {}


def test_values_of_the_caller_go_before_those_of_the_file(tmp_path: Path, data: Path) -> None:
    jobs = {"n": {"component": STEP, "inputs": {"rate": "${{parent.inputs.rate}}", "data": "${{parent.inputs.data}}"}}}
    inputs = {"rate": 1, "data": {**FOLDER, "path": "nowhere"}}

    plan = _plan(tmp_path, jobs, {"rate": 0.5, "data": data}, inputs=inputs)

    assert _texts(plan, "n") == {"rate": "0.5", "data": str(data)}


def test_registered_data_is_found_in_the_assets(tmp_path: Path, data: Path) -> None:
    inputs = {"data": {**FOLDER, "path": "azureml:flowers:1"}}
    jobs = {"n": {"component": STEP, "inputs": {"data": "${{parent.inputs.data}}"}}}
    pipeline = read_pipeline(write_pipeline(tmp_path, jobs, inputs=inputs))

    plan = plan_pipeline(pipeline, None, Assets({"flowers": data}))

    assert _texts(plan, "n") == {"data": str(data)}
    with pytest.raises(UnsupportedLocallyError, match="azureml:flowers:1"):
        plan_pipeline(pipeline)


STRICT = component(
    "run ${{inputs.d}} ${{inputs.n}}", inputs={"d": FOLDER, "n": {"type": "integer"}}, outputs={"o": FOLDER}
)
OK = {"d": "${{parent.inputs.data}}", "n": 1}


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ({"a": {"component": STRICT, "inputs": {**OK, "d": "${{parent.inputs.gone}}"}}}, "has no input gone"),
        ({"a": {"component": STRICT, "inputs": {**OK, "d": "${{parent.jobs.gone.outputs.o}}"}}}, "has no node gone"),
        (
            {
                "a": {"component": STRICT, "inputs": OK},
                "b": {"component": STRICT, "inputs": {**OK, "d": "${{parent.jobs.a.outputs.x}}"}},
            },
            "node a has no output x",
        ),
        ({"a": {"component": STRICT, "inputs": {"d": OK["d"]}}}, "input n of a has no value"),
        ({"a": {"component": STRICT, "inputs": {**OK, "n": 1.5}}}, "cannot be '1.5'"),
        (
            {"a": {"component": STRICT, "inputs": {**OK, "n": "${{parent.inputs.data}}"}}},
            "data is uri_folder",
        ),
        (
            {"a": {"component": STRICT, "inputs": {**OK, "d": "${{parent.inputs.n}}"}}},
            "n is string, and d",
        ),
        ({"a": {"component": STRICT, "inputs": {**OK, "d": "${{inputs.data}}"}}}, "means nothing in a pipeline"),
        ({"a": {"component": STRICT, "inputs": {**OK, "d": "${{parent.inputs.data}"}}}, "closing braces"),
        ({"a": {"component": STRICT, "inputs": {**OK, "d": {**FOLDER, "path": "gone"}}}}, "there is no .*gone"),
        ({"a": {"component": STRICT, "inputs": OK, "outputs": {"x": "${{parent.outputs.y}}"}}}, "has no output x"),
        (
            {"a": {"component": STRICT, "inputs": OK, "resources": {"instance_count": 2}}},
            "2 processes with no distribution",
        ),
        ({"a": {"component": STRICT, "inputs": OK, "resources": {"instance_count": "two"}}}, "cannot be 'two'"),
        ({"a": {"component": component("run ${{inputs.x}}")}}, "there is no input 'x'"),
        ({"a": {"component": component("run", code="gone")}}, "does not exist"),
        (
            {"a": {"component": component("run ${{inputs.x}}", inputs={"x": {"type": "string", "optional": True}})}},
            "optional input x",
        ),
        (
            {
                "a": {"component": STRICT, "inputs": {**OK, "d": "${{parent.jobs.b.outputs.o}}"}},
                "b": {"component": STRICT, "inputs": {**OK, "d": "${{parent.jobs.c.outputs.o}}"}},
                "c": {"component": STRICT, "inputs": {**OK, "d": "${{parent.jobs.b.outputs.o}}"}},
            },
            "in a circle: [bc], [bc], [bc]",
        ),
        (
            {
                "a": {"component": STEP, "inputs": {"rate": "${{parent.jobs.b.inputs.rate}}"}},
                "b": {"component": STEP, "inputs": {"rate": "${{parent.jobs.a.inputs.rate}}"}},
            },
            "bound to itself",
        ),
    ],
)
@pytest.mark.usefixtures("data")
def test_what_is_wrong_is_refused(tmp_path: Path, jobs: dict[str, Any], message: str) -> None:
    with pytest.raises(DesignerError) as caught:
        _plan(tmp_path, jobs, inputs={"data": {**FOLDER, "path": "data"}, "n": "text"})

    assert caught.match(message)


@pytest.mark.parametrize(
    ("jobs", "rule", "message"),
    [
        ({"a": {"component": STRICT, "inputs": {**OK, "extra": 1}}}, "unknown-node-input", "a has no input extra"),
        (
            {
                "f": node("x", outputs={"o": {"type": "uri_file"}}),
                "a": {"component": STRICT, "inputs": {**OK, "d": "${{parent.jobs.f.outputs.o}}"}},
            },
            "type-mismatch",
            "o is uri_file, and d expects uri_folder",
        ),
        (
            {"a": {"component": STRICT, "inputs": {**OK, "d": {"type": "uri_folder", "path": "data/file"}}}},
            "type-mismatch",
            "d is a uri_folder, but .*file is a file",
        ),
        (
            {
                "f": node("x", outputs={"o": {"type": "number"}}),
                "a": {"component": STRICT, "inputs": {**OK, "n": "${{parent.jobs.f.outputs.o}}"}},
            },
            "type-mismatch",
            "o is number, and n expects integer",
        ),
    ],
)
def test_what_azure_ml_passes_is_warned_of(
    tmp_path: Path, data: Path, jobs: dict[str, Any], rule: str, message: str
) -> None:
    (data / "file").touch()

    plan = _plan(tmp_path, jobs, inputs={"data": {**FOLDER, "path": "data"}})

    [warning] = plan.warnings
    assert warning.kind == rule
    assert re.search(message, warning.message)
    assert warning.place.line > 1
    assert "extra" not in plan.nodes["a"].inputs


def test_an_output_that_nothing_writes_is_warned_of(tmp_path: Path) -> None:
    plan = _plan(tmp_path, {"a": {"component": STEP}}, outputs={"o": FOLDER})

    assert [(warning.kind, warning.place.key) for warning in plan.warnings] == [
        ("unbound-pipeline-output", "outputs.o")
    ]
    assert plan.outputs == {}


def test_a_text_is_a_path_for_an_input_that_is_data(tmp_path: Path, data: Path) -> None:
    plan = _plan(tmp_path, {"a": {"component": STRICT, "inputs": {"d": "data", "n": 1}}})

    assert _texts(plan, "a") == {"d": str(data), "n": "1"}


@pytest.mark.parametrize(
    ("inputs", "num_missing"),
    [
        ({"data": {**FOLDER, "path": "azureml:flowers:3"}, "n": 1}, 1),
        ({"data": {**FOLDER, "path": "azureml:flowers:3"}, "n": {"type": "integer"}}, 2),
    ],
)
def test_what_is_bound_to_a_fault_is_no_fault(tmp_path: Path, inputs: dict[str, Any], num_missing: int) -> None:
    given = {"d": "${{parent.inputs.data}}", "n": "${{parent.inputs.n}}"}
    variables = {"environment_variables": {"V": "${{parent.inputs.data}}/x"}}
    jobs = {
        "a": {"component": STRICT, "inputs": given, **variables, "resources": {"instance_count": given["n"]}},
        "b": {"component": STRICT, "inputs": {"d": "${{parent.jobs.a.inputs.d}}", "n": given["n"]}},
    }

    with pytest.raises(DesignerError) as caught:
        _plan(tmp_path, jobs, inputs=inputs)

    assert len(caught.value.faults) == num_missing
    assert "--assets" in caught.value.faults[0].advice
    assert caught.value.faults[0].place.line == 5
    assert "--assets" in str(caught.value)
    assert "pipeline.yaml:5" in str(caught.value)


@pytest.mark.usefixtures("data")
def test_all_that_is_wrong_is_listed(tmp_path: Path) -> None:
    jobs = {
        "a": {"component": STRICT, "inputs": {"n": 1}},
        "b": {"component": STRICT, "inputs": {**OK, "n": "x"}},
        "c": {"component": STRICT, "inputs": {**OK, "d": "${{parent.jobs.x.outputs.y}}"}},
    }

    with pytest.raises(InvalidSpecError, match="3 faults") as caught:
        _plan(tmp_path, jobs, inputs={"data": {**FOLDER, "path": "data"}}, outputs={"o": FOLDER})

    lines = (tmp_path / "pipeline.yaml").read_text(encoding="utf-8").splitlines()
    written = ("  a:", "      n: x", "      d: ${{parent.jobs.x.outputs.y}}")  # a node, a value and a binding at fault
    expected = [f"pipeline.yaml:{lines.index(line) + 1}" for line in written]
    assert [example.split(": ")[0] for example in caught.value.examples[:3]] == expected
    assert caught.value.where == str(tmp_path / "pipeline.yaml")


def test_two_nodes_cannot_write_one_output(tmp_path: Path) -> None:
    bound = {"outputs": {"out": "${{parent.outputs.o}}"}}

    with pytest.raises(InvalidSpecError, match="a and b both write the output o"):
        _plan(tmp_path, {"a": {"component": STEP, **bound}, "b": {"component": STEP, **bound}}, outputs={"o": FOLDER})


def test_a_value_for_an_input_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="gone"):
        _plan(tmp_path, {}, {"gone": 1})


def test_a_bound_of_a_pipeline_component_holds(tmp_path: Path) -> None:
    inputs = {"rate": {"type": "number", "min": 1}}
    jobs = {"n": {"component": STEP, "inputs": {"rate": "${{parent.inputs.rate}}"}}}

    with pytest.raises(GreaterThanOrEqualToError, match="rate"):
        _plan(tmp_path, jobs, {"rate": 0.5}, inputs=inputs)


def test_more_than_a_handful_of_faults_are_all_listed(tmp_path: Path) -> None:
    jobs = {f"n{number}": {"component": STEP, "inputs": {"rate": "x"}} for number in range(12)}

    with pytest.raises(InvalidSpecError, match="12 faults") as caught:
        _plan(tmp_path, jobs)

    assert len(caught.value.examples) == 12


def test_a_bad_literal_is_reported_where_it_is_written_as_the_linter_does(tmp_path: Path) -> None:
    write_yaml(
        tmp_path / "strict.yaml", component("echo ${{inputs.n}}", version="1", inputs={"n": {"type": "integer"}})
    )
    inner = {"x": {"type": "command", "component": "strict.yaml", "inputs": {"n": "${{parent.inputs.n}}"}}}
    ports = {"n": {"type": "string"}}
    write_yaml(
        tmp_path / "inner.yaml", {"type": "pipeline", "name": "i", "version": "1", "inputs": ports, "jobs": inner}
    )
    jobs = {
        "a": {"type": "command", "component": "strict.yaml", "inputs": {"n": "abc"}},
        "b": {"type": "command", "component": "strict.yaml", "inputs": {"n": "${{parent.inputs.top}}"}},
        "c": {"type": "pipeline", "component": "inner.yaml", "inputs": {"n": {"value": "xyz"}}},
    }
    path = write_pipeline(tmp_path, jobs, inputs={"top": "many"})

    with pytest.raises(InvalidSpecError) as caught:
        plan_pipeline(read_pipeline(path))

    text = path.read_text(encoding="utf-8")
    places = {(fault.place.line, fault.place.column) for fault in caught.value.faults}
    expected = set()
    for value in ("abc", "many", "xyz"):
        start = text.index(value)
        expected.add((text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)))
    assert places == expected
    found = {(finding.place.line, finding.place.column) for finding in lint([path]).findings if "value" in finding.kind}
    assert found < expected  # what is nested in another file, only the run follows
