from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.errors import DesignerError, InvalidSpecError, UnsupportedLocallyError
from pytorch_designer.harness.lint.linter import lint
from pytorch_designer.harness.schema.assets import read_assets
from pytorch_designer.harness.schema.pipeline_file import read_pipeline
from pytorch_designer.harness.schema.pipeline_specification import Given, PipelineSettings, PipelineSpec
from pytorch_designer.harness.schema.spec_faults import SpecPlace
from pytorch_designer.harness.schema.specification import CommandSpec
from tests.harness.pipeline_files import FOLDER, component, node, write_pipeline, write_yaml


def test_settings_and_values_of_a_job_are_read(tmp_path: Path) -> None:
    path = write_pipeline(
        tmp_path,
        {},
        display_name="Train",
        experiment_name="flowers",
        inputs={"data": {**FOLDER, "path": "data"}, "rate": 0.1, "flag": True, "text": {"value": "a b"}},
        outputs={
            "model": {**FOLDER, "path": "out/model"},
            "other": {**FOLDER, "path": "azureml://datastores/d/paths/x"},
        },
        settings={"default_compute": "azureml:cpu", "continue_on_step_failure": False, "force_rerun": True},
    )

    pipeline = read_pipeline(path)

    assert (pipeline.label, pipeline.experiment_name) == ("Train", "flowers")
    assert pipeline.settings == PipelineSettings(False, True, "azureml:cpu")
    assert pipeline.given == {
        "data": Given(str(tmp_path / "data"), is_path=True),
        "rate": Given("0.1"),
        "flag": Given("True"),
        "text": Given("a b"),
    }
    assert {name: port.type for name, port in pipeline.inputs.items()} == {
        "data": "uri_folder",
        "rate": "string",
        "flag": "string",
        "text": "string",
    }
    assert pipeline.given_outputs == {"model": tmp_path / "out" / "model"}


def test_a_job_goes_on_after_a_failure_unless_it_says_otherwise(tmp_path: Path) -> None:
    assert read_pipeline(write_pipeline(tmp_path, {})).settings == PipelineSettings(True, False, None)


def test_component_paths_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    write_yaml(tmp_path / "parts" / "leaf" / "leaf.yaml", component("true", name="leaf", code="src"))
    jobs = {"leaf": {"type": "command", "component": "leaf/leaf.yaml"}}
    write_yaml(tmp_path / "parts" / "inner.yaml", {"type": "pipeline", "name": "inner", "jobs": jobs})
    path = write_pipeline(tmp_path, {"nested": {"type": "pipeline", "component": "file:./parts/inner.yaml"}})

    inner = read_pipeline(path).nodes["nested"].component

    assert isinstance(inner, PipelineSpec)
    leaf = inner.nodes["leaf"].component
    assert isinstance(leaf, CommandSpec)
    assert leaf.code == tmp_path / "parts" / "leaf" / "src"


def test_what_a_node_changes_is_kept_apart_from_its_component(tmp_path: Path) -> None:
    jobs = {
        "n": {
            "component": component("run", outputs={"o": FOLDER}, resources={"instance_count": 1}),
            "environment": "azureml:other:2",
            "environment_variables": {"LEVEL": 3, "NONE": None},
            "resources": {"instance_count": "${{parent.inputs.nodes}}"},
            "distribution": {"type": "pytorch", "process_count_per_instance": 2},
            "outputs": {"o": {"mode": "upload"}},
            "compute": "azureml:gpu",
        }
    }

    found = read_pipeline(write_pipeline(tmp_path, jobs)).nodes["n"]

    assert found.environment_variables == {"LEVEL": "3", "NONE": ""}
    assert found.resources == {"instance_count": "${{parent.inputs.nodes}}"}
    assert found.distribution == {"type": "pytorch", "process_count_per_instance": "2"}
    assert (found.output_modes, found.environment, found.compute) == ({"o": "upload"}, "azureml:other:2", "azureml:gpu")
    assert isinstance(found.component, CommandSpec)
    assert (found.component.resources.instance_count, found.component.outputs["o"].mode) == (1, "rw_mount")


def test_inputs_of_an_inline_command_have_the_types_of_what_they_are_given(tmp_path: Path) -> None:
    inputs: dict[str, Any] = {
        "number": 3,
        "of_pipeline": "${{parent.inputs.data}}",
        "of_node": "${{parent.jobs.first.outputs.model}}",
        "part": "${{parent.inputs.data}}/part",
        "typed": {"type": "uri_file", "path": "x.txt"},
        "text": "x-${{parent.inputs.word}}",
    }
    jobs = {"second": node("run", inputs=inputs), "first": node("run", outputs={"model": {"type": "mlflow_model"}})}
    path = write_pipeline(tmp_path, jobs, inputs={"data": {**FOLDER, "path": "."}, "word": "w"})

    second = read_pipeline(path).nodes["second"].component

    assert {name: port.type for name, port in second.inputs.items()} == {
        "number": "string",
        "of_pipeline": "uri_folder",
        "of_node": "mlflow_model",
        "part": "path",
        "typed": "uri_file",
        "text": "string",
    }


def test_an_output_may_be_bound_in_its_short_and_long_form(tmp_path: Path) -> None:
    outputs = {"a": "${{ parent.outputs.x }}", "b": {"type": "uri_file", "path": "${{parent.outputs.y}}"}, "c": None}
    jobs = {"n": node("run", outputs=outputs)}

    found = read_pipeline(write_pipeline(tmp_path, jobs, outputs={"x": {"type": "mltable"}, "y": None})).nodes["n"]

    assert found.bound_outputs == {"a": "x", "b": "y"}
    assert {name: port.type for name, port in found.component.outputs.items()} == {
        "a": "mltable",
        "b": "uri_file",
        "c": "uri_folder",
    }


def test_an_output_may_have_a_place_in_storage_with_macros(tmp_path: Path) -> None:
    place = "azureml://datastores/${{default_datastore}}/paths/${{name}}/out"
    jobs = {"n": node("run", outputs={"o": {**FOLDER, "path": place}})}

    pipeline = read_pipeline(write_pipeline(tmp_path, jobs, outputs={"p": {**FOLDER, "path": place}}))

    assert (pipeline.nodes["n"].bound_outputs, pipeline.given_outputs) == ({}, {})
    assert list(pipeline.nodes["n"].component.outputs) == ["o"]


def test_a_job_may_do_no_more_than_run_a_pipeline_component(tmp_path: Path) -> None:
    ports = {"x": {"type": "integer", "default": 4}}
    jobs = {"n": node("echo ${{inputs.x}}", inputs={"x": "${{parent.inputs.x}}"})}
    write_yaml(tmp_path / "inner.yaml", {"type": "pipeline", "name": "inner", "inputs": ports, "jobs": jobs})
    path = write_yaml(tmp_path / "job.yaml", {"type": "pipeline", "component": "inner.yaml", "inputs": {"x": 7}})

    pipeline = read_pipeline(path)

    assert (pipeline.given, pipeline.inputs["x"].type, list(pipeline.nodes)) == ({"x": Given("7")}, "integer", ["n"])


def test_members_of_a_group_are_flat(tmp_path: Path) -> None:
    group = {"type": "group", "values": {"rate": {"type": "number", "default": 0.1}}}

    pipeline = read_pipeline(write_pipeline(tmp_path, {}, inputs={"training": group}))

    assert pipeline.inputs["training.rate"].default == 0.1


@pytest.mark.parametrize("kind", ["automl", "spark", "parallel_for", "import"])
def test_other_kinds_of_nodes_are_refused_by_name(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UnsupportedLocallyError, match=f"n is of type {kind}"):
        read_pipeline(write_pipeline(tmp_path, {"n": {"type": kind}}))


def test_a_component_file_of_another_kind_is_refused_by_name(tmp_path: Path) -> None:
    write_yaml(tmp_path / "c.yaml", {"type": "spark", "name": "c"})

    with pytest.raises(UnsupportedLocallyError, match="spark"):
        read_pipeline(write_pipeline(tmp_path, {"n": {"component": "c.yaml"}}))


def test_a_node_has_the_kind_of_its_component(tmp_path: Path) -> None:
    write_yaml(tmp_path / "parallel.yaml", {"type": "parallel", "name": "c", "task": {"type": "run_function"}})

    pipeline = read_pipeline(write_pipeline(tmp_path, {"n": {"component": "parallel.yaml"}}))

    assert pipeline.nodes["n"].kind == "parallel"
    with pytest.raises(InvalidSpecError, match="is of type command, its component of type parallel"):
        read_pipeline(write_pipeline(tmp_path, {"n": {"type": "command", "component": "parallel.yaml"}}))
    with pytest.raises(InvalidSpecError, match="is of type parallel, its component of type command"):
        read_pipeline(write_pipeline(tmp_path, {"n": {"type": "parallel", "component": component("true")}}))


@pytest.mark.parametrize(
    ("jobs", "message", "line"),
    [
        ({"n": {"component": "missing.yaml"}}, "There is no component file", 4),
        ({"n": {"type": "command"}}, "neither a component nor a command", 3),
        ({"n": {"component": {"type": "command"}}}, "command is missing", 4),
        ({"no-name": node("true")}, "not a name for a node", 3),
        ({"n": node("true", inputs={"x": [1]})}, "must be a single value", 8),
        ({"n": node("true", outputs={"x": "folder"})}, "not an output of the pipeline", 8),
        ({"n": node("true", resources=3)}, "resources must be a mapping", 7),
        ({"n": {"component": "pipeline.yaml", "type": "pipeline"}}, "contains itself", 4),
    ],
)
def test_a_fault_names_its_file_and_line(tmp_path: Path, jobs: dict[str, Any], message: str, line: int) -> None:
    path = write_pipeline(tmp_path, jobs)

    with pytest.raises(InvalidSpecError, match=message) as caught:
        read_pipeline(path)

    assert caught.value.where == f"{path}:{line}"


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, {"a": {"type": "command"}, "b": {"component": "gone.yaml"}, "c": {"type": "spark"}})

    with pytest.raises(InvalidSpecError, match="3 faults") as caught:
        read_pipeline(path)

    assert [example.split(": ")[0] for example in caught.value.examples] == [
        f"{path.name}:{line}" for line in (3, 6, 8)
    ]


class TestAssets:
    def test_registered_components_are_read_from_local_files(self, tmp_path: Path) -> None:
        write_yaml(tmp_path / "c.yaml", component("true", name="found"))
        assets = read_assets(write_yaml(tmp_path / "assets.yaml", {"azureml:train@latest": "c.yaml"}))

        pipeline = read_pipeline(write_pipeline(tmp_path, {"n": {"component": "azureml:train@latest"}}), assets)

        assert pipeline.nodes["n"].component.name == "found"

    @pytest.mark.parametrize(
        ("reference", "folder"),
        [
            ("azureml:flowers:3", "three"),
            ("azureml:flowers:4", "any"),
            ("azureml:flowers@latest", "any"),
            ("azureml://registries/r/data/d/versions/1", "registry"),
            ("azureml:trees:1", "trees"),
        ],
    )
    def test_a_name_with_its_version_goes_before_one_without(self, tmp_path: Path, reference: str, folder: str) -> None:
        for name in ("three", "any", "registry", "trees"):
            (tmp_path / name).mkdir()
        names = {
            "azureml:flowers:3": "three",
            "azureml:flowers": "any",
            "azureml://registries/r/data/d/versions/1": "registry",
            "trees:1": "trees",
        }

        assets = read_assets(write_yaml(tmp_path / "assets.yaml", names))

        assert assets.find(reference, SpecPlace("here")) == tmp_path / folder

    def test_a_name_that_is_not_there_is_refused_with_the_line_to_add(self, tmp_path: Path) -> None:
        path = write_pipeline(tmp_path, {"n": {"component": "azureml://registries/r/components/c/versions/1"}})

        with pytest.raises(UnsupportedLocallyError, match="azureml://registries/r/components/c/versions/1") as caught:
            read_pipeline(path)

        assert "--assets" in caught.value.advice

    @pytest.mark.parametrize("content", [{"azureml:a:1": "gone"}, {"azureml:a:1": 3}])
    def test_a_wrong_assets_file_is_refused(self, tmp_path: Path, content: dict[str, Any]) -> None:
        with pytest.raises(DesignerError, match=r"gone|must be a registered name"):
            read_assets(write_yaml(tmp_path / "assets.yaml", content))


@pytest.mark.parametrize("name", ["../../x", "a/b", "..", "a\x1b]0;b"])
def test_names_of_outputs_and_nodes_that_leave_the_run_folder_are_refused(tmp_path: Path, name: str) -> None:
    for jobs, ports in (({name: node("true")}, {}), ({"a": node("true")}, {"outputs": {name: FOLDER}})):
        with pytest.raises(InvalidSpecError, match="is not a name for"):
            read_pipeline(write_pipeline(tmp_path, jobs, **ports))


def _nested(folder: Path, levels: int, width: int) -> Path:
    """A pipeline of which each file names the next one `width` times."""
    for level in range(levels):
        jobs = {f"n{index}": {"type": "pipeline", "component": f"p{level + 1}.yaml"} for index in range(width)}
        write_yaml(folder / f"p{level}.yaml", {"type": "pipeline", "name": "p", "version": "1", "jobs": jobs})
    command = {"type": "pipeline", "name": "p", "version": "1", "jobs": {"a": node("true")}}
    write_yaml(folder / f"p{levels}.yaml", command)
    return folder / "p0.yaml"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("levels", "width", "message"),
    [
        (19, 2, "1,572,862 nodes"),
        (40, 9, "more than a billion"),
        (60, 1, "more than 50 levels"),
        (1, 600, "1,200 nodes"),
        (1, 1001, "1,001 nodes"),
    ],
)
def test_a_pipeline_that_nests_without_bounds_is_refused_in_no_time(
    tmp_path: Path, levels: int, width: int, message: str
) -> None:
    path = _nested(tmp_path, levels, width)
    started = time.process_time()

    with pytest.raises(InvalidSpecError, match=message) as caught:
        read_pipeline(path)
    findings = [finding for finding in lint([path]).findings if finding.kind == "nested-pipelines"]

    assert caught.value.reason == "too_large"
    assert [finding.message for finding in findings] == [caught.value.what]
    assert time.process_time() - started < 30


@pytest.mark.slow
def test_a_pipeline_of_too_many_nodes_has_that_fault_alone(tmp_path: Path) -> None:
    jobs = {f"n{number}": {"type": "command", "component": "./missing.yaml"} for number in range(1500)}
    path = write_pipeline(tmp_path, jobs)

    with pytest.raises(InvalidSpecError, match="1,500 nodes") as caught:
        read_pipeline(path)
    assert [finding.message for finding in lint([path]).findings] == [caught.value.what]


def test_a_large_pipeline_is_read(tmp_path: Path) -> None:
    pipeline = read_pipeline(_nested(tmp_path, 4, 3))

    assert len(pipeline.nodes) == 3


def test_a_pipeline_that_contains_itself_is_refused(tmp_path: Path) -> None:
    jobs = {"a": {"type": "pipeline", "component": "b.yaml"}}
    write_yaml(tmp_path / "b.yaml", {"type": "pipeline", "name": "b", "version": "1", "jobs": jobs})
    path = write_pipeline(tmp_path, jobs)

    with pytest.raises(InvalidSpecError, match="contains itself"):
        read_pipeline(path)
    assert "nested-pipelines" in {finding.kind for finding in lint([path]).findings}
