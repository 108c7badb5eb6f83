"""An azure-ai-ml client that is connected to `AzureService`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("azure.ai.ml", exc_type=ImportError)
pytest.importorskip("azure.identity", exc_type=ImportError)

from pytorch_designer.cloud.workspace import Target, connect
from tests.cloud.azure_service import AzureService, Login, ServiceTransport

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
WORKSPACE = Target("ws", "rg", SUBSCRIPTION)
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> AzureService:
    import azure.storage.blob._shared.base_client as storage_clients

    service = AzureService()

    def network(**_: Any) -> ServiceTransport:
        return ServiceTransport(service)

    # The SDK creates its storage clients itself, without our transport.
    monkeypatch.setattr(storage_clients, "RequestsTransport", network)
    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")  # which the SDK sets for the whole process
    for name in ("AZUREML_ARM_SUBSCRIPTION", "AZUREML_ARM_RESOURCEGROUP", "AZUREML_ARM_WORKSPACE_NAME"):
        monkeypatch.delenv(name, raising=False)
    return service


@pytest.fixture
def connected(service: AzureService) -> Callable[[Target], MLClient]:
    """Creates clients that are connected to the service in this process."""
    return lambda target: connect(target, credential=Login(), transport=ServiceTransport(service))


@pytest.fixture
def client(connected: Callable[[Target], MLClient]) -> MLClient:
    return connected(WORKSPACE)


@pytest.fixture
def component(tmp_path: Path) -> Path:
    """A small component with its own code and environment, which is quick to upload."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text("print('trained')\n", encoding="utf-8")
    (tmp_path / "environment").mkdir()
    (tmp_path / "environment" / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    path = tmp_path / "component.yaml"
    text = (REPOSITORY / "component.yaml").read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    return path
