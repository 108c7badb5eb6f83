"""A trained model answers requests through MLflow with the scores that it has here."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.errors import InvalidDatasetError, InvalidModelDirectoryError
from pytorch_designer.models.architectures import Architecture, build_network
from pytorch_designer.models.saving import write_trained_model, write_untrained_model
from pytorch_designer.serving.mlflow_model import ImageClassifier, _load_pyfunc

if TYPE_CHECKING:
    from pathlib import Path

SQUEEZENET = Architecture("squeezenet1_1")
CLASSES = ("cat", 'a, "b"\nc')
MEAN, STD = (0.5, 0.25, 0.125), (0.5, 0.4, 0.3)


def _pixels(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (40, 48, 3), dtype=np.uint8)


def _png(seed: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(_pixels(seed)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_network(SQUEEZENET, 2).eval()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, network: torch.nn.Module) -> Path:
    root = tmp_path_factory.mktemp("model")
    preprocessing = Preprocessing(resize_size=None, crop_height=32, crop_width=36, mean=MEAN, std=STD)
    write_trained_model(
        root,
        architecture=SQUEEZENET,
        state_dict=network.state_dict(),
        classes=CLASSES,
        preprocessing=preprocessing,
    )
    return root


@pytest.fixture(scope="module")
def classifier(model: Path) -> ImageClassifier:
    return _load_pyfunc(str(model))


def _expected(network: torch.nn.Module, seed: int) -> list[float]:
    """The scores, worked out with NumPy from the pixels: center crop, scale, normalize, softmax."""
    cropped = _pixels(seed)[4:36, 6:42].astype(np.float32) / 255
    normalized = (cropped - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    with torch.inference_mode():
        logits = network(torch.from_numpy(normalized.transpose(2, 0, 1).copy())[None])[0].numpy()
    exponents = np.exp(logits - logits.max())
    return [float(value) for value in exponents / exponents.sum()]


def test_bytes_and_base64_text_get_the_same_exact_scores(classifier: ImageClassifier, network: torch.nn.Module) -> None:
    request = pd.DataFrame({"image": [_png(1), base64.encodebytes(_png(1)).decode(), _png(2)]}, index=[7, 8, 9])
    scored = classifier.predict(request)
    assert list(scored.columns) == [*(f"Scored Probabilities_{name}" for name in CLASSES), "Scored Labels"]
    assert list(scored.index) == [7, 8, 9]
    for row, seed in enumerate((1, 1, 2)):
        probabilities = scored.iloc[row, :2].tolist()
        assert probabilities == pytest.approx(_expected(network, seed), abs=1e-6)
        assert scored["Scored Labels"].iloc[row] == CLASSES[int(np.argmax(probabilities))]


def test_more_images_than_a_batch_keep_their_order(classifier: ImageClassifier) -> None:
    images = [_png(seed) for seed in range(20)]
    together = classifier.predict(pd.DataFrame({"image": images}))
    alone = pd.concat([classifier.predict(pd.DataFrame({"image": [image]})) for image in images], ignore_index=True)
    np.testing.assert_allclose(together.iloc[:, :2], alone.iloc[:, :2], atol=1e-6)


def test_no_rows_give_no_scores(classifier: ImageClassifier) -> None:
    assert classifier.predict(pd.DataFrame({"image": []})).shape == (0, 3)


def test_only_column_may_have_any_name(classifier: ImageClassifier) -> None:
    assert len(classifier.predict(pd.DataFrame({0: [_png(1)]}))) == 1


@pytest.mark.parametrize("value", [b"", b"no image", "%%%", "bm8gaW1hZ2U=", None, 3])
def test_row_that_is_no_image_is_named(classifier: ImageClassifier, value: object) -> None:
    with pytest.raises(InvalidDatasetError, match="Row 1 is not an image"):
        classifier.predict(pd.DataFrame({"image": [_png(1), value]}))


def test_request_without_an_image_column_is_refused(classifier: ImageClassifier) -> None:
    with pytest.raises(InvalidDatasetError, match="'image'"):
        classifier.predict(pd.DataFrame({"a": [_png(1)], "b": [1]}))


def test_untrained_model_is_not_served(tmp_path: Path) -> None:
    write_untrained_model(tmp_path, SQUEEZENET, pretrained=False)
    with pytest.raises(InvalidModelDirectoryError):
        _load_pyfunc(str(tmp_path))


def test_requirements_are_those_of_this_process(model: Path) -> None:
    requirements = (model / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = ("pytorch-designer", "torch", "torchvision", "mlflow")
    assert requirements == [f"{name}=={version(name).split('+')[0]}" for name in names]
    conda = yaml.safe_load((model / "conda.yaml").read_text(encoding="utf-8"))
    assert conda["dependencies"][-1] == {"pip": requirements}


@pytest.mark.slow
def test_mlflow_loads_and_serves_the_directory(model: Path, network: torch.nn.Module) -> None:
    """In a process of its own: importing mlflow.pyfunc warns, and the model must load without this test's imports."""
    body = {"dataframe_split": {"columns": ["image"], "data": [[base64.b64encode(_png(3)).decode()]]}}
    program = (
        "import json, sys, mlflow.pyfunc\n"
        "from mlflow.pyfunc.scoring_server import infer_and_parse_data\n"
        "model = mlflow.pyfunc.load_model(sys.argv[1])\n"
        "table = infer_and_parse_data(json.loads(sys.argv[2]), model.metadata.get_input_schema())\n"
        "scored = model.predict(table)\n"
        "print(json.dumps([scored.columns.tolist(), *scored.values.tolist()]))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(model), json.dumps(body)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    columns, row = json.loads(run.stdout.splitlines()[-1])
    assert columns[-1] == "Scored Labels"
    assert row[:2] == pytest.approx(_expected(network, 3), abs=1e-6)
