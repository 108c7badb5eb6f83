"""`pytorch_designer.train`: the run that it returns, and its errors."""

from __future__ import annotations

import json
import logging
import signal
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import pytest

import pytorch_designer
from pytorch_designer.errors import (
    DesignerError,
    FailedToWriteOutputsError,
    GreaterThanOrEqualToError,
    InterruptedCallError,
    InvalidDatasetError,
    InvalidModelDirectoryError,
    NullOrEmptyError,
    ParameterParsingError,
    UnknownNameError,
    UnsupportedEnvironmentError,
    UnsupportedLocallyError,
)
from tests.api.conftest import Trained
from tests.commands import succeed
from tests.images.digits import write_digits

SMALL: dict[str, Any] = {"model_name": "shufflenet_v2_x0_5", "pretrained": False, "num_threads": 1}


@pytest.mark.slow
def test_run_tells_what_its_report_tells(trained: Trained) -> None:
    run = trained.run
    report = json.loads((run.path / "report/metrics.json").read_text())
    assert run.best_epoch == report["best_epoch"]
    assert run.metrics["accuracy"] == report["validation"]["top1"]
    assert run.metrics["balanced_accuracy"] == report["validation"]["balanced_accuracy"]
    assert [record.epoch for record in run.history] == [1, 2]
    assert run.history_frame()["validation_loss"].tolist() == [record.validation.loss for record in run.history]
    assert run.classes == ("0", "1", "2", "3") == run.model.classes
    assert run.test is not None
    assert run.test.metrics["num_images"] == 24
    assert not (run.path.parent / "mlflow.db").exists()
    assert (run.path / "NEXT_STEPS.md").is_file()


@pytest.mark.slow
def test_call_and_command_write_the_same_model(trained: Trained, tmp_path: Path) -> None:
    arguments = ("--model-name", "shufflenet_v2_x0_5", "--pretrained", "False", "--epochs", "2", "--output", "model")
    succeed("train", trained.images, *arguments, cwd=tmp_path, PYTORCH_DESIGNER_DEVICE="cpu")
    for name in ("model.safetensors", "_meta.yaml", "MLmodel", "test/scores/_data.csv"):
        assert (tmp_path / "model" / name).read_bytes() == (trained.run.path / name).read_bytes(), name


@pytest.mark.slow
def test_same_call_returns_the_result_and_another_one_is_refused(trained: Trained) -> None:
    before = (trained.run.path / "model.safetensors").stat().st_mtime_ns
    call = {**SMALL, "output": trained.run.path, "device": "cpu"}
    assert pytorch_designer.train(trained.images, epochs=2, **call).metrics == trained.run.metrics
    assert (trained.run.path / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(FailedToWriteOutputsError, match="not empty") as caught:
        pytorch_designer.train(trained.images, epochs=3, **call)
    assert "overwrite=True" in caught.value.advice


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.mark.slow
def test_run_shows_itself_with_curves_and_pictures_and_without_scripts(trained: Trained) -> None:
    pages = [trained.run._repr_html_(), trained.run._repr_html_()]
    parser = _Tags()
    parser.feed("".join(pages))
    tags = parser.tags
    assert not [tag for tag, _ in tags if tag in {"script", "iframe", "link", "object"}]
    assert not [name for _, attributes in tags for name in attributes if name.startswith("on")]
    assert all(str(attributes["src"]).startswith("data:image/") for tag, attributes in tags if tag == "img")
    pictures = [attributes["alt"] for tag, attributes in tags if tag == "img"]
    assert len(pictures) == 2 * 4
    assert all(text and ", predicted " in text for text in pictures)
    assert sum(tag == "svg" for tag, _ in tags) == 2 * 2
    identifiers = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers)), "of two outputs on one page"
    assert "http" not in "".join(pages).replace("http://www.w3.org", "")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_interrupted_call_keeps_its_checkpoint_and_continues(
    trained: Trained, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class InterruptAfterFirstEpoch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("1/4 "):
                signal.raise_signal(signal.SIGINT)

    caplog.set_level(logging.INFO, "pytorch_designer")
    logger = logging.getLogger("pytorch_designer.training.display")
    handler = InterruptAfterFirstEpoch()
    images = trained.images / "train"
    call = {**SMALL, "epochs": 4, "patience": 4, "device": "cpu"}
    logger.addHandler(handler)
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            pytorch_designer.train(images, output=tmp_path / "model", **call)
    finally:
        logger.removeHandler(handler)
    assert isinstance(caught.value, InterruptedCallError)
    assert "Call train() again with the same arguments" in caught.value.advice
    assert signal.getsignal(signal.SIGINT) is before
    assert (tmp_path / "model/.checkpoint").is_dir()
    continued = pytorch_designer.train(images, output=tmp_path / "model", **call)
    assert "Continuing from the checkpoint" in caplog.text
    whole = pytorch_designer.train(images, output=tmp_path / "whole", **call)
    assert (continued.path / "model.safetensors").read_bytes() == (whole.path / "model.safetensors").read_bytes()


@pytest.mark.parametrize(("given", "meant"), [("epoch", "epochs"), ("cache_byte", "cache_bytes"), ("outptu", "output")])
def test_an_argument_that_is_misspelled_is_told_the_nearest(given: str, meant: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        pytorch_designer.train("photos", **cast("Any", {given: 3}))
    assert caught.value.advice == f"Did you mean {meant}?"


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"images": 5}, ParameterParsingError, "The argument images is 5, and not a path."),
        ({"images": b"photos"}, ParameterParsingError, "The argument images is a bytes, and not a path."),
        ({"images": ""}, NullOrEmptyError, "The argument images is empty."),
        ({"images": "s3://bucket/photos"}, UnsupportedLocallyError, "is an address"),
        ({"images": "missing"}, InvalidDatasetError, "There is no such"),
        ({"images": "photos", "epochs": 0}, GreaterThanOrEqualToError, "Parameter epochs is 0"),
        ({"images": "photos", "epochs": 2.5}, ParameterParsingError, "Parameter epochs cannot be '2.5'"),
        ({"images": "photos", "epochs": None}, ParameterParsingError, "Parameter epochs cannot be 'None'"),
        ({"images": "photos", "epochs": True}, ParameterParsingError, "Parameter epochs cannot be 'True'"),
        ({"images": "photos", "device": "tpu"}, ParameterParsingError, "The argument device has the value 'tpu'"),
        ({"images": "photos", "device": "cuda:99"}, UnsupportedEnvironmentError, "The device cuda:99 was asked for"),
        ({"images": "photos", "precision": "fp16"}, ParameterParsingError, "The argument precision has the value"),
        ({"images": "photos", "tracking": "on"}, ParameterParsingError, "The argument tracking has the value 'on'"),
        ({"images": "photos", "epoch": 3}, UnknownNameError, "train() has no argument epoch."),
        ({"images": "photos", "cache_byte": 3}, UnknownNameError, "train() has no argument cache_byte."),
        ({"images": "photos", "model": "photos"}, InvalidModelDirectoryError, ""),
        ({"images": "photos", "model": "m", "model_name": "resnet18"}, ParameterParsingError, "model_name cannot be"),
        ({"images": "photos", "output": "photos"}, FailedToWriteOutputsError, "The output is the same folder"),
        ({"images": "photos", "validation": "missing"}, InvalidDatasetError, "There is no such"),
    ],
    ids=str,
)
def test_mistakes_are_named_in_the_words_of_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], error: type[DesignerError], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_digits(tmp_path / "photos", classes=2, per_class=12)
    network = {} if "model" in arguments else {"model_name": "shufflenet_v2_x0_5", "pretrained": False}
    with pytest.raises(error) as caught:
        pytorch_designer.train(**{**network, **arguments})
    assert words in caught.value.what
    told = str(caught.value)
    assert "PYTORCH_DESIGNER_" not in told
    assert " --" not in told
    assert " port" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
