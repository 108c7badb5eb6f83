"""`pytorch_designer.load_model` and the predictions of a model."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pytorch_designer
from pytorch_designer.errors import InvalidDatasetError, InvalidModelDirectoryError, UnsupportedLocallyError
from tests.api.conftest import Trained

pytestmark = pytest.mark.slow


def test_every_form_of_an_image_has_the_same_answer(trained: Trained) -> None:
    path = min(trained.test_images.rglob("*.png"))
    images = pytorch_designer.open_images(trained.test_images)
    [named] = [image for image in images if path.as_posix().endswith(image.name)]
    with Image.open(path) as opened:
        opened.load()
    forms: list[Any] = [path, str(path), path.read_bytes(), bytearray(path.read_bytes()), named.pixels, named, opened]
    model = trained.run.model
    alone = [model.predict(form) for form in forms]
    assert {prediction.label for prediction in alone} == {alone[0].label}
    assert all((prediction.probabilities == alone[0].probabilities).all() for prediction in alone)
    assert alone[0].probability == alone[0].probabilities.max()
    assert alone[0].label == model.classes[alone[0].probabilities.argmax()]
    assert alone[0].probabilities.shape == (4,)
    together = model.predict(forms)
    assert [prediction.label for prediction in together] == [alone[0].label] * len(forms)
    stacked = model.predict(list(np.stack([named.pixels, named.pixels])))
    assert len(stacked) == 2
    batch: Any = np.stack([named.pixels, named.pixels])
    assert [prediction.label for prediction in model.predict(batch)] == [prediction.label for prediction in stacked]
    assert model.predict([]) == []


def test_folder_has_the_bits_of_score_image_model(trained: Trained, tmp_path: Path) -> None:
    frame = trained.run.model.predict_frame(trained.test_images)
    written = pytorch_designer.score(trained.run.path, trained.test_images, output=tmp_path / "scores", device="cpu")
    assert frame.equals(written.frame)
    names = [name for name in frame if str(name).startswith("Scored Probabilities_")]
    images = pytorch_designer.open_images(trained.test_images)
    together = np.stack([prediction.probabilities for prediction in trained.run.model.predict(images)])
    assert (frame[names].to_numpy() == together).all()


def test_images_that_cannot_be_read_are_named(trained: Trained, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("no image")
    good = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(InvalidDatasetError, match="2 of 3 images cannot be read") as caught:
        trained.run.model.predict([tmp_path / "a.jpg", good, np.zeros((8, 8))])
    assert "image 0" in caught.value.examples[0]
    assert "a.jpg" in caught.value.examples[0]
    assert "image 2" in caught.value.examples[1]
    with pytest.raises(InvalidDatasetError, match="The image cannot be read"):
        trained.run.model.predict("missing.jpg")
    with pytest.raises(InvalidDatasetError) as caught:
        trained.run.model.predict(tmp_path)
    assert caught.value.advice == "Use `predict_frame` for a folder."
    with pytest.raises(UnsupportedLocallyError, match="is an address"):
        trained.run.model.predict("https://example.com/a.jpg")
    with pytest.raises(InvalidDatasetError, match="The image cannot be read"):
        trained.run.model.predict(7)  # type: ignore[call-overload]  # the mistake


def test_model_tells_what_it_is(trained: Trained) -> None:
    model = pytorch_designer.load_model(str(trained.run.path), device="cpu", precision="bf16")
    assert (model.device, model.precision) == ("cpu", "bf16")
    assert model.preprocessing is not None
    assert (model.preprocessing.crop_height, model.preprocessing.crop_width) == (8, 8)
    assert model.metrics["validation"]["top1"] == trained.run.metrics["accuracy"]
    assert model.report == trained.run.report
    stream = io.BytesIO()
    Image.new("L", (9, 9)).save(stream, "GIF")
    assert model.predict(stream.getvalue()).label in model.classes


@pytest.mark.parametrize("path", ["missing", "."])
def test_folder_without_a_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidModelDirectoryError) as caught:
        pytorch_designer.load_model(path)
    assert "Connect" not in caught.value.advice
