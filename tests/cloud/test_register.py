from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pytorch_designer
from pytorch_designer import __version__
from pytorch_designer.cli.commands.cloud_commands import run_register
from pytorch_designer.cloud.register import Registration, register
from pytorch_designer.components.registry import COMPONENTS
from pytorch_designer.errors import (
    CloudAccessError,
    CloudError,
    CloudLoginError,
    CloudNotFoundError,
    InvalidSpecError,
)
from tests.cloud.azure_service import SIGNATURE, Answer, AzureService, Login
from tests.cloud.conftest import REPOSITORY, SUBSCRIPTION

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
PACKAGE = Path(pytorch_designer.__file__).parent
SCOPE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws"


def test_component_is_created_with_its_parameters_as_they_are_declared(
    client: Any, service: AzureService, component: Path
) -> None:
    [done] = register(client, [component])
    assert done == Registration(component, "train_pytorch_model", __version__)
    [request] = service.of("PUT", rf"/components/train_pytorch_model/versions/{__version__}")
    assert request.path == f"{SCOPE}/components/train_pytorch_model/versions/{__version__}"
    assert request.host == "management.azure.com"
    assert request.query == {"api-version": "2024-01-01-preview"}
    assert request.headers["Authorization"].startswith("Bearer ")
    spec = request.json["properties"]["componentSpec"]
    assert spec["inputs"]["epochs"] == {
        "type": "integer",
        "description": "How many times to pass over the training images.",
        "default": "5",
        "min": "1",
    }
    assert float(spec["inputs"]["learning_rate"]["min"]) == 5e-324
    assert spec["inputs"]["learning_rate"]["default"] == "0.001"
    assert spec["inputs"]["training_dataset"]["type"] == "uri_folder"
    assert spec["outputs"]["trained_model"]["type"] == "uri_folder"
    assert spec["distribution"] == {"type": "pytorch", "process_count_per_instance": 1}
    assert spec["resources"]["shm_size"] == "8g"
    assert '--epochs "${{inputs.epochs}}"' in spec["command"]
    assert spec["display_name"] == "Train PyTorch Model"
    assert spec["tags"]["port.trained_model"] == "ModelDirectory"


def test_code_and_environment_are_uploaded_and_named_by_the_component(
    client: Any, service: AzureService, component: Path
) -> None:
    register(client, [component])
    files = {r.path: r.body for r in service.requests if r.host == "account.blob.core.windows.net" and r.body}
    assert files["/uploads/src/train.py"] == b"print('trained')\n"
    assert [body for path, body in files.items() if path.endswith("/environment/Dockerfile")] == [b"FROM scratch\n"]
    [code] = service.of("PUT", r"/codes/[^/]+/versions/1")
    [environment] = service.of("PUT", r"/environments/CliV2AnonymousEnvironment/versions/\w+")
    [created] = service.of("PUT", r"/components/.*")
    spec = created.json["properties"]["componentSpec"]
    assert spec["code"] == f"azureml:{code.path}"
    assert spec["environment"] == f"azureml:{environment.path}"
    assert code.json["properties"]["codeUri"].endswith("/uploads/src")
    assert service.requests.index(code) < service.requests.index(created)
    assert service.requests.index(environment) < service.requests.index(created)


def test_version_option_replaces_the_file_s(client: Any, service: AzureService, component: Path) -> None:
    [done] = register(client, [component], version="7")
    assert done.version == "7"
    assert len(service.of("PUT", r"/components/train_pytorch_model/versions/7")) == 1


@pytest.mark.slow
def test_all_components_are_registered_by_default_with_their_code_and_environment(
    connected: Callable[..., Any], service: AzureService
) -> None:
    names = list(COMPONENTS)
    arguments = ["--workspace", "ws", "--resource-group", "rg", "--subscription", SUBSCRIPTION]
    assert run_register(arguments, "pytorch-designer", connected=connected) == 0
    created = [r.path.split("/components/")[1] for r in service.of("PUT", r"/components/.*")]
    assert sorted(created) == sorted(f"{name}/versions/{__version__}" for name in names)
    uploaded = {r.path: r.body for r in service.requests if r.host == "account.blob.core.windows.net" and r.body}
    page = PACKAGE / "designer" / "static"  # which no component needs
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and path.parent.name != "__pycache__"]
    files = [path for path in files if page not in path.parents]
    code = {f"/uploads/src/{path.relative_to(PACKAGE.parent).as_posix()}": path.read_bytes() for path in files}
    sent = {path: body for path, body in uploaded.items() if path.startswith("/uploads/src/")}
    assert sent == {path: body for path, body in code.items() if body}
    environment = (REPOSITORY / "environment" / "requirements.txt").read_bytes()
    assert environment in [body for path, body in uploaded.items() if path.endswith("/requirements.txt")]


def test_registry_gets_the_component_in_its_own_region(
    connected: Callable[..., Any], service: AzureService, component: Path
) -> None:
    arguments = ["--registry", "shared", str(component)]
    assert run_register(arguments, "pytorch-designer", connected=connected) == 0
    [request] = service.of("PUT", rf"/registries/shared/components/train_pytorch_model/versions/{__version__}")
    assert request.json["properties"]["componentSpec"]["inputs"]["epochs"]["default"] == "5"


def test_nothing_is_sent_when_a_file_is_bad(client: Any, service: AzureService, component: Path) -> None:
    bad = component.with_name("bad.yaml")
    bad.write_text(component.read_text(encoding="utf-8").replace("type: integer", "type: int"), encoding="utf-8")
    with pytest.raises(InvalidSpecError, match="refuses the file") as raised:
        register(client, [component, bad])
    assert raised.value.where == str(bad)
    assert service.requests == []


def test_nothing_is_sent_when_the_linter_finds_an_error(
    connected: Callable[..., Any], service: AzureService, component: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    component.write_text(component.read_text(encoding="utf-8").replace("default: 5", "default: 0"), encoding="utf-8")
    assert run_register(["--registry", "r", str(component)], "pytorch-designer", connected=connected) == 1
    assert "default-out-of-range" in capsys.readouterr().out
    assert service.requests == []
    arguments = ["--registry", "r", "--skip-lint", str(component)]
    assert run_register(arguments, "pytorch-designer", connected=connected) == 0


@pytest.mark.parametrize(
    ("status", "error_class"),
    [(401, CloudLoginError), (403, CloudAccessError), (404, CloudNotFoundError), (409, CloudError)],
)
def test_refusals_become_named_errors(
    client: Any, service: AzureService, component: Path, status: int, error_class: type[CloudError]
) -> None:
    answer = Answer(status, {"error": {"code": "Refused", "message": "This is not allowed."}})
    service.failing = (r"PUT .*/components/", answer)
    with pytest.raises(error_class, match="This is not allowed") as raised:
        register(client, [component], target="workspace ws")
    assert raised.value.where == "workspace ws"
    assert raised.value.advice


def test_existing_version_asks_for_another(client: Any, service: AzureService, component: Path) -> None:
    service.failing = (r"PUT .*/components/", Answer(409, {"error": {"code": "Conflict", "message": "exists"}}))
    with pytest.raises(CloudError) as raised:
        register(client, [component])
    assert "--version" in raised.value.advice


def test_secrets_are_neither_logged_nor_in_errors(
    client: Any, service: AzureService, component: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    token = Login().get_token("https://management.azure.com/.default").token
    message = f"Upload to https://account/uploads?sv=2024&sig={SIGNATURE} with Bearer {token} failed."
    service.failing = (r"PUT .*/components/", Answer(400, {"error": {"code": "BadRequest", "message": message}}))
    with pytest.raises(CloudError) as raised:
        register(client, [component])
    printed = capfd.readouterr()
    shown = str(raised.value) + printed.out + printed.err
    assert "sig=***" in shown
    assert SIGNATURE not in shown
    assert token not in shown


@pytest.mark.parametrize("arguments", [["gone.yaml"], ["--registry", "r", "--workspace", "w"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        run_register(arguments, "pytorch-designer")
    assert raised.value.code == 2
