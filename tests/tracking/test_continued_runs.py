"""A training that is killed and started again is one MLflow run; real processes, real MLflow."""

from __future__ import annotations

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

from tests.commands import forked, run_fresh, succeed, succeeded
from tests.images.digits import write_digits

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
    write_digits(top / "training", classes=2, per_class=16)
    write_digits(top / "validation", classes=2, per_class=4, skip=20)
    network = ("--model-name", "shufflenet_v2_x0_5", "--pretrained", "False", "--untrained-model", "untrained")
    succeed("image-model", *network, cwd=top)
    return top


def arguments(inputs: Path, output: str = "trained") -> list[str]:
    ports = {"untrained-model": "untrained", "training-dataset": "training", "validation-dataset": "validation"}
    options = [f"--{port}={inputs / folder}" for port, folder in ports.items()]
    return ["train-pytorch-model", *options, f"--epochs={NUM_EPOCHS}", "--trained-model", output]


def kill_at(position: int, number: int, inputs: Path, folder: Path) -> None:
    """Start a training, and send it a signal once its checkpoint of this position is there."""
    checkpoint = folder / "trained" / ".checkpoint" / f"{position:08d}.json"
    with forked(*arguments(inputs), cwd=folder, **TRACKED) as (process, (_, errors)):
        deadline = time.monotonic() + 120
        while not checkpoint.exists() and time.monotonic() < deadline:
            assert process.is_alive(), errors.read_text()
            time.sleep(0.005)
        assert process.pid is not None
        os.kill(process.pid, number)
        process.join(60)
        assert process.exitcode


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


# An epoch has two steps: positions 1, 2 and, at its end, 3.
@pytest.mark.parametrize(
    ("position", "number"),
    [
        pytest.param(1, signal.SIGKILL, id="before MLflow is imported"),
        pytest.param(7, signal.SIGKILL, id="in the third epoch"),
        pytest.param(9, signal.SIGTERM, id="told to stop"),
    ],
)
def test_a_training_that_continues_is_one_run_with_whole_curves(
    position: int, number: int, inputs: Path, tmp_path: Path
) -> None:
    kill_at(position, number, inputs, tmp_path)
    log = succeed(*arguments(inputs), cwd=tmp_path, **TRACKED)
    assert "Continuing from the checkpoint" in log
    assert "Warning" not in log
    assert_is_one_whole_run(tmp_path)


def test_a_training_that_is_killed_again_and_again_is_one_run(inputs: Path, tmp_path: Path) -> None:
    for position in (2, 5, 8):
        kill_at(position, signal.SIGKILL, inputs, tmp_path)
    succeed(*arguments(inputs), cwd=tmp_path, **TRACKED)
    assert_is_one_whole_run(tmp_path)


def test_where_the_store_is_another_one_the_new_run_has_all_epochs(inputs: Path, tmp_path: Path) -> None:
    kill_at(8, signal.SIGTERM, inputs, tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    succeed(*arguments(inputs), cwd=tmp_path, MLFLOW_TRACKING_URI=f"sqlite:///{other}/mlflow.db", **TRACKED)
    assert_is_one_whole_run(other)


def test_a_run_lasts_as_long_as_its_training_and_leads_to_its_model(inputs: Path, tmp_path: Path) -> None:
    started = time.time()
    succeeded(run_fresh(*arguments(inputs), cwd=tmp_path, **TRACKED))
    seconds = time.time() - started
    ((run_id, start, end),) = rows(tmp_path, "select run_uuid, start_time, end_time from runs")
    assert (end - start) / 1000 > 0.4 * seconds
    assert started < start / 1000 < end / 1000 < started + seconds
    report = tmp_path / "mlruns" / run_id / "artifacts" / "report"
    assert {path.name for path in report.iterdir()} == {path.name for path in (tmp_path / "trained/report").iterdir()}
    tags = dict(rows(tmp_path, "select key, value from tags"))
    assert tags["pytorch_designer.model"] == str(tmp_path / "trained")
    assert {"version.torch", "version.torchvision", "version.python", "version.pytorch_designer"} <= tags.keys()
    parameters = dict(rows(tmp_path, "select key, value from params"))
    assert (parameters["device"], parameters["precision"], parameters["weights"]) == ("cpu", "fp32", "from scratch")
    assert (parameters["num_training_images"], parameters["num_classes"]) == ("32", "2")
    datasets = rows(tmp_path, "select name, digest from datasets")
    assert sorted(name for name, _ in datasets) == ["training", "validation"]
    assert all(tags[f"data.{name}_fingerprint"].startswith(digest) for name, digest in datasets)


@pytest.mark.parametrize("name", ["a%20b", "what? #1 é 猫 +&=;:@"])
def test_a_folder_of_any_name_is_tracked(name: str, inputs: Path, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    log = succeed(*arguments(inputs), cwd=folder, **TRACKED)
    assert "Warning" not in log
    assert_is_one_whole_run(folder)
    assert len(list(folder.glob("mlruns/*/artifacts/report/index.html"))) == 1
    assert [path.name for path in tmp_path.iterdir()] == [name]  # and no folder beside it


def test_modules_in_the_working_directory_are_not_imported(inputs: Path, tmp_path: Path) -> None:
    for module in ("queue", "json", "runpy", "signal", "sqlite3", "mlflow", "sqlalchemy"):
        (tmp_path / f"{module}.py").write_text("raise RuntimeError('not to be imported')\n", encoding="utf-8")
    program = Path(sys.executable).with_name("pytorch-designer")  # unlike `python -m`, looks beside itself
    environment = os.environ | TRACKED
    done = subprocess.run(
        [program, *arguments(inputs)],
        cwd=tmp_path,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout + done.stderr
    assert_is_one_whole_run(tmp_path)
