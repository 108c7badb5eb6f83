"""Links in circles where a file or folder is expected: named as what they are not, by `run` and `lint` alike."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytorch_designer.cli.main import main
from pytorch_designer.system.special_files import resolved

COMPONENT = """
type: command
name: count
version: "1"
inputs:
  data: {type: uri_folder}
outputs:
  counted: {type: uri_folder}
environment: azureml:any:1
command: ls ${{inputs.data}} > ${{outputs.counted}}/list.txt
"""
PIPELINE = """
type: pipeline
jobs:
  count:
    type: command
    component: component.yaml
    inputs:
      data: {type: uri_folder, path: data}
"""
FILES = {
    "component.yaml": COMPONENT,
    "code.yaml": COMPONENT + "code: ./circle\n",
    "pipeline.yaml": PIPELINE,
    "component_in_circles.yaml": PIPELINE.replace("component.yaml", "circle"),
    "data_in_circles.yaml": PIPELINE.replace("path: data", "path: circle/data"),
}
COMPONENT_RUN = ["run", "component.yaml", "--no-mlflow"]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "circle").symlink_to("circle")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([*COMPONENT_RUN, "--input", "data=circle"], "there is no"),
        ([*COMPONENT_RUN, "--input", "data=data", "--run-folder", "circle"], "circle"),
        ([*COMPONENT_RUN, "--input", "data=data", "--output", "counted=circle"], "circle"),
        ([*COMPONENT_RUN, "--input", "data=data", "--output", "counted=circle/deeper"], "circle"),
        (["run", "code.yaml", "--input", "data=data", "--no-mlflow"], "circle"),
        (["run", "component_in_circles.yaml", "--no-mlflow"], "circle"),
        (["run", "data_in_circles.yaml", "--no-mlflow"], "circle"),
        (["lint", "code.yaml", "component_in_circles.yaml", "data_in_circles.yaml"], "circle"),
    ],
)
def test_it_is_named(arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    printed = "".join(capfd.readouterr())
    assert said in printed
    assert "Traceback" not in printed


def test_a_path_is_resolved_as_far_as_there_is_something(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("data")
    assert resolved(Path("link", "new")) == Path(os.path.realpath(tmp_path), "data", "new")
    assert resolved(Path("circle", "below")).name == "below"
