from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.cli.commands.cloud_commands import run_submit
from pytorch_designer.cloud.submit import submit
from pytorch_designer.errors import CloudAccessError, InvalidSpecError
from tests.cloud.azure_service import Answer, AzureService
from tests.cloud.conftest import REPOSITORY, SUBSCRIPTION

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
OPTIONS = ["--workspace", "ws", "--resource-group", "rg", "--subscription", SUBSCRIPTION]
PIPELINE = """\
$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json
type: pipeline
name: fixed
experiment_name: of-the-file
inputs:
  images:
    type: uri_folder
    path: images
  epochs: 3
outputs:
  model:
    type: uri_folder
settings:
  default_compute: azureml:serverless
jobs:
  train:
    type: command
    component: component.yaml
    inputs:
      untrained_model: ${{parent.inputs.images}}
      training_dataset: ${{parent.inputs.images}}
      validation_dataset: ${{parent.inputs.images}}
      epochs: ${{parent.inputs.epochs}}
    outputs:
      trained_model: ${{parent.outputs.model}}
"""


@pytest.fixture
def pipeline(component: Path) -> Path:
    folder = component.parent / "images"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"pixels")
    path = component.with_name("pipeline.yaml")
    path.write_text(PIPELINE, encoding="utf-8")
    return path


def job_of(service: AzureService, name: str) -> Any:
    [request] = service.of("PUT", rf"/workspaces/ws/jobs/{name}")
    assert request.query == {"api-version": "2024-01-01-preview"}
    return request.json["properties"]


@pytest.mark.slow
def test_pipeline_is_sent_with_its_nodes_bindings_and_values(
    client: Any, service: AzureService, pipeline: Path
) -> None:
    done = submit(client, pipeline)
    assert done.name == "fixed"
    job = job_of(service, "fixed")
    assert job["jobType"] == "Pipeline"
    assert job["experimentName"] == "of-the-file"
    assert job["inputs"]["epochs"] == {"jobInputType": "literal", "value": "3"}
    assert job["inputs"]["images"]["jobInputType"] == "uri_folder"
    train = job["jobs"]["train"]
    assert train["inputs"]["epochs"] == {"job_input_type": "literal", "value": "${{parent.inputs.epochs}}"}
    assert train["outputs"]["trained_model"]["value"] == "${{parent.outputs.model}}"
    [component] = service.of("PUT", r"/components/[^/]+/versions/[^/]+")
    assert train["componentId"].endswith(component.path)
    assert component.json["properties"]["componentSpec"]["inputs"]["epochs"]["min"] == "1"


@pytest.mark.slow
def test_local_data_is_uploaded(client: Any, service: AzureService, pipeline: Path) -> None:
    submit(client, pipeline)
    assert [r.body for r in service.requests if r.path.endswith("/images/a.png") and r.body] == [b"pixels"]


@pytest.mark.slow
def test_experiment_option_replaces_the_file_s(
    connected: Callable[..., Any], service: AzureService, pipeline: Path
) -> None:
    arguments = [str(pipeline), *OPTIONS, "--experiment", "mine"]
    assert run_submit(arguments, "pytorch-designer", connected=connected) == 0
    assert job_of(service, "fixed")["experimentName"] == "mine"


@pytest.mark.slow
def test_example_is_submitted_as_it_is(connected: Callable[..., Any], service: AzureService) -> None:
    arguments = [str(REPOSITORY / "examples" / "pipeline.yaml"), *OPTIONS]
    assert run_submit(arguments, "pytorch-designer", connected=connected) == 0
    job = job_of(service, "[^/]+")
    assert {"training_directory", "validation_directory", "resnet", "train"} <= job["jobs"].keys()
    assert job["jobs"]["resnet"]["inputs"]["pretrained"] == {"job_input_type": "literal", "value": "False"}


def test_nothing_is_sent_when_the_linter_finds_an_error(
    connected: Callable[..., Any], service: AzureService, pipeline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline.write_text(PIPELINE.replace("epochs: 3", "epochs: 0"), encoding="utf-8")
    assert run_submit([str(pipeline), *OPTIONS], "pytorch-designer", connected=connected) == 1
    assert "value-out-of-range" in capsys.readouterr().out
    assert service.requests == []


def test_file_that_the_sdk_refuses_is_a_named_error(client: Any, service: AzureService, pipeline: Path) -> None:
    pipeline.write_text(PIPELINE.replace("settings:", "setings:"), encoding="utf-8")
    with pytest.raises(InvalidSpecError, match="setings") as raised:
        submit(client, pipeline)
    assert raised.value.where == str(pipeline)
    assert service.requests == []


def test_login_without_rights_is_a_named_error(client: Any, service: AzureService, pipeline: Path) -> None:
    answer = Answer(403, {"error": {"code": "AuthorizationFailed", "message": "The client may not write jobs."}})
    service.failing = (r"PUT .*/jobs/", answer)
    with pytest.raises(CloudAccessError, match="may not write jobs"):
        submit(client, pipeline)


def test_a_command_job_is_sent_with_its_values_and_variables(
    connected: Callable[..., Any], service: AzureService, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_bytes(b"text")
    (tmp_path / "job.yaml").write_text(
        "$schema: https://azuremlschemas.azureedge.net/latest/commandJob.schema.json\n"
        "name: fixed\nenvironment: azureml:env:1\ncompute: azureml:cluster\nenvironment_variables: {LEVEL: '3'}\n"
        "inputs:\n  rate: 0.5\n  data: {type: uri_folder, path: data}\noutputs:\n  out:\n"
        "command: echo ${{inputs.rate}} $LEVEL; ls ${{inputs.data}} ${{outputs.out}}\n",
        encoding="utf-8",
    )

    assert run_submit([str(tmp_path / "job.yaml"), *OPTIONS], "pytorch-designer", connected=connected) == 0

    [request] = service.of("PUT", r"/workspaces/ws/jobs/fixed")
    job = request.json["properties"]
    assert (job["jobType"], job["environmentVariables"]) == ("Command", {"LEVEL": "3"})
    assert job["inputs"]["rate"] == {"jobInputType": "literal", "value": "0.5"}
    assert job["inputs"]["data"]["jobInputType"] == "uri_folder"
    assert "out" in job["outputs"]
