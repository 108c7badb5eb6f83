"""Contract: YAML, command line, reference pages and definition say the same, and azure-ai-ml agrees."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytorch_designer import __version__
from pytorch_designer.cli.commands.component_command import component_parser
from pytorch_designer.cli.generate import generated_files
from pytorch_designer.components.registry import COMPONENTS
from pytorch_designer.components.train_pytorch_model import COMPONENT as TRAIN
from pytorch_designer.spec.component import Component, dashed

TOP = Path(__file__).parent.parent.parent
FOLDERS = ("components", "environment")
ALL = [pytest.param(component, id=component.name) for component in COMPONENTS.values()]


def yaml_path(component: Component[Any]) -> Path:
    return TOP / ("component.yaml" if component is TRAIN else f"components/{component.name}.yaml")


# azure-ai-ml warns of its own dependencies, while it is imported and while it is used.
ignore_azure_warnings = pytest.mark.filterwarnings("ignore")


def load(component: Component[Any]) -> Any:
    from azure.ai.ml import load_component

    return load_component(yaml_path(component))


@pytest.mark.parametrize("name", sorted(generated_files()))
def test_committed_file_is_what_the_definitions_generate(name: str) -> None:
    assert (TOP / name).read_text(encoding="utf-8") == generated_files()[name], "run `make generate`"


def test_no_generated_file_is_left_over() -> None:
    present = {path.relative_to(TOP).as_posix() for name in FOLDERS for path in (TOP / name).glob("*")}
    assert present == {name for name in generated_files() if name.partition("/")[0] in FOLDERS}


def test_train_pytorch_model_keeps_the_contract_of_the_old_module() -> None:
    assert [port.name for port in TRAIN.inputs] == ["untrained_model", "training_dataset", "validation_dataset"]
    assert [port.name for port in TRAIN.outputs] == ["trained_model"]
    contract = [(spec.name, spec.type_name, spec.minimum, spec.maximum, spec.default) for spec in TRAIN.parameter_specs]
    assert contract == [
        ("epochs", "integer", 1, None, 5),
        ("batch_size", "integer", 1, None, 16),
        ("learning_rate", "number", 5e-324, None, 0.001),
        ("random_seed", "integer", None, None, 1),
        ("patience", "integer", 1, None, 3),
    ]


@pytest.mark.parametrize("component", ALL)
def test_every_port_and_parameter_is_described(component: Component[Any]) -> None:
    descriptions = [port.description for port in (*component.inputs, *component.outputs)]
    descriptions += [spec.description for spec in component.parameter_specs]
    assert all(description.endswith(".") for description in descriptions)
    assert component.description.endswith(".")


@pytest.mark.parametrize("component", ALL)
def test_command_of_the_yaml_is_understood_by_the_command_line(component: Component[Any]) -> None:
    command = yaml.safe_load(yaml_path(component).read_text(encoding="utf-8"))["command"]
    assert "\\" not in command
    line, _, text = command.partition(" <<'END")
    words = shlex.split(line.replace("$[[", "").replace("]]", ""))
    assert words[:3] == ["python", "-m", "pytorch_designer"]
    assert words[3] == component.command
    given = vars(component_parser(component, "pytorch-designer").parse_args(words[4:]))
    bound = {name: f"${{{{inputs.{name}}}}}" for name in given}
    bound |= {port.name: f"${{{{outputs.{port.name}}}}}" for port in component.outputs}
    for spec in component.parameter_specs:
        if spec.is_free_text:
            assert text.splitlines()[1] == bound[spec.name]
            bound[spec.name] = "-"
    assert given == bound


@ignore_azure_warnings
@pytest.mark.parametrize("component", ALL)
def test_service_payload_carries_every_port_range_default_and_description(component: Component[Any]) -> None:
    spec = load(component)._to_rest_object().as_dict()["properties"]["componentSpec"]
    assert spec["version"] == __version__
    assert spec["display_name"] == component.display_name
    assert spec["is_deterministic"] is component.is_deterministic
    assert spec["tags"]["category"] == component.category
    expected: dict[str, dict[str, Any]] = {}
    for port in component.inputs:
        entry: dict[str, Any] = {"type": "uri_folder", "description": port.description, "mode": "ro_mount"}
        expected[port.name] = entry | ({"optional": True} if port.is_optional else {})
    for parameter in component.parameter_specs:
        entry = {"type": parameter.type_name, "description": parameter.description}
        bounds = {"default": parameter.default, "min": parameter.minimum, "max": parameter.maximum}
        entry |= {key: str(value) for key, value in bounds.items() if value is not None}
        expected[parameter.name] = entry | ({"enum": list(parameter.choices)} if parameter.choices else {})
    assert spec.get("inputs", {}) == expected
    for port in component.outputs:
        assert spec["outputs"][port.name]["type"] == "uri_folder"
        assert spec["outputs"][port.name]["description"] == port.description
    types = {f"port.{port.name}": port.directory_type.value for port in (*component.inputs, *component.outputs)}
    assert types.items() <= spec["tags"].items()


@pytest.mark.slow
@ignore_azure_warnings
@pytest.mark.parametrize("component", ALL)
def test_azure_ml_client_finds_nothing_wrong(component: Component[Any]) -> None:
    from azure.ai.ml import MLClient

    client = MLClient(_NoCredential(), "00000000-0000-0000-0000-000000000000", "group", "workspace")
    result = client.components.validate(load(component))
    assert result.passed
    assert result.error_messages == {}


def test_train_pytorch_model_is_a_pytorch_distribution_with_shared_memory() -> None:
    document = yaml.safe_load(yaml_path(TRAIN).read_text(encoding="utf-8"))
    assert document["distribution"] == {"type": "pytorch", "process_count_per_instance": 1}
    assert document["resources"] == {"instance_count": 1, "shm_size": "8g"}
    assert (TOP / document["environment"]["build"]["path"] / "Dockerfile").is_file()
    assert (TOP / document["code"] / "pytorch_designer").is_dir()


@pytest.mark.parametrize("component", ALL)
def test_module_is_named_after_its_component(component: Component[Any]) -> None:
    assert component.run.__module__ == f"pytorch_designer.components.{component.name}"
    assert component.command == dashed(component.name)


class _NoCredential:
    """Validation offline asks for no token."""

    def get_token(self, *scopes: str, **options: Any) -> Any:
        raise AssertionError(f"a token was asked for: {scopes} {options}")
