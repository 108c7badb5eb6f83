"""Pipes, files and links where a command is to write into a folder: called what they are, and left as they were."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.commands import run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this platform"),
]

COMPONENT = """
name: greeting
type: command
outputs: {made: {type: uri_folder}}
command: echo hello > ${{outputs.made}}/greeting.txt
environment: {image: none}
"""
PIPELINE = """
type: pipeline
jobs: {first: {type: command, component: ./component.yaml}}
"""
KINDS = {
    "pipe": "path is a named pipe, not a folder",
    "file": "path is a file, not a folder",
    "nowhere": "path is a link that leads nowhere, not a folder",
    "circle": "path is a link that goes in circles, not a folder",
    "pipe/below": "path would be inside a named pipe",
    "nowhere/below": "path would be inside a link that leads nowhere",
}
OUTPUTS = {
    "the run folder of a component": ("run", "component.yaml", "--run-folder={}"),
    "an output of a component": ("run", "component.yaml", "--run-folder=run", "--output=made={}"),
    "the run folder of a pipeline": ("run", "pipeline.yaml", "--run-folder={}"),
    "the demo": ("demo", "--output={}"),
    "the output of train": ("train", "images", "--output={}"),
    "the page of a learning rate": ("find-learning-rate", "images", "--output={}"),
    "the output of a component's own command": ("resnet", "--pretrained=false", "--untrained-model={}"),
}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "component.yaml").write_text(COMPONENT, encoding="utf-8")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE, encoding="utf-8")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("of the user", encoding="utf-8")
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "circle").symlink_to("circle")
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("output", OUTPUTS)
def test_an_output_that_is_no_folder_is_called_what_it_is(output: str, kind: str, workspace: Path) -> None:
    ended = run(*(argument.format(kind) for argument in OUTPUTS[output]), cwd=workspace)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert f"FailedToWriteOutputsError (0160): The {KINDS[kind]}." in ended.stderr
    [where] = [line.removeprefix("  Where: ") for line in ended.stderr.splitlines() if line.startswith("  Where: ")]
    assert workspace / where == workspace / kind.split("/", maxsplit=1)[0]
    assert_unchanged(workspace)


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_runs_or_components_that_is_none_is_called_what_it_is(kind: str, workspace: Path) -> None:
    (workspace / "runs").symlink_to(kind)
    ended = run("run", "component.yaml", cwd=workspace)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "FailedToWriteOutputsError (0160): The path " in ended.stderr
    assert "What to do: Name a new or empty folder." in ended.stderr

    ended = run("components", kind, cwd=workspace)
    assert ended.returncode in {1, 2}, ended.stdout + ended.stderr
    assert "is not an empty folder" in ended.stderr or KINDS[kind] in ended.stderr
    assert_unchanged(workspace)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cache_that_is_no_folder_costs_no_run(kind: str, workspace: Path) -> None:
    ended = run("run", "pipeline.yaml", cwd=workspace, PYTORCH_DESIGNER_REUSE_CACHE=kind)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"(PYTORCH_DESIGNER_REUSE_CACHE can name another folder). The {KINDS[kind]}." in ended.stdout
    assert_unchanged(workspace)


def assert_unchanged(workspace: Path) -> None:
    assert (workspace / "pipe").is_fifo()
    assert (workspace / "file").read_text(encoding="utf-8") == "of the user"
    assert (workspace / "nowhere").readlink() == Path("gone")
    assert (workspace / "circle").readlink() == Path("circle")
    assert not (workspace / "gone").exists()
