"""Training with this project: the components image_model and train_pytorch_model, as in a pipeline.

    python benchmarks/peers/ours.py --data FOLDER --output FILE.json

Both run as child processes in a folder that is deleted afterwards; the metrics come from the run's own report.
Patience is set so that all epochs run, as in the other libraries.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.directories.model_directory import open_trained_model_directory
from pytorch_designer.training.report.training_report import read_summary
from run_request import RunRecord, RunRequest, parse_request

if TYPE_CHECKING:
    from pytorch_designer.training.history import RunSummary


def main() -> None:
    """Create an untrained model, train it, and record the metrics of its report."""
    request = parse_request("Train with Train PyTorch Model.")
    with tempfile.TemporaryDirectory() as folder:
        summary = train(request, Path(folder))
    record = RunRecord("pytorch-designer")
    for epoch in summary.history:
        train_seconds = epoch.training.num_images / epoch.images_per_second
        record.add_epoch(
            train_seconds=train_seconds,
            validation_seconds=epoch.seconds - train_seconds,
            top1=epoch.validation.top1,
            loss=epoch.validation.loss,
        )
    record.write(request.output)


def train(request: RunRequest, folder: Path) -> RunSummary:
    """Run both components in `folder`."""
    untrained, trained = folder / "untrained", folder / "trained"
    run_component(folder, request, "image-model", model_name=request.model, pretrained=False, untrained_model=untrained)
    run_component(
        folder,
        request,
        "train-pytorch-model",
        untrained_model=untrained,
        training_dataset=(request.data / "training").resolve(),
        validation_dataset=(request.data / "validation").resolve(),
        trained_model=trained,
        epochs=request.epochs,
        batch_size=request.batch_size,
        learning_rate=request.learning_rate,
        random_seed=request.seed,
        patience=request.epochs,
    )
    check_size(request, trained)
    return read_summary(trained / "report")


def check_size(request: RunRequest, trained: Path) -> None:
    """Check that the component chose the requested image size, so that all libraries do equal work."""
    preprocessing = open_trained_model_directory(trained).spec.preprocessing()
    assert preprocessing is not None
    if (preprocessing.crop_height, preprocessing.crop_width) != (request.size, request.size):
        raise SystemExit(f"The model was trained at {preprocessing.describe_size()}, not {request.size}.")


def run_component(folder: Path, request: RunRequest, component: str, **arguments: object) -> None:
    """Run a component with its ports and parameters by name; its output is shown if it fails."""
    options = [text for name, value in arguments.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    threads = {} if request.threads is None else {"PYTORCH_DESIGNER_NUM_THREADS": str(request.threads)}
    command = [sys.executable, "-m", "pytorch_designer", component, *options]
    done = subprocess.run(command, cwd=folder, env=os.environ | threads, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{component} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
