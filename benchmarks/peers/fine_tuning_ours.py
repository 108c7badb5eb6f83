"""Fine-tuning with this project's training, in process: what Train PyTorch Model does once its inputs are open.

    python benchmarks/peers/fine_tuning_ours.py --folder FOLDER --output RUNS.jsonl < REQUESTS

With PYTHONPATH set to the `src` of another version it is that version's. Patience is set so that all epochs run. The
time is that of the epochs and of what precedes the first of them, without start-up and the report.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch

from fine_tuning_loops import learn_source
from fine_tuning_task import (
    BATCH_SIZE,
    TuningRequest,
    accuracy,
    is_of_torchvision,
    logits_of,
    read_images,
    serve,
    training_rows,
    weights_file,
)
from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.model_directory import open_model_directory, open_trained_model_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.models.architectures import Architecture
from pytorch_designer.models.loading import load_model
from pytorch_designer.models.saving import write_trained_model
from pytorch_designer.tracking.tracker import NullTracker
from pytorch_designer.training import training_run
from pytorch_designer.training.datasets import check_datasets
from pytorch_designer.training.recipe import Hyperparameters

if TYPE_CHECKING:
    from torch import Tensor

    from pytorch_designer.training.history import RunSummary

SIDE = 32


def main() -> None:
    """Make the runs that standard input asks for, or learn a source."""
    parser = argparse.ArgumentParser(description="Fine-tune with this project.")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--learn", nargs=2, metavar=("SOURCE", "NETWORK"), help="learn a source instead")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    if options.learn is not None:
        write_source(options.folder, *options.learn)
    else:
        serve(options.output, partial(fine_tune, folder=options.folder))


def write_source(folder: Path, source: str, network: str) -> None:
    """Learn a source with a plain loop, and write the network as a trained model of this project too."""
    learned = learn_source(folder, source, network)
    classes = open_image_directory(folder / source / "training").classes
    write_model(weights_file(folder, source, network).with_suffix(""), network, learned.state_dict(), classes, SIDE)


def write_model(model: Path, network: str, state_dict: dict[str, Tensor], classes: tuple[str, ...], side: int) -> None:
    """Write weights as a trained model of this project, for images of `side` pixels."""
    model.mkdir()
    write_trained_model(
        model,
        architecture=Architecture(network, "torchvision" if is_of_torchvision(network) else "timm", {}),
        state_dict=state_dict,
        classes=classes,
        preprocessing=Preprocessing(resize_size=side, crop_height=side, crop_width=side),
    )


def fine_tune(request: TuningRequest, folder: Path) -> dict[str, Any]:
    """Make one run."""
    task = request.task
    training, validation = (open_image_directory(folder / request.target / part) for part in ("training", "validation"))
    assert training.labels is not None
    training = training.take(training_rows(training.labels.astype("int64"), task))
    model = weights_file(folder, request.source, task.network).with_suffix("")
    summaries: list[RunSummary] = []
    no_report = patch.multiple(  # its pictures and charts would take longer than a short run
        sys.modules.get("pytorch_designer.training.report.trained_output", training_run),  # before: a part of it
        gather_images=lambda *_: None,
        write_report=lambda _folder, summary, _images: summaries.append(summary),
    )
    with tempfile.TemporaryDirectory() as output, no_report:
        started = time.perf_counter()
        training_run.train_model(
            model=open_model_directory(model),
            datasets=check_datasets(training, validation),
            trained_model=Path(output, "trained"),
            hyperparameters=Hyperparameters(
                num_epochs=task.epochs,
                batch_size=BATCH_SIZE,
                learning_rate=0.001 if task.learning_rate is None else task.learning_rate,
                random_seed=task.seed,
                patience=task.epochs,
            ),
            open_tracker=lambda *_: NullTracker(),
        )
        wall_seconds = time.perf_counter() - started
        (summary,) = summaries
        network = load_model(open_trained_model_directory(Path(output, "trained"))).network
    test = read_images(folder / request.target / "test")
    with torch.inference_mode():
        top1 = accuracy(logits_of(network, test.inputs), test.labels)
    by_epoch = [
        {
            "training_loss": epoch.training.loss,
            "training_top1": epoch.training.top1,
            "validation_loss": epoch.validation.loss,
            "validation_top1": epoch.validation.top1,
        }
        for epoch in summary.history
    ]
    seconds = sum(epoch.seconds for epoch in summary.history)
    return {
        "test_top1": top1,
        "best_epoch": summary.best_epoch,
        "seconds": seconds,
        "wall_seconds": wall_seconds,
        "by_epoch": by_epoch,
    }


if __name__ == "__main__":
    main()
