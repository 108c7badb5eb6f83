"""CASES 34: what is secret in the environment of a run appears nowhere in what it prints and writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.commands import run, succeed
from tests.images.digits import write_digits

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

SECRETS = {
    "AZUREML_RUN_TOKEN": "s3cr3t-run-token",
    "AZURE_CLIENT_SECRET": "s3cr3t-client",
    "AWS_SECRET_ACCESS_KEY": "s3cr3t-storage",
    "MLFLOW_TRACKING_PASSWORD": "s3cr3t-tracking",
    "MLFLOW_TRACKING_URI": "http://user:s3cr3t-uri@127.0.0.1:9/?sig=s3cr3t-signature",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "SOMEBODYS_OWN_VARIABLE": "s3cr3t-own",
}
PORTS = {"--untrained-model": "untrained", "--training-dataset": "digits", "--validation-dataset": "digits"}
PARAMETERS = {"--epochs": "1", "--batch-size": "4", "--learning-rate": "0.001", "--trained-model": "model"}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets")
    write_digits(folder / "digits", classes=2, per_class=4)
    network = ("--model-name", "shufflenet_v2_x0_5", "--pretrained", "False", "--untrained-model", "untrained")
    succeed("image-model", *network, cwd=folder)
    return folder


@pytest.mark.parametrize(("learning_rate", "tracking", "exit_code"), [("0.001", "auto", 0), ("1e30", "off", 1)])
def test_a_run_that_ends_well_or_badly_tells_no_secret(
    workspace: Path, learning_rate: str, tracking: str, exit_code: int
) -> None:
    options = PORTS | PARAMETERS | {"--learning-rate": learning_rate, "--trained-model": f"model_{exit_code}"}
    arguments = (text for option in options.items() for text in option)
    environment = SECRETS | {"PYTORCH_DESIGNER_TRACKING": tracking, "OMP_NUM_THREADS": "1"}
    done = run("train-pytorch-model", *arguments, cwd=workspace, **environment)
    assert done.returncode == exit_code, done.stdout + done.stderr
    assert "s3cr3t" not in done.stdout + done.stderr
    files = [path for path in workspace.rglob("*") if path.is_file()]
    assert [path for path in files if b"s3cr3t" in path.read_bytes()] == []
    assert any(path.name == ("MLmodel" if exit_code == 0 else "error_info.json") for path in files)
