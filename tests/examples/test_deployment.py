"""The deployment files load with azure-ai-ml and name each other; the requests are what their scripts make."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from pytorch_designer.serving.mlflow_model import _load_pyfunc
from pytorch_designer.settings import ENVIRONMENT_PREFIX, Settings
from tests.serving.conftest import model, network

pytest.importorskip("azure.ai.ml", exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
__all__ = ["model", "network"]  # fixtures
EXAMPLES = Path(__file__).parents[2] / "examples"
DEPLOY = EXAMPLES / "deploy"
IMAGES = [EXAMPLES / "images/training/circle" / name for name in ("1.png", "2.png")]


@pytest.fixture(autouse=True)
def cloud_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")  # which the SDK sets for the whole process


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, str(DEPLOY / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.mark.parametrize(
    ("endpoint_file", "deployment_file", "kind"),
    [("endpoint.yaml", "deployment.yaml", "online"), ("batch_endpoint.yaml", "batch_deployment.yaml", "batch")],
)
def test_endpoint_and_deployment_are_valid_and_belong_together(
    endpoint_file: str, deployment_file: str, kind: str
) -> None:
    from azure.ai.ml.entities import _load_functions as sdk  # which has those that `az ml` calls for `type: model`

    endpoint: Any = getattr(sdk, f"load_{kind}_endpoint")(DEPLOY / endpoint_file)
    load = {"online": sdk.load_online_deployment, "batch": sdk.load_model_batch_deployment}[kind]
    deployment: Any = load(DEPLOY / deployment_file)
    assert deployment.endpoint_name == endpoint.name
    assert deployment.model == "image-classifier@latest"
    assert deployment.environment is None, "the model brings its own"
    assert deployment.code_configuration is None, "and its code"


def test_environment_variables_of_the_deployment_are_settings() -> None:
    deployment = yaml.safe_load((DEPLOY / "deployment.yaml").read_text(encoding="utf-8"))
    names = [name.removeprefix(ENVIRONMENT_PREFIX).lower() for name in deployment["environment_variables"]]
    assert names == ["device", "precision"]
    Settings(**dict(zip(names, deployment["environment_variables"].values(), strict=True)))


def test_request_is_what_the_script_makes_of_two_images() -> None:
    assert (DEPLOY / "request.json").read_text(encoding="utf-8") == run("make_request.py", *map(str, IMAGES))


@pytest.mark.slow
def test_tables_of_the_scripts_are_answered(model: Path, tmp_path: Path) -> None:
    served = _load_pyfunc(str(model))
    expected = served.predict(pd.DataFrame({"image": [file.read_bytes() for file in IMAGES]}))
    table = json.loads((DEPLOY / "request.json").read_text(encoding="utf-8"))["input_data"]
    pd.testing.assert_frame_equal(served.predict(pd.DataFrame(**table)), expected)
    body = json.loads(run("make_request.py", "--mlflow", *map(str, IMAGES)))["dataframe_split"]
    pd.testing.assert_frame_equal(served.predict(pd.DataFrame(**body)), expected)

    assert run("make_batch_input.py", str(IMAGES[0].parent), str(tmp_path / "batch")).startswith("Wrote ")
    (parquet_file,) = (tmp_path / "batch").iterdir()
    scored = served.predict(pd.read_parquet(parquet_file))
    listing = pd.read_csv(tmp_path / "batch.csv")
    assert listing["image_file"].tolist()[:2] == [file.name for file in IMAGES]
    assert len(scored) == len(listing)
