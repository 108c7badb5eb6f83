"""Files of a pipeline that are watched."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pytorch_designer.harness.pipeline.pipeline_request import prepare_pipeline
from pytorch_designer.harness.pipeline.watched_files import WatchedFiles, watched_files
from tests.harness.pipeline_files import FOLDER, component, make_folder, node, write_pipeline, write_yaml


@pytest.fixture
def watched(tmp_path: Path) -> WatchedFiles:
    make_folder(tmp_path / "data" / "deep", a="x")
    make_folder(tmp_path / "code", **{"main.py": "x", "old.pyc": "x", ".amlignore": "*.pyc"})
    make_folder(tmp_path / "inner", env="x")
    inner = {"type": "pipeline", "jobs": {"x": {"type": "command", "component": "leaf.yaml"}}}
    environment = {"image": "i", "conda_file": "env"}
    write_yaml(tmp_path / "inner" / "leaf.yaml", component("true", environment=environment))
    write_yaml(tmp_path / "inner" / "inner.yaml", inner)
    data = {**FOLDER, "path": "data"}
    jobs = {
        "a": node("true", inputs={"d": "${{parent.inputs.data}}"}, code="code", outputs={"out": None}),
        "b": {"type": "pipeline", "component": "inner/inner.yaml"},
        "c": node("true", inputs={"d": "${{parent.jobs.a.outputs.out}}"}),
    }
    path = write_pipeline(tmp_path, jobs, inputs={"data": data})
    (tmp_path / "assets.yaml").touch()
    plan = prepare_pipeline(path, run_folder=tmp_path / "run").plan
    return watched_files(plan, [tmp_path / "assets.yaml"])


@pytest.mark.parametrize(
    "name",
    [
        *("pipeline.yaml", "assets.yaml", "inner/inner.yaml", "inner/leaf.yaml", "inner/env"),
        *("data/deep/a", "code/main.py", "code/new.py"),
    ],
)
def test_a_change_is_seen(tmp_path: Path, watched: WatchedFiles, name: str) -> None:
    before = watched.state()

    assert watched.state() == before
    (tmp_path / name).write_text("other content", encoding="utf-8")
    assert watched.state() != before


def test_what_is_removed_is_seen_and_comes_back(tmp_path: Path, watched: WatchedFiles) -> None:
    before = watched.state()
    (tmp_path / "code").rename(tmp_path / "away")

    assert watched.state() != before
    (tmp_path / "away").rename(tmp_path / "code")
    assert watched.state() == before


@pytest.mark.parametrize("name", ["code/old.pyc", "elsewhere"])
def test_what_no_node_depends_on_is_not_looked_at(tmp_path: Path, watched: WatchedFiles, name: str) -> None:
    before = watched.state()
    (tmp_path / name).write_text("other content", encoding="utf-8")
    os.utime(tmp_path / name, (time.time(), time.time()))

    assert watched.state() == before
