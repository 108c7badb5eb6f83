"""Python code of a pipeline: executed with the SDK, it builds the pipeline that the YAML describes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from pytorch_designer.cli.designer_templates import templates
from pytorch_designer.components.azure_files import write_project_components
from pytorch_designer.designer.document.component_library import ComponentLibrary
from pytorch_designer.designer.document.sdk_code import pipeline_code
from pytorch_designer.errors import DesignerError
from pytorch_designer.harness.schema.assets import Assets
from pytorch_designer.harness.schema.pipeline_file import read_pipeline
from pytorch_designer.harness.schema.pipeline_specification import NodeSpec, PipelineSpec
from pytorch_designer.harness.schema.specification import CommandSpec
from pytorch_designer.harness.schema.yaml_tree import parse_yaml
from tests.designer.pipelines import PIPELINE

FULL = PIPELINE.replace(
    "outputs:\n  model:\n    type: uri_folder\n",
    "outputs:\n  model:\n    type: uri_folder\n    mode: upload\n"
    "settings: {default_compute: azureml:cluster, continue_on_step_failure: false, force_rerun: true}\n"
    "experiment_name: Images\ndescription: It's two steps.\n",
).replace("      rate: 0.5  # fast\n", """\
      rate: 0.5
      fast: true
    compute: azureml:gpu
    resources: {instance_count: 2}
    distribution: {type: mpi, process_count_per_instance: 4}
    environment_variables: {A: "1"}
    limits: {timeout: 60}
""").replace("  first:", "  lambda:").replace("parent.jobs.first", "parent.jobs.lambda")  # fmt: skip

EXAMPLES = Path(__file__).parents[3] / "examples"
COMMENT = "    comment: Uses ${{parent.jobs.first.outputs.images}}.\n"
INLINE = PIPELINE.replace("    component: train.yaml\n    comment", """\
    command: echo ${{inputs.images}} ${{inputs.rate}} > ${{outputs.model}}/model
    environment: azureml:env:1
    code: src
    environment_variables: {A: "1"}
    comment""").replace("    component: prepare.yaml\n", """\
    component:
      type: command
      name: inner
      inputs: {raw: {type: uri_folder}, rows: {type: integer, default: 2, min: 1}}
      outputs: {images: {type: uri_folder}}
      environment: {image: python, conda_file: conda.yaml}
      command: cp -r ${{inputs.raw}} ${{outputs.images}}
    identity: {type: user_identity}
""").replace(COMMENT, "    description: It says itself.\n").replace("rate: 0.5", "rate: half")  # fmt: skip
INLINE = INLINE.replace("  model:\n    type: uri_folder", "  model:\n    type: uri_file")  # which its node does not say
SWEEP = PIPELINE.replace("    type: command\n    component: train.yaml\n", """\
    type: sweep
    trial: train.yaml
    compute: azureml:gpu
    objective: {primary_metric: accuracy, goal: maximize}
    sampling_algorithm: {type: random, seed: 3, rule: sobol}
    search_space:
      rate: {type: loguniform, min_value: -6, max_value: -1}
      fast: {type: choice, values: [true, false]}
    early_termination: {type: bandit, slack_factor: 0.2, evaluation_interval: 1}
    limits: {max_total_trials: 4, max_concurrent_trials: 2, trial_timeout: 60}
""").replace("      rate: 0.5  # fast\n", "").replace(COMMENT, "")  # fmt: skip


def code(text: str, project: Path) -> str:
    return pipeline_code(parse_yaml(text, project / "pipeline.yaml"), ComponentLibrary())


def facts(spec: PipelineSpec) -> object:
    nodes = {
        name: (
            {port: (given.text, given.is_path) for port, given in node.inputs.items()},
            dict(node.bound_outputs),
            dict(node.environment_variables),
            _resources(node),
            _distribution(node),
            dict(node.limits),
            (node.compute or "").removeprefix("azureml:"),
            node.component.name,
            _definition(node),
            _command(node),
        )
        for name, node in spec.nodes.items()
    }
    given = {name: (value.text, value.is_path) for name, value in spec.given.items()}
    compute = (spec.settings.default_compute or "").removeprefix("azureml:")
    settings = replace(spec.settings, default_compute=compute)
    return nodes, given, list(spec.outputs), settings, spec.display_name, spec.experiment_name


def _definition(node: NodeSpec) -> object:
    """The settings of a sweep, whose defaults the SDK writes out."""
    if node.definition is None:
        return None
    plain = node.definition.plain
    limits = {key: int(value) for key, value in plain["limits"].items() if value is not None}
    stopping = {
        key: value
        for key, value in (plain.get("early_termination") or {}).items()
        if value and key != "delay_evaluation"
    }
    searched = {
        name: [float(each) if not isinstance(each, list) else each for key, each in dimension.items() if key != "type"]
        for name, dimension in plain["search_space"].items()
    }
    sampling = plain["sampling_algorithm"]
    sampling = {"type": sampling} if isinstance(sampling, str) else sampling
    return plain["objective"], sampling, searched, stopping, limits


def _command(node: NodeSpec) -> object:
    component = node.component
    assert isinstance(component, CommandSpec)
    ports = [[(port.name, port.type) for port in ports.values()] for ports in (component.inputs, component.outputs)]
    code = None if component.code is None else Path(component.code).name
    return " ".join(component.command.split()), code, ports


def _resources(node: NodeSpec) -> dict[str, str]:
    """Likewise."""
    assert isinstance(node.component, CommandSpec)
    own = node.component.resources
    size = {} if own.shm_size is None else {"shm_size": own.shm_size}
    return {"instance_count": str(own.instance_count), **size, **node.resources}


def _distribution(node: NodeSpec) -> dict[str, str]:
    """With what it takes from the component, which the SDK copies into the node."""
    assert isinstance(node.component, CommandSpec)
    own = node.component.distribution
    if own is None:
        return dict(node.distribution)
    return {"type": own.type, "process_count_per_instance": str(own.process_count_per_instance), **node.distribution}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the SDK's own
@pytest.mark.parametrize("text", [PIPELINE, FULL, INLINE, SWEEP], ids=["plain", "full", "inline", "sweep"])
def test_the_program_builds_the_same_pipeline(text: str, project: Path) -> None:
    (project / "pipeline.yaml").write_text(text)
    (project / "conda.yaml").write_text("dependencies: [python]\n")
    (project / "src").mkdir()
    assert facts(built(project / "pipeline.yaml")) == facts(read_pipeline(project / "pipeline.yaml"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the SDK's own
def test_the_programs_of_all_examples_and_templates_build_them(tmp_path: Path) -> None:
    files = sorted(EXAMPLES.glob("*.yaml"))
    write_project_components(tmp_path / "components")
    for template in templates():
        files.append(tmp_path / f"{template.template_id}.yaml")
        files[-1].write_text(re.sub(r"builtin:(\w+)", r"components/\1.yaml", template.text))
    for file in files:
        wanted = read_pipeline(file)
        assert facts(built(file)) == facts(replace(wanted, display_name=wanted.display_name or "build_pipeline"))
    assert len(files) >= 7


def built(file: Path) -> PipelineSpec:
    """What the program of a pipeline builds, beside its file."""
    pytest.importorskip("azure.ai.ml")
    from pytorch_designer.harness.schema.azure_objects import pipeline_job

    program = pipeline_code(parse_yaml(file.read_text(encoding="utf-8"), file), ComponentLibrary())
    names: dict[str, object] = {"__file__": str(file.with_name("build.py")), "__name__": "built"}
    exec(compile(program, "build.py", "exec", dont_inherit=True), names)
    return pipeline_job(names["job"], Assets())


def test_code_says_which_nodes_are_disabled(project: Path) -> None:
    text = code(PIPELINE.replace("    comment:", "    properties: {designer.disabled: 'true'}\n    comment:"), project)
    assert "    # Disabled on the designer page; what this code builds runs it.\n    second = " in text
    assert "second.properties = {'designer.disabled': 'true'}" in text


@pytest.mark.parametrize(
    ("replaced", "by", "message"),
    [
        ("    component: train.yaml", "    component: {type: spark, code: .}", "Only commands are written"),
        ("    component: train.yaml", "    component: {type: command, jobs: {}}", "The command has jobs, which"),
        ("type: command\n    component: train.yaml", "type: parallel", "second has no component file"),
        ("type: command\n    component: train.yaml", "type: automl", "second is of type automl"),
        ("component: train.yaml", "component: train.yaml\n    distribution: {type: ray}", "no class for this distrib"),
        ("component: train.yaml", "component: train.yaml\n    services: {a: {type: ssh}}", "has services, which"),
        ("type: pipeline\n", "type: pipeline\nlog_files: {}\n", "The pipeline has log_files, which is not"),
        ("  second:", "  decide:\n    type: if_else\n    condition: a\n  second:", "no public function"),
        ("raw: ${{parent.inputs.raw}}", "raw: ${{parent.inputs.raw}}/part", "/part is not written as code"),
        ("type: pipeline\n", "type: pipeline\nversion: 1\n", "Code is written for pipeline jobs"),
        ("  rows: 5", "  lambda: 5", "The input lambda of the pipeline is no name for an argument"),
    ],
)  # fmt: skip
def test_what_pipeline_functions_cannot_say_is_refused_by_name(
    replaced: str, by: str, message: str, project: Path
) -> None:
    with pytest.raises(DesignerError) as error:
        code(PIPELINE.replace(replaced, by, 1), project)
    assert message in error.value.what
    assert error.value.reason == "no_code"


def test_registered_components_come_from_the_workspace(project: Path) -> None:
    text = code(PIPELINE.replace("component: train.yaml", "component: azureml:train:3"), project)
    assert "CLIENT.components.get('train', version='3')" in text
    compile(text, "build.py", "exec")
