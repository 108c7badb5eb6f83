"""Score Image Model through its real command line, on real handwritten digits."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from pytorch_designer.directories.scores.scored_dataset import open_scored_dataset
from tests.commands import run, run_fresh, succeed, succeeded
from tests.images.digits import write_digits

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `digits`, split into `training` and `validation`, and `trained`, a small network after an epoch."""
    top = tmp_path_factory.mktemp("score")
    write_digits(top / "digits", classes=3, per_class=30)
    succeed(
        "split-image-directory",
        *("--input-image-directory", "digits", "--fraction", "0.7"),
        *("--output-image-directory1", "training", "--output-image-directory2", "validation"),
        cwd=top,
    )
    succeed(
        "image-model",
        *("--model-name", "shufflenet_v2_x0_5", "--pretrained", "False", "--untrained-model", "untrained"),
        cwd=top,
    )
    succeed(
        "train-pytorch-model",
        *("--untrained-model", "untrained", "--training-dataset", "training", "--validation-dataset", "validation"),
        *("--epochs", "1", "--learning-rate", "0.05", "--trained-model", "trained"),
        cwd=top,
    )
    return top


def score_arguments(output: str, **ports: str) -> list[str]:
    chosen = {"trained_model": "trained", "dataset": "validation"} | ports
    options = [f"--{name.replace('_', '-')}={folder}" for name, folder in chosen.items()]
    return ["score-image-model", *options, f"--scored-dataset={output}"]


@pytest.fixture(scope="module")
def scored(workspace: Path) -> Path:
    (workspace / "scored.log").write_text(succeed(*score_arguments("scored"), cwd=workspace))
    return workspace / "scored"


def test_scores_of_the_validation_images_repeat_the_metrics_of_training(
    scored: Path, workspace: Path
) -> None:  # CASES 10
    expected = json.loads((workspace / "trained/report/metrics.json").read_text())["validation"]
    found = open_scored_dataset(scored)
    assert found.labels is not None
    assert np.mean(found.predicted == found.labels) == expected["top1"]
    own = found.probabilities[np.arange(len(found)), found.labels]
    assert math.isclose(-np.log(own).mean(), expected["loss"], rel_tol=1e-12)
    assert len(found) == expected["num_images"] == 27


def test_output_holds_its_files_and_the_log_says_where(scored: Path, workspace: Path) -> None:
    names = sorted(path.relative_to(scored).as_posix() for path in scored.rglob("*") if path.is_file())
    assert names == ["_data.csv", "_data.parquet", "_meta.yaml", "_thumbnails.json", "schema/_schema.json"]
    log = (workspace / "scored.log").read_text()
    assert "shufflenet_v2_x0_5, 3 classes" in log
    assert "Scored 27 images." in log


def test_fresh_process_with_other_threads_gives_equal_bytes(scored: Path, workspace: Path) -> None:
    succeeded(run_fresh(*score_arguments("again"), cwd=workspace, PYTORCH_DESIGNER_READ_THREADS="1"))
    for name in ("_data.csv", "_data.parquet", "_thumbnails.json", "_meta.yaml"):
        assert (workspace / "again" / name).read_bytes() == (scored / name).read_bytes()


def test_damaged_file_is_counted_and_does_not_end_the_run(workspace: Path) -> None:
    shutil.copytree(workspace / "validation", workspace / "damaged")
    victim = sorted((workspace / "damaged/image").iterdir())[5]
    victim.write_bytes(victim.read_bytes()[:50])
    printed = succeed(*score_arguments("partly", dataset="damaged"), cwd=workspace)
    assert "Warning: 1 of 27 images could not be scored" in printed
    assert f".png (image/{victim.name}): " in printed
    assert open_scored_dataset(workspace / "partly").is_scored.sum() == 26


@pytest.mark.parametrize(
    ("ports", "message"),
    [
        ({"trained_model": "untrained"}, "InvalidModelDirectoryError (0159): The model is untrained"),
        (
            {"dataset": "trained"},
            "(0018): A directory of type ImageDirectory is needed here; this one is of type ModelDirectory",
        ),
    ],
)
def test_wrong_input_is_named_and_leaves_nothing(workspace: Path, ports: dict[str, str], message: str) -> None:
    done = run(*score_arguments("wrong", **ports), cwd=workspace)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (workspace / "wrong").exists()
