"""Environment variables."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from pytorch_designer.cli.reference import settings_page
from pytorch_designer.errors import ParameterParsingError, UnsupportedEnvironmentError
from pytorch_designer.settings import Settings, accepted_values, misspelled, settings, user_cache_folder


def test_nothing_has_to_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTORCH_DESIGNER_TRACKING", raising=False)
    assert settings().precision == "auto"
    assert settings().cache_bytes is None


def test_values_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_CACHE_BYTES", "0")
    monkeypatch.setenv("PYTORCH_DESIGNER_DETERMINISTIC", "False")
    monkeypatch.setenv("PYTORCH_DESIGNER_DEVICE", " CUDA:1 ")
    monkeypatch.setenv("PYTORCH_DESIGNER_CACHE_FOLDER", "")
    assert settings().cache_bytes == 0
    assert settings().deterministic is False
    assert settings().device == "cuda:1"
    assert settings().cache_folder is None  # an empty variable is one that is not set


# What a setting does not take, by name; every other one refuses "no such value", unless it takes all texts.
WRONG = {
    "device": "tpu",
    "processes": "0",
    "precision": "bf",
    "num_threads": "0",
    "read_threads": "many",
    "cache_bytes": "2GB",
    "disk_cache_bytes": "-1",
    "bad_image_tolerance": "2",
    "read_timeout_seconds": "inf",
    "checkpoint_seconds": "nan",
    "cache_folder": "azureml://datastores/store/paths/cache",
    "reuse_cache": "https://example.org/cache",
    "error_info": "s3://bucket/error_info.json",
}
TAKES_ALL_TEXTS = "a folder or an address"


@pytest.mark.parametrize(
    "name", [name for name, field in Settings.model_fields.items() if accepted_values(field) != TAKES_ALL_TEXTS]
)
def test_a_bad_value_is_named_with_what_the_setting_takes(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    variable, value = f"PYTORCH_DESIGNER_{name.upper()}", WRONG.get(name, "no such value")
    monkeypatch.setenv(variable, value)
    with pytest.raises(ParameterParsingError) as caught:
        settings()
    values = accepted_values(Settings.model_fields[name]).replace("`", "")
    assert caught.value.what.startswith(f"The environment variable {variable} has the value '{value}'. It takes ")
    assert values in caught.value.what
    assert "pydantic" not in str(caught.value)
    assert "Input should" not in str(caught.value)


def test_a_bad_word_is_answered_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_PROGRESS", "plan")
    with pytest.raises(ParameterParsingError) as caught:
        settings()
    assert caught.value.advice.startswith("Did you mean plain? ")


@pytest.mark.parametrize("value", ["auto", "cpu", "gpu", "cuda", "cuda:0", "cuda:12", "mps", "GPU"])
def test_devices_that_are_named_in_the_usual_ways_are_taken(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_DEVICE", value)
    assert settings().device == value.lower()


@pytest.mark.parametrize("value", ["cuda:", "cuda:-1", "cuda:x", "gpu0", "0", "nvidia", "cpu;"])
def test_other_devices_are_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_DEVICE", value)
    with pytest.raises(ParameterParsingError, match="It takes one of auto, cpu, gpu, cuda, cuda:N, mps"):
        settings()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("PYTORCH_DESIGNER_DEVCE", "PYTORCH_DESIGNER_DEVICE"),
        ("PYTORCH_DESIGNER_CACHEBYTES", "PYTORCH_DESIGNER_CACHE_BYTES"),
        ("PYTORCH_DESIGNER_THREADS", "PYTORCH_DESIGNER_NUM_THREADS"),
        ("PYTORCH_DESIGN_DEVICE", "PYTORCH_DESIGNER_DEVICE"),
        ("PYTORCHDESIGNER_TRACKING", "PYTORCH_DESIGNER_TRACKING"),
        ("pytorch_designer_devise", "PYTORCH_DESIGNER_DEVICE"),
    ],
)
def test_a_misspelled_variable_is_named_with_the_nearest(name: str, meant: str) -> None:
    (sentence,) = misspelled([name, "PATH"])
    assert sentence == f"The environment variable {name} is not a setting and has no effect; did you mean {meant}?"


def test_a_variable_like_no_other_is_answered_with_all_of_them() -> None:
    (sentence,) = misspelled(["PYTORCH_DESIGNER_COLOR"])
    assert "DEVICE, PRECISION," in sentence


def test_variables_of_other_programs_are_left_alone() -> None:
    others = ["PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ENABLE_MPS_FALLBACK", "PYTORCH_JIT", "DEVICE", "MLFLOW_TRACKING_URI"]
    assert misspelled([*others, "PYTORCH_DESIGNER_DEVICE", "pytorch_designer_device"]) == []


def test_a_misspelled_variable_is_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    log = logging.getLogger("pytorch_designer.settings")
    monkeypatch.setattr(log, "warning", lambda text, *values: said.append(text % values))
    monkeypatch.setenv("PYTORCH_DESIGNER_DEVCE", "s3cr3t")
    for _ in range(3):
        settings()
    (message,) = said
    assert "PYTORCH_DESIGNER_DEVCE" in message
    assert "s3cr3t" not in message


def _no_home(*_: object, **__: object) -> Path:
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.parametrize("answer", [lambda *_, **__: Path("~/.cache/pytorch-designer"), _no_home])
def test_without_a_home_the_cache_folder_is_refused_by_name(
    answer: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_cache_path", answer)
    with pytest.raises(UnsupportedEnvironmentError, match="no home folder") as caught:
        user_cache_folder()
    assert caught.value.where == "HOME"


def test_the_reference_page_has_the_values_of_each_setting() -> None:
    page = settings_page()
    for name, field in Settings.model_fields.items():
        assert f"| `PYTORCH_DESIGNER_{name.upper()}` | {accepted_values(field)} |" in page
