"""A folder that is classified in one call has the scores of Score Image Model, to the last bit."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from pytorch_designer.directories.image_directory import ImageDirectory, open_image_source
from pytorch_designer.errors import (
    InvalidModelDirectoryError,
    ModuleOutOfMemoryError,
    ParameterParsingError,
    UnsupportedEnvironmentError,
)
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.models.saving import write_untrained_model
from pytorch_designer.serving.classifier import ImageClassifier, open_classifier
from pytorch_designer.settings import settings
from tests.scoring.conftest import old_model, score, stack
from tests.serving.conftest import SQUEEZENET, encoded

__all__ = ["old_model", "stack"]  # fixtures


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More images than a batch, of three sizes and two formats, one turned and two bad."""
    folder = tmp_path_factory.mktemp("photos")
    dice = np.random.default_rng(0)
    for number in range(270):
        height, width = ((40, 48), (40, 48), (33, 90))[number // 7 % 3]
        image = Image.fromarray(dice.integers(0, 256, (height, width, 3), dtype=np.uint8))
        image.save(folder / f"{number:03}.{'jpg' if number % 2 else 'png'}")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(dice.integers(0, 256, (40, 48, 3), dtype=np.uint8)).save(folder / "003.jpg", exif=turned)
    (folder / "005.jpg").write_bytes(b"no image")
    (folder / "268.png").write_bytes((folder / "268.png").read_bytes()[:-60])
    return folder


def probabilities_of_score(model: Path, photos: Path, output: Path) -> np.ndarray:
    score(model, photos, output)
    table: pd.DataFrame = pd.read_parquet(output / "_data.parquet").filter(like="Scored Probabilities")
    return np.asarray(table)


def as_bytes(dataset: ImageDirectory, row: int) -> object:
    return dataset.path(row).read_bytes()


def as_base64(dataset: ImageDirectory, row: int) -> object:
    return base64.b64encode(dataset.path(row).read_bytes()).decode()


def as_path(dataset: ImageDirectory, row: int) -> object:
    return dataset.path(row)


def as_pillow_image(dataset: ImageDirectory, row: int) -> object:
    try:
        return Image.open(io.BytesIO(dataset.path(row).read_bytes()))
    except OSError:
        return dataset.path(row)


@pytest.fixture(scope="module", params=["fp32", "bf16"])
def scored(
    request: pytest.FixtureRequest, model: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, np.ndarray]]:
    """A precision, and the probabilities of Score Image Model in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTORCH_DESIGNER_PRECISION", request.param)
        settings.cache_clear()
        yield request.param, probabilities_of_score(model, photos, tmp_path_factory.mktemp("scores") / "scored")
    settings.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("as_value", [as_bytes, as_base64, as_path, as_pillow_image])
def test_folder_in_one_call_has_the_bits_of_score_image_model(
    model: Path,
    photos: Path,
    scored: tuple[str, np.ndarray],
    as_value: Callable[[ImageDirectory, int], object],
) -> None:
    precision, expected = scored
    classifier = open_classifier(model)
    assert classifier.compute.precision == precision
    with open_image_source(photos) as dataset:
        found = classifier.classify([as_value(dataset, row) for row in range(len(dataset))])
    assert np.array_equal(found.probabilities, expected, equal_nan=True)
    assert sorted(found.errors) == np.flatnonzero(np.isnan(expected[:, 0])).tolist() == [5, 268]


@pytest.mark.slow
def test_model_of_the_old_designer_has_the_bits_of_score_image_model(
    old_model: Path, photos: Path, tmp_path: Path
) -> None:
    expected = probabilities_of_score(old_model, photos, tmp_path / "scored")
    classifier = open_classifier(old_model)
    assert classifier.preprocessing is None
    with open_image_source(photos) as dataset:
        images = [dataset.path(row).read_bytes() for row in range(len(dataset))]
    found = classifier.classify(images)
    assert np.array_equal(found.probabilities, expected, equal_nan=True)
    assert sorted(found.errors) == [5, 268]


def test_bad_images_have_reasons_and_the_others_scores(model: Path) -> None:
    classifier = open_classifier(model)
    found = classifier.classify([encoded(1), b"no image", encoded(2), None])
    assert list(found.errors) == [1, 3]
    assert "None" in found.errors[3]
    assert np.isnan(found.probabilities).any(axis=1).tolist() == [False, True, False, True]
    alone = classifier.classify([encoded(1), encoded(2)])
    assert np.allclose(found.probabilities[[0, 2]], alone.probabilities, atol=1e-6)
    assert classifier.label(alone.probabilities[0]) in classifier.classes


def test_no_images_have_no_probabilities(model: Path) -> None:
    found = open_classifier(model).classify([])
    assert found.probabilities.shape == (0, 3)
    assert found.errors == {}


def test_network_that_answers_with_nan_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = open_classifier(model)
    monkeypatch.setattr(Predictor, "logits", lambda _, images: torch.full((len(images), 3), torch.inf))
    found = classifier.classify([encoded(1)])
    assert found.errors == {0: "the network's output is not a finite number"}


def test_threads_of_torch_in_the_calling_threads_stay(model: Path) -> None:
    before = torch.get_num_threads()
    classifier = open_classifier(model)
    classifier.classify([encoded(1)])
    assert torch.get_num_threads() == before
    counts: list[int] = []
    other = threading.Thread(target=lambda: counts.append(torch.get_num_threads()))
    other.start()
    other.join(120)
    assert counts == [before]


def test_many_threads_get_the_answers_that_one_gets(model: Path) -> None:
    classifier = open_classifier(model)
    requests = [[encoded(seed), encoded(seed + 1)] for seed in range(8)]
    expected = [classifier.classify(request).probabilities for request in requests]
    found: dict[int, np.ndarray] = {}

    def ask(number: int) -> None:
        found[number] = classifier.classify(requests[number]).probabilities

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(requests))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert all(np.array_equal(found[number], answer) for number, answer in enumerate(expected))


def test_device_and_precision_are_those_asked_for(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_classifier(model, precision="bf16").compute.precision == "bf16"
    monkeypatch.setenv("PYTORCH_DESIGNER_PRECISION", "bf16")
    settings.cache_clear()
    assert open_classifier(model).compute.precision == "bf16"
    assert open_classifier(model, device="cpu", precision="fp32").compute.precision == "fp32"
    with pytest.raises(ParameterParsingError, match="argument precision has the value 'half'"):
        open_classifier(model, precision="half")
    with pytest.raises(ParameterParsingError, match="argument device has the value 'tpu'"):
        open_classifier(model, device="tpu")
    with pytest.raises(UnsupportedEnvironmentError, match="cuda:99"):
        open_classifier(model, device="cuda:99")


def test_untrained_model_is_no_classifier(tmp_path: Path) -> None:
    write_untrained_model(tmp_path, SQUEEZENET, pretrained=False)
    with pytest.raises(InvalidModelDirectoryError, match="untrained"):
        open_classifier(tmp_path)


def test_model_for_images_that_do_not_fit_into_memory_is_refused(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytorch_designer.images.budgets.available_memory_bytes", lambda: 1000)
    with pytest.raises(ModuleOutOfMemoryError):
        open_classifier(model)


def test_model_has_run_once_when_it_is_open(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    forward = Predictor.logits

    def counting(self: Predictor, images: torch.Tensor) -> torch.Tensor:
        seen.append(len(images))
        return forward(self, images)

    monkeypatch.setattr(Predictor, "logits", counting)
    assert isinstance(open_classifier(model), ImageClassifier)
    assert seen == [1]
