"""Components made of shell commands, in YAML files that each test writes."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from pytorch_designer.harness.job.job_run import JobRequest
from pytorch_designer.harness.schema.component_file import read_component
from tests.harness.fixture_types import MakeRequest, ReadSpec, WriteComponent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytorch_designer.harness.schema.specification import CommandSpec


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Working directory of the test's own, and none of the variables that a job or a platform sets."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTORCH_DESIGNER_REUSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def azure_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test needs azure-ai-ml, which sets a variable for the whole process."""
    pytest.importorskip("azure.ai.ml", exc_type=ImportError)
    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")


@pytest.fixture
def write_component(tmp_path: Path) -> WriteComponent:
    """Writes a component's YAML file with the given command and keys, and returns its path."""

    def write(command: str = "true", /, **keys: Any) -> Path:
        path = tmp_path / "spec" / "component.yaml"
        path.parent.mkdir(exist_ok=True)
        document = {"type": "command", "name": "sample", "command": command, **keys}
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        return path

    return write


@pytest.fixture
def read_spec(write_component: WriteComponent) -> ReadSpec:
    """Writes a component's YAML file and reads it."""

    def read(command: str = "true", /, **keys: Any) -> CommandSpec:
        return read_component(write_component(command, **keys))

    return read


@pytest.fixture
def make_request(tmp_path: Path, read_spec: ReadSpec) -> MakeRequest:
    """A request to run a command as a job, in a run folder of the test's; `spec` holds the YAML's other keys."""

    def make(command: str, /, spec: dict[str, Any] | None = None, **fields: Any) -> JobRequest:
        fields.setdefault("grace_seconds", 2.0)
        return JobRequest(spec=read_spec(command, **(spec or {})), run_folder=tmp_path / "run", **fields)

    return make


@pytest.fixture
def special_files(tmp_path: Path) -> Iterator[dict[str, Path]]:
    """Special files under the names of ordinary ones, by their kind."""
    folder = tmp_path / "special"
    folder.mkdir()
    pipe, place = folder / "pipe.yaml", folder / "socket.yaml"
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(place))  # the whole path may be too long for a socket
        yield {"a named pipe": pipe, "a socket": place, "a device": Path("/dev/zero")}
