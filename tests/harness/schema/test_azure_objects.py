from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytorch_designer.errors import UnsupportedLocallyError
from pytorch_designer.harness.schema.azure_objects import command_component, distribution, resources
from pytorch_designer.harness.schema.component_file import read_component
from pytorch_designer.harness.schema.specification import Distribution, Resources
from pytorch_designer.harness.schema.values import check_values

if TYPE_CHECKING:
    from tests.harness.fixture_types import WriteComponent

azure_ai_ml = pytest.importorskip("azure.ai.ml")

pytestmark = pytest.mark.filterwarnings("ignore")  # the SDK's own

TOP = Path(__file__).parents[3]
FULL: dict[str, Any] = {
    "version": 3,
    "display_name": "Make model",
    "inputs": {
        "data": {"type": "uri_folder", "mode": "ro_mount", "description": "d"},
        "rate": {"type": "number", "default": 0.001, "min": 0.0, "max": 1.5},
        "kind": {"type": "string", "enum": ["a", "b"], "default": "a"},
        "note": {"type": "string", "optional": True},
        "flag": {"type": "boolean", "default": False},
        "seed": {"type": "integer", "default": 7, "min": -5},
    },
    "outputs": {"model": {"type": "uri_folder", "mode": "upload"}},
    "code": "../code",
    "additional_includes": ["../more"],
    "distribution": {"type": "pytorch", "process_count_per_instance": 2},
    "resources": {"instance_count": 3, "shm_size": "8g"},
    "is_deterministic": False,
}


@pytest.mark.parametrize(
    "environment",
    [
        "azureml://registries/azureml/environments/sklearn/versions/1",
        {"image": "ubuntu", "conda_file": {"name": "x", "dependencies": ["python"]}},
        {"build": {"path": "../context"}},
    ],
)
def test_an_object_is_the_same_as_its_file(
    tmp_path: Path, write_component: WriteComponent, environment: object
) -> None:
    for name in ("code", "more", "context"):
        (tmp_path / name).mkdir()
    path = write_component("run ${{inputs.rate}}", environment=environment, **FULL)

    spec = command_component(azure_ai_ml.load_component(path))

    assert replace(spec, source=path) == read_component(path)


@pytest.mark.parametrize(
    "path", [TOP / "component.yaml", TOP / "components" / "resnet.yaml"], ids=lambda path: path.name
)
def test_our_components_are_the_same_as_their_files(path: Path) -> None:
    assert replace(command_component(azure_ai_ml.load_component(path)), source=path) == read_component(path)


def test_defaults_have_the_values_that_the_sdk_registers(write_component: WriteComponent) -> None:
    defaults = {
        "a": ("number", 1),
        "b": ("integer", 5.0),
        "c": ("string", 5),
        "d": ("boolean", True),
        "e": ("number", "1e-3"),
    }
    inputs = {name: {"type": kind, "default": value} for name, (kind, value) in defaults.items()}
    path = write_component("run", environment="azureml:x:1", inputs=inputs)
    component = azure_ai_ml.load_component(path)

    ours = {name: str(value) for name, value in check_values(read_component(path), {}).items()}

    assert ours == {name: str(port.default) for name, port in component.inputs.items()}
    assert ours == {name: str(value) for name, value in check_values(command_component(component), {}).items()}


def test_another_kind_of_component_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text("type: pipeline\nname: p\njobs: {}\n", encoding="utf-8")

    with pytest.raises(UnsupportedLocallyError, match="pipeline"):
        command_component(azure_ai_ml.load_component(path))


def test_settings_of_a_node_may_be_objects_or_plain_data() -> None:
    assert distribution(azure_ai_ml.PyTorchDistribution(process_count_per_instance=2)) == Distribution("pytorch", 2)
    assert distribution({"type": "PyTorch"}) == Distribution("pytorch", 1)
    assert distribution(None) is None
    assert resources({"instance_count": 2}) == Resources(2)
    assert resources(None) == Resources()
