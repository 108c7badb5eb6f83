"""The model that MLflow loads: one answer per image, in the columns of Score Image Model, or an error by name."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from mlflow.exceptions import MlflowException

from pytorch_designer.errors import InvalidModelDirectoryError, UnsupportedEnvironmentError
from pytorch_designer.models.saving import write_untrained_model
from pytorch_designer.serving.classifier import ImageClassifier
from pytorch_designer.serving.mlflow_model import ServedModel, _load_pyfunc
from tests.scoring.conftest import old_model, stack
from tests.serving.conftest import CLASSES, PREPROCESSING, SQUEEZENET, encoded, pixels

__all__ = ["old_model", "stack"]  # fixtures
PROBABILITIES = [f"Scored Probabilities_{name}" for name in CLASSES]
REFUSED, UNAVAILABLE = (400, 503)


@pytest.fixture(scope="module")
def served(model: Path) -> ServedModel:
    return _load_pyfunc(str(model))


def table(*values: object) -> pd.DataFrame:
    frame: pd.DataFrame = pd.DataFrame({"image": pd.Series(list(values), dtype=object)})
    return frame


def refusal(served: ServedModel, frame: pd.DataFrame, params: dict[str, Any] | None = None) -> str:
    with pytest.raises(MlflowException) as caught:
        served.predict(frame, params)
    assert caught.value.get_http_status_code() == REFUSED
    return str(caught.value.message)


def test_scores_are_those_of_the_pixels(served: ServedModel, network: torch.nn.Module) -> None:
    """Worked out with NumPy: the image is 40 pixels high, which is what it would be resized to."""
    scored = served.predict(table(encoded(1), base64.encodebytes(encoded(1)).decode(), encoded(2)))
    assert list(scored.columns) == [*PROBABILITIES, "Scored Labels"]
    for row, seed in enumerate((1, 1, 2)):
        cropped = pixels(seed)[4:36, 6:42].astype(np.float32) / 255
        normalized = (cropped - np.array(PREPROCESSING.mean, np.float32)) / np.array(PREPROCESSING.std, np.float32)
        with torch.inference_mode():
            logits = network(torch.from_numpy(normalized.transpose(2, 0, 1).copy())[None])[0].numpy()
        exponents = np.exp(logits - logits.max())
        probabilities = scored.iloc[row, :3].tolist()
        assert probabilities == pytest.approx(exponents / exponents.sum(), abs=1e-6)
        assert scored["Scored Labels"].iloc[row] == CLASSES[int(np.argmax(probabilities))]


def test_index_is_kept_where_there_is_a_row_per_image(served: ServedModel) -> None:
    frame = table(encoded(1), encoded(2)).set_axis([7, 9], axis=0)
    assert list(served.predict(frame).index) == [7, 9]
    assert list(served.predict(table([encoded(1), encoded(2)]).set_axis([7], axis=0)).index) == [0, 1]


def test_only_column_may_have_any_name_and_others_are_passed_over(served: ServedModel) -> None:
    assert len(served.predict(pd.DataFrame({0: [encoded(1)]}))) == 1
    assert len(served.predict(table(encoded(1)).assign(other=1))) == 1


def test_no_rows_give_no_scores(served: ServedModel) -> None:
    assert served.predict(table()).shape == (0, 4)


def test_top_k_answers_the_most_probable_classes(served: ServedModel) -> None:
    images = table(encoded(1), encoded(2))
    every = served.predict(images)
    best = served.predict(images, {"top_k": 2})
    assert list(best.columns) == ["Top Labels", "Top Probabilities", "Scored Labels"]
    for row in range(2):
        ranked = sorted(zip(every.iloc[row, :3], CLASSES, strict=True), reverse=True)[:2]
        assert best["Top Labels"][row] == [name for _, name in ranked]
        assert best["Top Probabilities"][row] == [value for value, _ in ranked]
    assert best["Scored Labels"].tolist() == every["Scored Labels"].tolist()
    assert [len(labels) for labels in served.predict(images, {"top_k": 99})["Top Labels"]] == [3, 3]


def test_rows_of_bad_images_are_null_where_asked_for(served: ServedModel) -> None:
    scored = served.predict(table(encoded(1), "%%%"), {"on_error": "row"})
    assert scored["Error"].tolist() == [None, "its text is not base64: Only base64 data is allowed"]
    answer = json.loads(json.dumps(scored.to_dict(orient="records"), allow_nan=False))
    assert [answer[1][name] for name in (*PROBABILITIES, "Scored Labels")] == [None] * 4
    assert answer[0]["Scored Labels"] in CLASSES
    top = served.predict(table(encoded(1), "%%%"), {"on_error": "row", "top_k": 1}).to_dict(orient="records")
    assert top[1] == {"Top Labels": None, "Top Probabilities": None, "Scored Labels": None, "Error": answer[1]["Error"]}
    assert served.predict(table(encoded(1)), {"on_error": "row"}).dtypes[PROBABILITIES[0]] == np.float64


def test_bad_image_is_named_with_its_row_and_the_reason(served: ServedModel) -> None:
    message = refusal(served, table(encoded(1), "%%%", [encoded(2), b"no image"]))
    assert "2 of 4 images cannot be scored" in message
    assert "- row 1: its text is not base64" in message
    assert "- row 3: " in message
    assert "on_error" in message


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"top_k": -1}, "top_k has the value -1"),
        ({"top_k": 1.5}, "top_k has the value 1.5"),
        ({"top_k": True}, "top_k has the value True"),
        ({"top_k": "x"}, "top_k has the value 'x'"),
        ({"on_error": "skip"}, "on_error has the value 'skip'. It takes fail or row."),
        ({"on_error": ["row"]}, "on_error has the value a list"),
    ],
)
def test_bad_parameter_is_named(served: ServedModel, params: dict[str, Any], words: str) -> None:
    assert words in refusal(served, table(encoded(1)), params)


def test_request_without_an_image_column_is_refused(served: ServedModel) -> None:
    assert "'image'" in refusal(served, pd.DataFrame({"a": [encoded(1)], "b": [1]}))


def test_fault_of_our_own_is_answered_without_a_traceback(
    served: ServedModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr(ImageClassifier, "classify", fail)
    message = refusal(served, table(encoded(1)))
    assert "secret" not in message
    assert "a secret of ours" in caplog.text


def test_too_little_memory_is_no_fault_of_the_request(served: ServedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageClassifier, "classify", fail)
    with pytest.raises(MlflowException, match="too little free memory") as caught:
        served.predict(table(encoded(1)))
    assert caught.value.get_http_status_code() == UNAVAILABLE


def test_untrained_model_is_not_served(tmp_path: Path) -> None:
    write_untrained_model(tmp_path, SQUEEZENET, pretrained=False)
    with pytest.raises(InvalidModelDirectoryError):
        _load_pyfunc(str(tmp_path))


@pytest.mark.slow
def test_old_model_without_an_image_size_is_not_served(old_model: Path) -> None:
    with pytest.raises(InvalidModelDirectoryError, match="no preprocessing of its own"):
        _load_pyfunc(str(old_model))


def test_model_that_brings_another_version_of_the_code_is_refused(model: Path, tmp_path: Path) -> None:
    init = tmp_path / "code/pytorch_designer/__init__.py"
    init.parent.mkdir(parents=True)
    init.write_text('__version__ = "0.0.9"\n', encoding="utf-8")
    with pytest.raises(UnsupportedEnvironmentError, match=r"version 0\.0\.9") as caught:
        _load_pyfunc(str(tmp_path))
    assert caught.value.reason == "other_version"
