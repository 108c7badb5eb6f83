"""Examples of the reference pages: each is parsed, and run, as it is printed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.cli.commands.component_command import component_parser, given_parameters
from pytorch_designer.components.registry import COMPONENTS
from pytorch_designer.spec.component import Component
from pytorch_designer.spec.parameters import parse_parameters
from tests.commands import run, succeed
from tests.images.digits import write_digits

PAGES = Path(__file__).parents[2] / "docs" / "reference"
ALL = [pytest.param(component, id=component.name) for component in COMPONENTS.values()]


def example(component: Component[Any]) -> str:
    text = (PAGES / f"{component.name}.md").read_text(encoding="utf-8")
    [found] = re.findall(r"```console\n(.*?)\n```", text, re.DOTALL)
    return str(found)


@pytest.mark.parametrize("component", ALL)
def test_an_example_is_understood_and_gives_every_port_and_every_default(component: Component[Any]) -> None:
    program, command, *options = shlex.split(example(component).replace("\\\n", ""))
    assert (program, command) == ("pytorch-designer", component.command)
    given = vars(component_parser(component, program).parse_args(options))
    parsed = parse_parameters(component.parameters, given_parameters(component.parameter_specs, given))
    assert parsed == component.parameters()
    assert {port.name: given[port.name] for port in (*component.inputs, *component.outputs)} == {
        port.name: port.name for port in (*component.inputs, *component.outputs)
    }


def images(folder: Path) -> None:
    write_digits(folder, classes=2, per_class=12)


def untrained_model(folder: Path) -> None:
    arguments = ("--model-name", "shufflenet_v2_x0_5", "--pretrained", "false")
    succeed("image-model", *arguments, "--untrained-model", folder, cwd=folder.parent)


def trained_model(folder: Path) -> None:
    top = folder.parent
    untrained_model(top / "start")
    images(top / "pets")
    succeed("train", "pets", "--model", "start", "--epochs", "1", "--output", folder, cwd=top)


def scores(folder: Path) -> None:
    top = folder.parent
    if not (top / "model").exists():
        trained_model(top / "model")
    succeed("score-image-model", "--trained-model", "model", "--dataset", "pets", "--scored-dataset", folder, cwd=top)


def transformation(folder: Path) -> None:
    succeed("init-image-transformation", "--output-image-transformation", folder, cwd=folder.parent)


MAKERS: dict[str, Callable[[Path], None]] = {
    "ImageDirectory": images,
    "AnyDirectory": images,
    "UntrainedModelDirectory": untrained_model,
    "ModelDirectory": trained_model,
    "TransformationDirectory": transformation,
    "DataFrameDirectory": scores,
}


@pytest.fixture
def no_weights(tmp_path: Path) -> dict[str, str]:
    """Variables with which a download of weights fails at once."""
    (tmp_path / "mirror").mkdir()
    return {"PYTORCH_DESIGNER_WEIGHTS_MIRROR": str(tmp_path / "mirror"), "TORCH_HOME": str(tmp_path / "torch")}


@pytest.mark.slow
@pytest.mark.parametrize("component", ALL)
def test_an_example_runs_as_it_is_printed(
    component: Component[Any], tmp_path: Path, no_weights: dict[str, str]
) -> None:
    for port in component.inputs:
        MAKERS[port.directory_type.value](tmp_path / port.name)
    _, *words = shlex.split(example(component).replace("\\\n", ""))
    done = run(*words, cwd=tmp_path, **no_weights)
    if any(spec.name == "pretrained" for spec in component.parameter_specs):
        # It is understood, and gets as far as a machine without a network can.
        assert "FailedToDownloadFilesError" in done.stderr
        assert "`--pretrained False`" in done.stderr
        words[words.index("--pretrained") + 1] = "False"
        done = run(*words, cwd=tmp_path, **no_weights)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all((tmp_path / port.name).is_dir() for port in component.outputs)
