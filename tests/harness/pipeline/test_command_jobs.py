"""Command jobs without a pipeline: run as jobs of their own, from YAML and from azure-ai-ml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.errors import InvalidSpecError, UnknownNameError, UnsupportedLocallyError
from pytorch_designer.harness.pipeline.command_job import command_job_request
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.schema.assets import Assets
from pytorch_designer.harness.schema.pipeline_file import read_pipeline
from pytorch_designer.harness.testing.runner import Runner
from tests.harness.pipeline_files import ENVIRONMENT, make_folder, text_of, write_yaml

JOB: dict[str, Any] = {
    "$schema": "https://azuremlschemas.azureedge.net/latest/commandJob.schema.json",
    "display_name": "A job",
    "experiment_name": "pets",
    "environment": ENVIRONMENT,
    "environment_variables": {"LEVEL": "3"},
    "inputs": {
        "greeting": "hello world",
        "rate": 0.5,
        "flag": True,
        "folder": {"type": "uri_folder", "path": "data"},
        "bare": {"path": "data", "mode": "download"},
    },
    "outputs": {"model": None, "report": {"type": "uri_file"}},
    "command": "echo ${{inputs.greeting}} ${{inputs.rate}} ${{inputs.flag}} $LEVEL; cat ${{inputs.folder}}/a;"
    " cp ${{inputs.bare}}/a ${{outputs.model}}; echo ok > ${{outputs.report}}",
}


@pytest.fixture
def job(tmp_path: Path) -> Path:
    make_folder(tmp_path / "data", a="from a")
    return write_yaml(tmp_path / "job.yaml", JOB)


def test_a_job_runs_with_its_values_data_and_variables(tmp_path: Path, job: Path) -> None:
    run = Runner(tmp_path / "runs").run_component(job, has_mlflow=False)

    run.assert_succeeded()
    assert run.log == "hello world 0.5 True 3\nfrom a"
    assert text_of(run.outputs["model"] / "a") == "from a"
    assert text_of(run.outputs["report"]) == "ok\n"


def test_the_caller_goes_before_the_file(tmp_path: Path, job: Path) -> None:
    other = make_folder(tmp_path / "other", a="from other")

    run = Runner(tmp_path / "runs").run_component(
        job,
        inputs={"folder": other},
        parameters={"rate": 2},
        outputs={"model": tmp_path / "model"},
        environment={"LEVEL": "4"},
        has_mlflow=False,
    )

    assert run.log == "hello world 2 True 4\nfrom other"
    assert text_of(tmp_path / "model" / "a") == "from a"


@pytest.mark.slow
def test_the_command_line_runs_lints_and_explains(tmp_path: Path, job: Path) -> None:
    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "pytorch_designer", *arguments]
        return subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)

    done = command("run", str(job), "--no-mlflow", "--param", "greeting=hi")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Job         A job")
    assert "hi 0.5 True 3" in done.stdout
    assert command("lint", str(job)).stdout == "1 file checked: 0 errors, 0 warnings.\n"
    assert "job has no input 'gone'" in command("run", str(job), "--param", "gone=1").stderr


def test_a_pipeline_runner_takes_a_job_as_one_node(tmp_path: Path, job: Path) -> None:
    result = run_pipeline(job, run_folder=tmp_path / "run")

    assert {name: node.state.value for name, node in result.nodes.items()} == {"job": "completed"}
    assert text_of(result.outputs["model"] / "a") == "from a"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"inputs": {**JOB["inputs"], "folder": {"type": "uri_folder", "path": "gone"}}},
            Exception,
            "there is no .*gone",
        ),
        (
            {"inputs": {**JOB["inputs"], "folder": {"type": "uri_folder", "path": "azureml:x:1"}}},
            UnsupportedLocallyError,
            "azureml:x:1 is not on this machine",
        ),
        ({"inputs": {**JOB["inputs"], "folder": {"type": "uri_folder"}}}, InvalidSpecError, "input folder .*no value"),
        ({"command": "echo ${{inputs.gone}}"}, InvalidSpecError, "no input 'gone'"),
        ({"resources": {"instance_count": 2}}, UnsupportedLocallyError, "2 processes with no distribution"),
    ],
)
def test_what_cannot_run_is_refused(
    tmp_path: Path, job: Path, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    write_yaml(job, {**JOB, **changes})
    with pytest.raises(error, match=message):
        Runner(tmp_path / "runs").run_component(job)


def test_registered_data_of_a_job_is_found_in_the_assets(tmp_path: Path, job: Path) -> None:
    inputs = {**JOB["inputs"], "folder": {"type": "uri_folder", "path": "azureml:x:1"}}
    spec = read_pipeline(write_yaml(job, {**JOB, "inputs": inputs}))
    given: dict[str, Any] = {"inputs": {}, "outputs": {}, "environment_variables": {}}

    request, warnings = command_job_request(spec, tmp_path, **given, assets=Assets({"x": tmp_path / "data"}))

    assert (request.inputs["folder"], request.experiment, warnings) == (str(tmp_path / "data"), "pets", ())
    with pytest.raises(UnknownNameError, match="no output 'gone'"):
        command_job_request(spec, tmp_path, **{**given, "outputs": {"gone": tmp_path}}, assets=Assets({"x": tmp_path}))


@pytest.mark.filterwarnings("ignore")
def test_a_command_of_the_sdk_runs(tmp_path: Path, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    azure = pytest.importorskip("azure.ai.ml", exc_type=ImportError)
    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")
    monkeypatch.chdir(tmp_path)
    command = azure.command(
        command="echo ${{inputs.n}} ${{inputs.flag}} $LEVEL; cat ${{inputs.d}}/a; touch ${{outputs.o}}/x",
        environment="e@latest",
        inputs={"n": 3, "flag": True, "d": azure.Input(type="uri_folder", path="data")},
        outputs={"o": azure.Output(type="uri_folder")},
        environment_variables={"LEVEL": "3"},
        display_name="A job",
    )
    runner = Runner(tmp_path / "runs")

    run = runner.run_component(command, parameters={"n": 4}, has_mlflow=False)

    assert run.log == "4 True 3\nfrom a"
    assert [path.name for path in run.outputs["o"].iterdir()] == ["x"]
    assert runner.run_component(azure.load_job(job), has_mlflow=False).log == "hello world 0.5 True 3\nfrom a"
    assert runner.run_pipeline(command, has_mlflow=False).nodes["job"].log == "3 True 3\nfrom a"
