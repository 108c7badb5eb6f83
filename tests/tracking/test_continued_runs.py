"""A training that is killed and started again is one MLflow run; real processes, real MLflow."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.commands import killed_at_file, succeed, write_small_inputs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them"),
]

NUM_EPOCHS = 4
TRACKED = {"PYTORCH_DESIGNER_TRACKING": "auto", "PYTORCH_DESIGNER_CHECKPOINT_SECONDS": "0"}
CURVES = ("train_loss", "validation_loss", "images_per_second")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `training`, `validation` and `untrained`, a small network."""
    top = tmp_path_factory.mktemp("inputs")
    write_small_inputs(top, classes=2, training=16, validation=4)
    return top


def arguments(inputs: Path, output: str = "trained") -> list[str]:
    ports = {"untrained-model": "untrained", "training-dataset": "training", "validation-dataset": "validation"}
    options = [f"--{port}={inputs / folder}" for port, folder in ports.items()]
    return ["train-pytorch-model", *options, f"--epochs={NUM_EPOCHS}", "--trained-model", output]


def kill_at(position: int, number: int, inputs: Path, folder: Path) -> None:
    """Start a training, and send it a signal once its checkpoint of this position is there."""
    checkpoints = folder / "trained" / ".checkpoint"
    assert killed_at_file(checkpoints, f"{position:08d}.json", number, *arguments(inputs), cwd=folder, **TRACKED)


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    if not (folder / "mlflow.db").exists():
        return []
    with closing(sqlite3.connect(folder / "mlflow.db")) as connection:
        return connection.execute(query).fetchall()


def assert_is_one_whole_run(folder: Path) -> None:
    assert rows(folder, "select status from runs") == [("FINISHED",)]
    points = Counter(rows(folder, "select key, step from metrics"))
    assert set(points.values()) == {1}
    for curve in CURVES:
        assert sorted(step for key, step in points if key == curve) == list(range(1, NUM_EPOCHS + 1))
    assert ("best_epoch", NUM_EPOCHS) in points


# An epoch has two steps: positions 1, 2 and, at its end, 3. At the first, MLflow is not yet imported.
def test_a_training_that_is_killed_again_and_again_is_one_run_with_whole_curves(inputs: Path, tmp_path: Path) -> None:
    folder = tmp_path / "what? #1 é 猫 +&=;:@"
    folder.mkdir()
    for position, number in ((1, signal.SIGKILL), (5, signal.SIGKILL), (7, signal.SIGTERM), (9, signal.SIGKILL)):
        kill_at(position, number, inputs, folder)
    log = succeed(*arguments(inputs), cwd=folder, **TRACKED)
    assert "Continuing from the checkpoint" in log
    assert "Warning" not in log
    assert_is_one_whole_run(folder)
    assert len(list(folder.glob("mlruns/*/artifacts/report/index.html"))) == 1
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]  # and no folder beside it


def test_where_the_store_is_another_one_the_new_run_has_all_epochs(inputs: Path, tmp_path: Path) -> None:
    folder, other = tmp_path / "a%20b", tmp_path / "other"
    folder.mkdir()
    other.mkdir()
    kill_at(8, signal.SIGTERM, inputs, folder)
    succeed(*arguments(inputs), cwd=folder, MLFLOW_TRACKING_URI=f"sqlite:///{other}/mlflow.db", **TRACKED)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a%20b", "other"]
    assert_is_one_whole_run(other)


def test_a_whole_run_in_a_folder_with_modules_is_recorded_beside_its_model(inputs: Path, tmp_path: Path) -> None:
    for module in ("queue", "json", "runpy", "signal", "sqlite3", "mlflow", "sqlalchemy"):
        (tmp_path / f"{module}.py").write_text("raise RuntimeError('not to be imported')\n", encoding="utf-8")
    program = Path(sys.executable).with_name("pytorch-designer")  # unlike `python -m`, looks beside itself
    started = time.time()
    done = subprocess.run(
        [program, *arguments(inputs)],
        cwd=tmp_path,
        env=os.environ | TRACKED,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    seconds = time.time() - started
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout + done.stderr
    assert_is_one_whole_run(tmp_path)

    ((run_id, start, end),) = rows(tmp_path, "select run_uuid, start_time, end_time from runs")
    history = json.loads((tmp_path / "trained/report/run.json").read_text(encoding="utf-8"))["history"]
    assert (end - start) / 1000 > sum(record["seconds"] for record in history)  # it lasts as long as its training
    assert started < start / 1000 < end / 1000 < started + seconds
    report = tmp_path / "mlruns" / run_id / "artifacts" / "report"
    assert {path.name for path in report.iterdir()} == {path.name for path in (tmp_path / "trained/report").iterdir()}
    tags = dict(rows(tmp_path, "select key, value from tags"))
    assert tags["pytorch_designer.model"] == str(tmp_path / "trained")
    assert {"version.torch", "version.torchvision", "version.python", "version.pytorch_designer"} <= tags.keys()
    parameters = dict(rows(tmp_path, "select key, value from params"))
    assert (parameters["device"], parameters["precision"], parameters["weights"]) == ("cpu", "fp32", "from scratch")
    assert (parameters["num_training_images"], parameters["num_classes"]) == ("32", "2")
    assert (parameters["epochs"], parameters["learning_rate"]) == (str(NUM_EPOCHS), "0.001")
    datasets = rows(tmp_path, "select name, digest from datasets")
    assert sorted(name for name, _ in datasets) == ["training", "validation"]
    assert all(tags[f"data.{name}_fingerprint"].startswith(digest) for name, digest in datasets)
    metrics = {(key, step): value for key, step, value in rows(tmp_path, "select key, step, value from metrics")}
    for record in history:
        assert metrics["validation_loss", record["epoch"]] == pytest.approx(record["validation"]["loss"])
        assert metrics["train_top1", record["epoch"]] == pytest.approx(record["training"]["top1"])
