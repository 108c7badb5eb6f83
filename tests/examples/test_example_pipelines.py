"""The example's YAML and SDK forms: both load with azure-ai-ml, are valid, and define the same pipeline."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("azure.ai.ml", exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
EXAMPLES = Path(__file__).parents[2] / "examples"
FORMS = ["pipeline.yaml", "pipeline.py"]


class NoCredential:
    """Credential for calls that do not reach the network."""

    def get_token(self, *_scopes: str, **_options: Any) -> Any:
        raise AssertionError("loading and validating must not ask for a token")


@pytest.fixture(autouse=True)
def cloud_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")  # which the SDK sets for the whole process


def load(form: str) -> Any:
    from azure.ai.ml import load_job

    path = EXAMPLES / form
    if path.suffix == ".yaml":
        return load_job(path)
    spec = importlib.util.spec_from_file_location("example_pipeline", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.build_pipeline()


@pytest.mark.slow
@pytest.mark.parametrize("form", [*FORMS, "sweep.yaml", "several_nodes.yaml"])
def test_validation_without_the_service_finds_nothing(form: str) -> None:
    from azure.ai.ml import MLClient

    client = MLClient(NoCredential(), "00000000-0000-0000-0000-000000000000", "group", "workspace")
    result = client.jobs.validate(load(form))
    assert result.error_messages == {}
    assert result.passed


@pytest.mark.slow
def test_both_forms_are_the_same_pipeline() -> None:
    yaml_job, sdk_job = (load(form) for form in FORMS)
    assert nodes(yaml_job) == nodes(sdk_job)
    assert yaml_job.display_name == sdk_job.display_name
    assert yaml_job.description == sdk_job.description
    assert yaml_job.experiment_name == sdk_job.experiment_name
    assert yaml_job.settings.default_compute == sdk_job.settings.default_compute
    assert yaml_job.outputs.keys() == sdk_job.outputs.keys()
    assert inputs(yaml_job) == inputs(sdk_job)


def nodes(job: Any) -> dict[str, Any]:
    return {
        name: (node.component.display_name, node._to_rest_inputs(), node._to_rest_outputs())
        for name, node in job.jobs.items()
    }


def inputs(job: Any) -> dict[str, Any]:
    values = {name: port._data for name, port in job.inputs.items()}
    return {name: data_of(value) for name, value in values.items()}


def data_of(value: Any) -> Any:
    path = getattr(value, "path", None)
    return value if path is None else (value.type, (EXAMPLES / path).resolve())
