"""Advice of named errors, in the words of the command line where it was given there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pytorch_designer
from pytorch_designer.cli.commands.component_command import options_in_advice
from pytorch_designer.components.image_model import COMPONENT as IMAGE_MODEL
from pytorch_designer.components.registry import COMPONENTS
from pytorch_designer.components.train_pytorch_model import COMPONENT as TRAIN
from pytorch_designer.errors import FailedToDownloadFilesError, ModuleOutOfMemoryError, NonFiniteLossError

SOURCE = Path(pytorch_designer.__file__).parent


def test_a_parameter_is_named_as_an_option() -> None:
    with pytest.raises(NonFiniteLossError) as caught, options_in_advice(TRAIN.parameter_specs):
        raise NonFiniteLossError("The loss is NaN.", where="learning_rate")
    assert caught.value.advice == "Use a lower `--learning-rate`."
    assert caught.value.where == "learning_rate"
    assert "`--learning-rate`" in str(caught.value)


def test_a_value_follows_its_option() -> None:
    with pytest.raises(FailedToDownloadFilesError) as caught, options_in_advice(IMAGE_MODEL.parameter_specs):
        raise FailedToDownloadFilesError(
            "No network.", advice="Train from scratch with `pretrained=False`, or `az login`."
        )
    assert caught.value.advice == "Train from scratch with `--pretrained False`, or `az login`."


def test_parameters_of_other_commands_keep_their_names() -> None:
    with pytest.raises(ModuleOutOfMemoryError) as caught, options_in_advice(IMAGE_MODEL.parameter_specs):
        raise ModuleOutOfMemoryError("Too little memory.")
    assert "`batch_size`" in caught.value.advice


def test_in_a_job_of_azure_ml_parameters_keep_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_RUN_ID", "job")
    with pytest.raises(NonFiniteLossError) as caught, options_in_advice(TRAIN.parameter_specs):
        raise NonFiniteLossError("The loss is NaN.", where="learning_rate")
    assert caught.value.advice == "Use a lower `learning_rate`."


def test_every_advice_writes_parameters_so_that_they_can_be_named_as_options() -> None:
    names = {spec.name for component in COMPONENTS.values() for spec in component.parameter_specs if "_" in spec.name}
    parameter = re.compile(rf"(?<![`\w.])({'|'.join(sorted(names))})(?![`\w=(])")
    found = []
    for path in SOURCE.rglob("*.py"):
        for text in re.findall(
            r"advice\s*=\s*\(?\s*((?:f?\"(?:[^\"\\]|\\.)*\"\s*)+)", path.read_text(encoding="utf-8")
        ):
            found += [f"{path.name}: {name}" for name in parameter.findall(text)]
    assert found == []
