"""Holds the linter against the installed azure-ai-ml: its tables of keys, and what it says the SDK does."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.harness.schema import vocabulary
from tests.harness.lint.lint_files import PIPELINE
from tests.harness.lint.test_component_rules import MISTAKES, Mistake, edited

azure = pytest.importorskip("azure.ai.ml", exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def cloud_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")  # which the SDK sets for the whole process


class NoCredential:
    """Stands for a login in calls that do not reach the network."""

    def get_token(self, *_scopes: str, **_options: Any) -> Any:
        raise AssertionError("validation must not ask for a token")


def validate(path: Path) -> dict[str, str]:
    client = azure.MLClient(NoCredential(), "00000000-0000-0000-0000-000000000000", "group", "workspace")
    result = client.components.validate(azure.load_component(path))
    return dict(result.error_messages)


def sdk_keys(schema_class: type[Any]) -> frozenset[str]:
    fields = (
        schema_class(context={"base_path": Path()}).fields if _needs_context(schema_class) else schema_class().fields
    )
    return frozenset(field.data_key or name for name, field in fields.items())


def _needs_context(schema_class: type[Any]) -> bool:
    from azure.ai.ml._schema.core.schema import PathAwareSchema

    return issubclass(schema_class, PathAwareSchema)


def test_tables_of_keys_are_those_of_the_sdk() -> None:
    from azure.ai.ml._schema._sweep.sweep_job import SweepJobSchema
    from azure.ai.ml._schema.assets.environment import AnonymousEnvironmentSchema, BuildContextSchema
    from azure.ai.ml._schema.component.command_component import CommandComponentSchema
    from azure.ai.ml._schema.component.input_output import InputPortSchema, OutputPortSchema, ParameterSchema
    from azure.ai.ml._schema.job.distribution import (
        MPIDistributionSchema,
        PyTorchDistributionSchema,
        RayDistributionSchema,
        TensorFlowDistributionSchema,
    )
    from azure.ai.ml._schema.job.input_output_entry import DataInputSchema, InputLiteralValueSchema, OutputSchema
    from azure.ai.ml._schema.job_resource_configuration import JobResourceConfigurationSchema
    from azure.ai.ml._schema.pipeline.component_job import CommandSchema, ParallelSchema, SweepSchema
    from azure.ai.ml._schema.pipeline.pipeline_command_job import PipelineCommandJobSchema
    from azure.ai.ml._schema.pipeline.pipeline_component import PipelineComponentSchema, PipelineSchema
    from azure.ai.ml._schema.pipeline.pipeline_job import PipelineJobSchema

    assert sdk_keys(CommandComponentSchema) == vocabulary.COMMAND_COMPONENT_KEYS
    assert sdk_keys(PipelineComponentSchema) == vocabulary.PIPELINE_COMPONENT_KEYS
    assert sdk_keys(PipelineJobSchema) == vocabulary.PIPELINE_JOB_KEYS
    assert sdk_keys(SweepJobSchema) == vocabulary.SWEEP_JOB_KEYS
    assert sdk_keys(ParameterSchema) == vocabulary.PARAMETER_KEYS
    assert sdk_keys(InputPortSchema) == vocabulary.DATA_INPUT_KEYS
    assert sdk_keys(OutputPortSchema) == vocabulary.OUTPUT_KEYS
    assert sdk_keys(DataInputSchema) | sdk_keys(InputLiteralValueSchema) == vocabulary.JOB_INPUT_KEYS
    assert sdk_keys(OutputSchema) == vocabulary.JOB_OUTPUT_KEYS
    assert sdk_keys(JobResourceConfigurationSchema) == vocabulary.RESOURCES_KEYS
    assert sdk_keys(AnonymousEnvironmentSchema) == vocabulary.ENVIRONMENT_KEYS
    assert sdk_keys(BuildContextSchema) == vocabulary.BUILD_KEYS
    assert sdk_keys(PipelineCommandJobSchema) == vocabulary.INLINE_COMMAND_KEYS
    assert {
        "pytorch": sdk_keys(PyTorchDistributionSchema),
        "mpi": sdk_keys(MPIDistributionSchema),
        "tensorflow": sdk_keys(TensorFlowDistributionSchema),
        "ray": sdk_keys(RayDistributionSchema),
    } == vocabulary.DISTRIBUTION_KEYS
    # Nodes also keep a name, tags and so on, which the SDK takes as attributes outside of the schema.
    extra = {"name", "display_name", "experiment_name", "description", "tags"}
    assert sdk_keys(CommandSchema) | extra == vocabulary.NODE_KEYS["command"]
    assert sdk_keys(PipelineSchema) | extra == vocabulary.NODE_KEYS["pipeline"]
    assert sdk_keys(SweepSchema) | extra | {"identity"} == vocabulary.NODE_KEYS["sweep"]
    assert sdk_keys(ParallelSchema) | extra == vocabulary.NODE_KEYS["parallel"]


def test_types_and_modes_are_those_of_the_sdk() -> None:
    from azure.ai.ml._schema.component.input_output import (
        SUPPORTED_INPUT_OUTPUT_MODES,
        SUPPORTED_PARAM_TYPES,
        SUPPORTED_PORT_TYPES,
    )

    assert set(SUPPORTED_PARAM_TYPES) == vocabulary.PARAMETER_TYPES
    assert set(SUPPORTED_PORT_TYPES) == vocabulary.DATA_TYPES
    assert set(SUPPORTED_INPUT_OUTPUT_MODES) == vocabulary.MODES


@pytest.mark.slow
@pytest.mark.parametrize("mistake", MISTAKES, ids=[f"{m.rule_id}-{i}" for i, m in enumerate(MISTAKES)])
def test_the_sdk_treats_each_mistake_as_we_say(folder: Path, mistake: Mistake) -> None:
    path = folder / "component.yaml"
    path.write_text(edited(mistake), encoding="utf-8")
    if mistake.sdk == "refused":
        with pytest.raises(Exception):  # noqa: B017, PT011 (the SDK raises six classes here, some of marshmallow)
            validate(path)
        return
    assert bool(validate(path)) == (mistake.sdk == "invalid")


@pytest.mark.slow
def test_files_without_mistake_load_and_validate(folder: Path) -> None:
    assert validate(folder / "component.yaml") == {}
    assert validate(folder / "prepare.yaml") == {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        job = azure.load_job(folder / "pipeline.yaml")
    assert sorted(job.jobs) == ["prepare", "show", "train"]
    assert PIPELINE.startswith("$schema")
