"""A pipeline of the SDK and the same pipeline as YAML are the same here."""

# No `from __future__ import annotations`: the SDK needs the annotations of a pipeline function as objects.

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.errors import DesignerError, UnsupportedLocallyError
from pytorch_designer.harness.pipeline.pipeline_plan import Plan, plan_pipeline
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.schema.assets import Assets
from pytorch_designer.harness.schema.azure_objects import pipeline_job
from pytorch_designer.harness.schema.pipeline_file import read_pipeline
from pytorch_designer.harness.schema.pipeline_specification import PipelineSpec
from tests.harness.pipeline_files import FOLDER, component, make_folder, node, text_of, write_pipeline, write_yaml

azure_ai_ml = pytest.importorskip("azure.ai.ml")
from azure.ai.ml import Input, Output, command, dsl, load_component, load_job  # noqa: E402 - after importorskip
from azure.ai.ml.dsl._group_decorator import group  # noqa: E402 - after importorskip

pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's own

STEP = component(
    "cat ${{inputs.data}}/* > ${{outputs.out}}/text;"
    " echo ${{inputs.rate}} $[[${{inputs.note}}]] $LEVEL >> ${{outputs.out}}/text",
    name="step",
    inputs={
        "data": FOLDER,
        "rate": {"type": "number", "default": 0.5},
        "note": {"type": "string", "optional": True},
    },
    outputs={"out": FOLDER},
)
INNER = {
    "type": "pipeline",
    "name": "inner",
    "inputs": {"data": FOLDER, "rate": {"type": "number"}},
    "outputs": {"result": FOLDER},
    "jobs": {
        "x": {"type": "command", "component": "step.yaml", "inputs": {"data": "${{parent.inputs.data}}"}},
        "y": {
            "type": "command",
            "component": "step.yaml",
            "inputs": {"data": "${{parent.jobs.x.outputs.out}}", "rate": "${{parent.inputs.rate}}"},
            "outputs": {"out": "${{parent.outputs.result}}"},
        },
    },
}
JOBS: dict[str, Any] = {
    "first": {
        "type": "command",
        "component": "step.yaml",
        "inputs": {
            "data": "${{parent.inputs.data}}",
            "rate": "${{parent.inputs.rate}}",
            "note": "n-${{parent.inputs.word}}",
        },
        "environment_variables": {"LEVEL": "${{parent.inputs.word}}"},
        "outputs": {"out": {"mode": "upload"}},
    },
    "nested": {
        "type": "pipeline",
        "component": "inner.yaml",
        "inputs": {"data": "${{parent.jobs.first.outputs.out}}", "rate": 3},
    },
    "last": {
        "type": "command",
        "component": "step.yaml",
        "inputs": {"data": "${{parent.jobs.nested.outputs.result}}", "rate": "${{parent.inputs.rate}}"},
        "resources": {"instance_count": 1},
        "distribution": {"type": "pytorch", "process_count_per_instance": 1},
        "outputs": {"out": "${{parent.outputs.final}}"},
    },
}
INPUTS = {"data": {**FOLDER, "path": "data"}, "rate": 0.25, "word": "hey"}


@pytest.fixture
def yaml_file(tmp_path: Path) -> Path:
    make_folder(tmp_path / "data", a="start\n")
    write_yaml(tmp_path / "step.yaml", STEP)
    write_yaml(tmp_path / "inner.yaml", INNER)
    return write_pipeline(tmp_path, JOBS, inputs=INPUTS, outputs={"final": FOLDER})


def _dsl_job(folder: Path) -> Any:
    step = load_component(folder / "step.yaml")

    @dsl.pipeline()
    def inner(data: Input, rate: float) -> dict[str, Any]:
        x = step(data=data)
        y = step(data=x.outputs.out, rate=rate)
        return {"result": y.outputs.out}

    @dsl.pipeline()
    def pipeline(data: Input, rate: float, word: str) -> dict[str, Any]:
        first = step(data=data, rate=rate, note=f"n-{word}")
        first.environment_variables = {"LEVEL": word}
        first.outputs.out.mode = "upload"
        nested = inner(data=first.outputs.out, rate=3)
        last = step(data=nested.outputs.result, rate=rate)
        last.resources = {"instance_count": 1}
        last.distribution = {"type": "pytorch", "process_count_per_instance": 1}
        return {"final": last.outputs.out}

    return pipeline(data=Input(type="uri_folder", path=str(folder / "data")), rate=0.25, word="hey")


def _comparable(plan: Plan) -> dict[str, Any]:
    """A plan without what a file says and an object does not: paths of files, and names of anonymous components."""
    nodes = {}
    for name, planned in plan.nodes.items():
        spec = asdict(replace(planned.spec, source=Path(), name="", version=None))
        spec["environment"] = str(spec["environment"]).removeprefix("azureml:")
        nodes[name] = (spec, planned.inputs, planned.environment_variables, planned.pipeline_outputs, planned.needs)
    return {"nodes": nodes, "outputs": plan.outputs, "settings": plan.pipeline.settings}


@pytest.mark.parametrize("source", ["load_job", "dsl"])
def test_the_plan_of_an_object_is_that_of_the_file(tmp_path: Path, yaml_file: Path, source: str) -> None:
    job = load_job(yaml_file) if source == "load_job" else _dsl_job(tmp_path)

    assert _comparable(plan_pipeline(pipeline_job(job))) == _comparable(plan_pipeline(read_pipeline(yaml_file)))


@pytest.mark.slow
def test_all_forms_give_equal_outputs(tmp_path: Path, yaml_file: Path) -> None:
    jobs = {"yaml": yaml_file, "load_job": load_job(yaml_file), "dsl": _dsl_job(tmp_path)}

    texts = {
        name: text_of(run_pipeline(job, run_folder=tmp_path / name).outputs["final"] / "text")
        for name, job in jobs.items()
    }

    assert texts == dict.fromkeys(jobs, "start\n0.25 n-hey hey\n0.5\n3\n0.25\n")


def test_a_job_that_was_loaded_by_a_relative_path_finds_its_files(
    tmp_path: Path, yaml_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    job = load_job(os.path.relpath(yaml_file))

    pipeline = pipeline_job(job)

    assert pipeline.given["data"].text == str(tmp_path / "data")


def test_groups_and_settings_of_an_object_are_read(tmp_path: Path, yaml_file: Path) -> None:
    step = load_component(tmp_path / "step.yaml")

    @group
    class Inner:
        rate: float = 0.1

    @group
    class Training:
        note: str = "hello"
        inner: Inner = None  # type: ignore[assignment]  # as users of the SDK write it

    @dsl.pipeline(continue_on_step_failure=False, force_rerun=True, default_compute="cpu")
    def pipeline(data: Input, training: Training) -> None:
        step(data=data, rate=training.inner.rate, note=training.note)

    training = Training(note="x", inner=Inner(rate=0.75))  # type: ignore[call-arg]  # as users of the SDK write it
    job = pipeline(data=Input(type="uri_folder", path=str(tmp_path / "data")), training=training)

    plan = plan_pipeline(pipeline_job(job))

    assert {name: source.text({}) for name, source in plan.nodes["step"].inputs.items()} == {
        "data": str(tmp_path / "data"),
        "rate": "0.75",
        "note": "x",
    }
    settings = plan.pipeline.settings
    assert (settings.continue_on_step_failure, settings.force_rerun, settings.default_compute) == (False, True, "cpu")


def test_commands_that_were_built_in_python_run(tmp_path: Path) -> None:
    data = make_folder(tmp_path / "data", a="text")
    copy = command(
        name="copy",
        command="cp ${{inputs.d}}/a ${{outputs.o}}/a-${{inputs.k}}-$WORD",
        environment="azureml:env:1",
        inputs={"d": Input(type="uri_folder"), "k": 3},
        outputs={"o": Output(type="uri_folder")},
        environment_variables={"WORD": "w"},
    )

    @dsl.pipeline()
    def pipeline(data: Input) -> dict[str, Any]:
        done = copy(d=data)
        return {"o": done.outputs.o}

    result = run_pipeline(pipeline(data=Input(type="uri_folder", path=str(data))), run_folder=tmp_path / "run")

    assert [path.name for path in result.outputs["o"].iterdir()] == ["a-3-w"]


def test_an_optional_input_that_was_not_given_is_left_out(tmp_path: Path, yaml_file: Path) -> None:
    step = load_component(tmp_path / "step.yaml")

    @dsl.pipeline()
    def pipeline(data: Input, note: Input(type="string", optional=True) = None) -> None:  # type: ignore[valid-type]  # as users write it
        step(data=data, note=note)

    job = pipeline(data=Input(type="uri_folder", path=str(tmp_path / "data")))

    assert list(plan_pipeline(pipeline_job(job)).nodes["step"].inputs) == ["data"]


def test_registered_components_are_found_in_the_assets(tmp_path: Path, yaml_file: Path) -> None:
    jobs = {"n": {"type": "command", "component": "azureml:step:1", "inputs": {"data": "${{parent.inputs.data}}"}}}
    job = load_job(write_pipeline(tmp_path / "other", jobs, inputs={"data": {**FOLDER, "path": "../data"}}))

    pipeline = pipeline_job(job, Assets({"step:1": tmp_path / "step.yaml"}))

    assert pipeline.nodes["n"].component.name == "step"
    with pytest.raises(UnsupportedLocallyError, match="step:1"):
        pipeline_job(job)


def test_a_job_may_do_no_more_than_run_a_registered_pipeline_component(tmp_path: Path, yaml_file: Path) -> None:
    document = {"type": "pipeline", "component": "azureml:inner:1", "inputs": {"data": INPUTS["data"], "rate": 2}}
    job = load_job(write_yaml(tmp_path / "job.yaml", document))

    plan = plan_pipeline(pipeline_job(job, Assets({"inner": tmp_path / "inner.yaml"})))

    assert plan.inputs == {"data": str(tmp_path / "data"), "rate": "2"}
    assert list(plan.nodes) == ["x", "y"]


def test_other_jobs_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedLocallyError, match="is not a pipeline job"):
        pipeline_job(load_component(write_yaml(tmp_path / "c.yaml", component("echo"))))


def test_a_plain_specification_is_a_job_too(tmp_path: Path) -> None:
    pipeline = read_pipeline(write_pipeline(tmp_path, {"n": node("true")}))
    assert isinstance(pipeline, PipelineSpec)

    assert run_pipeline(pipeline, run_folder=tmp_path / "run").has_succeeded


@pytest.mark.slow
def test_parameters_without_annotation_and_expressions_run(tmp_path: Path) -> None:
    make_folder(tmp_path / "data", a="from a")
    kinds = {"n": "integer", "rate": "number", "flag": "boolean", "text": "string", "folder": "uri_folder"}
    step = load_component(
        write_yaml(
            tmp_path / "show.yaml",
            component(
                "echo $[[${{inputs.n}}]] $[[${{inputs.rate}}]] $[[${{inputs.flag}}]] $[[${{inputs.text}}]]"
                " $[[$(cat ${{inputs.folder}}/a)]]; echo 11 > ${{outputs.size}}",
                name="show",
                inputs={name: {"type": kind, "optional": True} for name, kind in kinds.items()},
                outputs={"size": {"type": "integer", "is_control": True}},
            ),
        )
    )

    @dsl.pipeline
    def whole(k: int, bare, folder, name: str = "it is", missing: str = None):  # type: ignore[no-untyped-def, assignment]  # noqa: RUF013
        plain = step(n=bare, rate=bare, text=bare, folder=folder)
        calculated = step(n=k + 1, rate=k / 8, flag=k > 3, text=name + "_x")
        last = step(n=(calculated.outputs.size * 2 + k) // 2, text=missing)
        assert plain
        assert last

    job = whole(k=4, bare=7, folder=Input(type="uri_folder", path=str(tmp_path / "data")))
    result = run_pipeline(job, run_folder=tmp_path / "run")

    assert [(name, found.error) for name, found in result.nodes.items() if found.error] == []
    logs = {name: text_of(found.log_files[0]) for name, found in result.nodes.items()}
    assert logs["plain"] == "7 7 7 from a\n"
    assert logs["calculated"] == "5 0.5 True it is_x\n"
    assert logs["last"] == "13\n"
    assert {found.state.value for found in result.nodes.values()} == {"completed"}


def test_an_input_that_a_node_requires_needs_a_value(tmp_path: Path) -> None:
    step = load_component(
        write_yaml(tmp_path / "c.yaml", component("echo ${{inputs.n}}", name="c", inputs={"n": {"type": "integer"}}))
    )

    @dsl.pipeline
    def whole(n: int = None):  # type: ignore[no-untyped-def, assignment]  # noqa: RUF013
        step(n=n)

    with pytest.raises(DesignerError, match="input n of c has no value"):
        run_pipeline(whole(), run_folder=tmp_path / "run")


def test_single_values_of_commands_decide_about_nodes(tmp_path: Path) -> None:
    from azure.ai.ml.dsl._condition import condition
    from azure.ai.ml.dsl._do_while import do_while

    value, environment = Output(type="boolean", is_control=True), "azureml:e:1"
    more = "if [ ${{inputs.i}} -lt 2 ]; then echo true; else echo false; fi > ${{outputs.again}}"
    step = command(
        name="step",
        command=f"echo $((${{{{inputs.i}}}}+1)) > ${{{{outputs.n}}}}; {more}",
        inputs={"i": Input(type="integer")},
        outputs={"n": Output(type="integer", is_control=True), "again": value},
        environment=environment,
    )
    say = command(name="say", command="echo said", environment=environment)

    @dsl.pipeline()
    def counting() -> None:
        counted = step(i=0)
        do_while(body=counted, condition=counted.outputs.again, mapping={"n": counted.inputs.i}, max_iteration_count=9)
        yes, no = say(), say()
        condition(condition=counted.outputs.again, true_block=yes, false_block=no)

    result = run_pipeline(counting(), run_folder=tmp_path / "run")

    states = {name: found.state.value for name, found in result.nodes.items()}
    assert states == {"counted": "completed", "yes": "bypassed", "no": "completed"}
    assert result.nodes["counted"].run_folder.name == "counted.round_3"


@pytest.mark.slow
def test_single_values_of_a_nested_pipeline_decide_and_are_handed_on(tmp_path: Path) -> None:
    from azure.ai.ml.dsl._do_while import do_while

    kinds = {"next": "integer", "again": "boolean"}
    step = command(
        name="step",
        command="echo $((${{inputs.x}} * 2)) > ${{outputs.next}}; [ ${{inputs.x}} -lt 5 ] && again=true || again=false;"
        " echo $again > ${{outputs.again}}",
        inputs={"x": Input(type="integer")},
        outputs={name: Output(type=kind, is_control=True) for name, kind in kinds.items()},
        environment="azureml:e:1",
    )
    show = command(name="show", command="echo ${{inputs.x}}", inputs={"x": 0}, environment="azureml:e:1")

    @dsl.pipeline()
    def twice(x: int) -> Any:
        return step(x=x).outputs

    @dsl.pipeline()
    def pipeline() -> None:
        rounds = twice(x=1)
        mapping = {rounds.outputs.next: rounds.inputs.x}
        do_while(body=rounds, condition=rounds.outputs.again, mapping=mapping, max_iteration_count=10)
        last = show(x=rounds.outputs.next)
        assert last

    result = run_pipeline(pipeline(), run_folder=tmp_path / "run")

    assert result.has_succeeded
    assert text_of(result.nodes["last"].log_files[0]) == "16\n"
