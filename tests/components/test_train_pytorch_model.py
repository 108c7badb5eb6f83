"""Train PyTorch Model through its real command line, on real handwritten digits."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.model_directory import open_trained_model_directory
from pytorch_designer.harness.job.job_processes import free_port
from pytorch_designer.images.loader import ImageLoader
from pytorch_designer.inference.compute import choose_compute
from pytorch_designer.inference.predictor import Predictor, inference_batch_size
from pytorch_designer.models.loading import load_model
from pytorch_designer.settings import Settings
from pytorch_designer.training.history import MetricSums
from tests.commands import killed_at_file, run, succeed, write_small_inputs

pytestmark = pytest.mark.slow

PARAMETERS = ("--epochs", "2", "--batch-size", "16", "--learning-rate", "0.05")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `training` (60 digits), `validation` (30) and `untrained`, a small network."""
    top = tmp_path_factory.mktemp("train")
    write_small_inputs(top, classes=3, training=20, validation=10)
    return top


def train_arguments(output: str, **ports: str) -> list[str]:
    chosen = {
        "untrained_model": "untrained",
        "training_dataset": "training",
        "validation_dataset": "validation",
    } | ports
    options = [f"--{name.replace('_', '-')}={folder}" for name, folder in chosen.items()]
    return ["train-pytorch-model", *options, *PARAMETERS, "--trained-model", output]


def weights_hash(model: Path) -> str:
    return hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def trained(workspace: Path) -> Path:
    (workspace / "trained.log").write_text(succeed(*train_arguments("trained"), cwd=workspace))
    return workspace / "trained"


def test_output_is_a_model_directory_an_mlflow_model_and_a_report(trained: Path) -> None:
    present = {path.relative_to(trained).as_posix() for path in trained.rglob("*") if path.is_file()}
    assert present >= {
        "_meta.yaml",
        "model_spec.yaml",
        "model.safetensors",
        "index_to_label.csv",
        "MLmodel",
        "requirements.txt",
        "conda.yaml",
        "python_env.yaml",
        "input_example.json",
        "code/pytorch_designer/serving/mlflow_model.py",
        "report/index.html",
        "report/history.csv",
        "report/metrics.json",
        "report/run.json",
    }
    assert not [name for name in present if name.startswith(".")], "no checkpoint, lock or staging is left"
    assert (trained / "index_to_label.csv").read_text() == ",label\n0,0\n1,1\n2,2\n"


def test_log_shows_versions_device_data_a_row_an_epoch_and_the_result(trained: Path, workspace: Path) -> None:
    log = (workspace / "trained.log").read_text()
    expected = ("torch", "cpu", "60 images in 3 classes", "30 images", "8 x 8 pixels", "1/2", "2/2", "Best epoch")
    assert [part for part in expected if part not in log] == []
    assert len(log.splitlines()) < 20
    assert str(trained.name) in log


def test_scoring_the_validation_images_gives_exactly_the_best_epochs_metrics(trained: Path, workspace: Path) -> None:
    loaded = load_model(open_trained_model_directory(trained))
    assert loaded.preprocessing is not None
    compute = choose_compute(Settings(), height=loaded.preprocessing.crop_height, width=loaded.preprocessing.crop_width)
    compute.activate()
    predictor = Predictor(loaded.network, loaded.preprocessing, compute)
    dataset = open_image_directory(workspace / "validation")
    sums = MetricSums()
    with ImageLoader(dataset, loaded.preprocessing, num_threads=3, tolerance=0.0, port="dataset") as loader:
        import numpy as np

        size = inference_batch_size(loaded.preprocessing)
        rows = np.arange(len(dataset))
        for batch in loader.batches(rows[start : start + size] for start in range(0, len(rows), size)):
            sums.add(predictor.logits(batch.images), batch.labels)
    run_json = json.loads((trained / "report/run.json").read_text())
    best = run_json["history"][run_json["best_epoch"] - 1]["validation"]
    measured = sums.metrics()
    assert (measured.loss, measured.top1, measured.top5) == (best["loss"], best["top1"], best["top5"])


def test_other_threads_and_no_cache_give_equal_bytes(trained: Path, workspace: Path) -> None:
    environment = {"PYTORCH_DESIGNER_READ_THREADS": "1", "PYTORCH_DESIGNER_CACHE_BYTES": "0"}
    succeed(*train_arguments("again"), cwd=workspace, **environment)
    assert weights_hash(workspace / "again") == weights_hash(trained)


def test_converted_directory_trains_to_the_same_weights_as_its_folder(trained: Path, workspace: Path) -> None:
    for part in ("training", "validation"):
        succeed(
            "convert-to-image-directory",
            *("--input-dataset", part, "--output-image-directory", f"{part}_converted"),
            cwd=workspace,
        )
    ports = {"training_dataset": "training_converted", "validation_dataset": "validation_converted"}
    succeed(*train_arguments("from_converted", **ports), cwd=workspace)
    assert weights_hash(workspace / "from_converted") == weights_hash(trained)


def test_same_command_again_finds_its_result(trained: Path, workspace: Path) -> None:
    before = weights_hash(trained)
    assert "nothing is left to do" in succeed(*train_arguments("trained"), cwd=workspace)
    assert weights_hash(trained) == before


def test_other_parameters_on_the_same_output_are_refused(trained: Path, workspace: Path) -> None:
    before = weights_hash(trained)
    done = run(*train_arguments("trained"), "--random-seed", "2", cwd=workspace)
    assert done.returncode == 1
    assert "FailedToWriteOutputsError (0160)" in done.stderr
    assert weights_hash(trained) == before


def _pictures_of(model: Path) -> list[str]:
    """The pictures of the report, with their texts: "0/004.png: 0, taken for 2 with 61 %"."""
    return re.findall("<img [^>]*>", (model / "report" / "index.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_run_that_was_killed_continues_to_the_same_weights(trained: Path, workspace: Path, number: int) -> None:
    output = workspace / f"killed_{number}"
    arguments = train_arguments(output.name)
    environment = {"PYTORCH_DESIGNER_CHECKPOINT_SECONDS": "0"}
    checkpoints = output / ".checkpoint"
    exit_code = killed_at_file(checkpoints, "00000002.json", number, *arguments, cwd=workspace, **environment)
    assert exit_code == (128 + number if number == signal.SIGTERM else -number)
    assert not (output / "_meta.yaml").exists()
    assert "Continuing from the checkpoint" in succeed(*arguments, cwd=workspace)
    assert weights_hash(output) == weights_hash(trained)
    assert not (output / ".checkpoint").exists()
    for name in ("mistakes.csv", "metrics.json"):
        assert (output / "report" / name).read_bytes() == (trained / "report" / name).read_bytes()
    assert _pictures_of(output) == _pictures_of(trained)
    assert len(_pictures_of(trained)) >= 9


def test_trained_model_can_be_trained_further(trained: Path, workspace: Path) -> None:
    # A learning rate at which no step changes a weight, so that what it started from is what comes out.
    arguments = [*train_arguments("further", untrained_model="trained"), "--learning-rate=5e-324"]
    log = succeed(*arguments, cwd=workspace)
    assert "fine-tuned from a trained model" in log
    before, after = (load_file(folder / "model.safetensors") for folder in (trained, workspace / "further"))
    weights = [name for name in before if name.endswith((".weight", ".bias"))]
    assert len(weights) > 100
    assert all(torch.equal(before[name], after[name]) for name in weights)


def test_classes_that_differ_are_named_on_each_side(workspace: Path) -> None:
    shutil.copytree(workspace / "validation", workspace / "other_classes")
    (workspace / "other_classes/2").rename(workspace / "other_classes/two")
    done = run(*train_arguments("never", validation_dataset="other_classes"), cwd=workspace)
    assert done.returncode == 1
    assert "InvalidDatasetError (0018)" in done.stderr
    assert "two" in done.stderr
    assert not (workspace / "never/_meta.yaml").exists()


def test_images_without_labels_are_no_training_set(workspace: Path) -> None:
    shutil.copytree(workspace / "training/0", workspace / "flat")
    done = run(*train_arguments("never", training_dataset="flat"), cwd=workspace)
    assert done.returncode == 1
    assert "NotLabeledDatasetError (0024)" in done.stderr


def test_dataset_on_the_model_port_is_no_model(workspace: Path) -> None:
    done = run(*train_arguments("never", untrained_model="training"), cwd=workspace)
    assert done.returncode == 1
    assert "InvalidModelDirectoryError (0159)" in done.stderr


def test_many_bad_images_end_the_run_with_their_names(workspace: Path) -> None:
    shutil.copytree(workspace / "training", workspace / "damaged")
    damaged = sorted((workspace / "damaged/1").iterdir())[:3]
    for path in damaged:
        path.write_bytes(path.read_bytes()[:60])
    done = run(*train_arguments("never", training_dataset="damaged"), cwd=workspace)
    assert done.returncode == 1
    assert "InvalidDatasetError (0018)" in done.stderr
    assert all(path.name in done.stderr for path in damaged)
    assert not (workspace / "never/_meta.yaml").exists()


def test_tolerated_bad_images_are_counted(workspace: Path) -> None:
    shutil.copytree(workspace / "training", workspace / "nearly_good")
    next((workspace / "nearly_good/1").iterdir()).write_bytes(b"not an image")
    environment = {"PYTORCH_DESIGNER_BAD_IMAGE_TOLERANCE": "0.1"}
    log = succeed(*train_arguments("tolerant", training_dataset="nearly_good"), cwd=workspace, **environment)
    assert "1 image file could not be read" in log
    run_json = json.loads((workspace / "tolerant/report/run.json").read_text())
    assert len(run_json["bad_files"]) == 1
    assert run_json["history"][0]["training"]["num_images"] == 59


def test_huge_learning_rate_stops_with_advice(workspace: Path) -> None:
    done = run(*train_arguments("never"), "--learning-rate", "1e30", cwd=workspace)
    assert done.returncode == 1
    assert "NonFiniteLossError (P001)" in done.stderr
    assert "lower `" in done.stderr


def test_half_a_set_of_variables_is_refused_by_name(workspace: Path) -> None:
    done = run(*train_arguments("never"), cwd=workspace, WORLD_SIZE="2", RANK="0")
    assert done.returncode == 1
    assert "UnsupportedEnvironmentError (P002): The environment says only in part" in done.stderr
    assert "Where: LOCAL_RANK" in done.stderr


def test_a_process_that_does_not_come_is_named_after_the_time_that_was_set(workspace: Path) -> None:
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "LOCAL_RANK": "0", "RANK": "0"}
    started = time.monotonic()
    done = run(*train_arguments("never"), cwd=workspace, WORLD_SIZE="3", PYTORCH_DESIGNER_JOIN_SECONDS="1.5", **place)
    assert done.returncode == 1
    assert "LostProcessError (P018): 2 of 3 processes did not come within 1.5 s: rank 1, rank 2." in done.stderr
    assert time.monotonic() - started < 300  # and not the ten minutes that it waits otherwise
    assert not (workspace / "never").exists()


@pytest.mark.parametrize("options", [("--batch-size", "1"), ("--batch-size", "59"), ("--batch-size", "100000")])
def test_any_batch_size_trains(workspace: Path, options: tuple[str, str]) -> None:
    output = f"batch_{options[1]}"
    succeed(*train_arguments(output), *options, "--epochs", "1", "--learning-rate", "0.001", cwd=workspace)
    assert (workspace / output / "_meta.yaml").is_file()


@pytest.mark.parametrize("port", ["training", "validation", "untrained"])
def test_an_output_inside_an_input_is_refused_and_nothing_is_written_there(port: str, workspace: Path) -> None:
    before = sorted((workspace / port).rglob("*"))
    done = run(*train_arguments(f"{port}/inside"), cwd=workspace)
    assert done.returncode == 1
    assert "FailedToWriteOutputsError (0160): The output is inside the" in done.stderr
    assert sorted((workspace / port).rglob("*")) == before
