"""A small real dataset and runs of a small network on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

from pytorch_designer.directories.image_directory import ImageDirectory, open_image_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.images.cache import CacheBudget
from pytorch_designer.images.loader import ImageLoader
from pytorch_designer.inference.compute import Compute
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.system.stop_requests import StopRequest
from pytorch_designer.training.checkpoint import CheckpointStore
from pytorch_designer.training.recipe import build_optimizer
from pytorch_designer.training.state import TrainingRun, TrainingState
from pytorch_designer.training.weight_plan import WeightPlan

from .small_run import (
    COMPUTE,
    EXTENT,
    FROM_SCRATCH,
    HYPERPARAMETERS,
    PREPROCESSING,
    BuildRun,
    RecordingDisplay,
    SmallRun,
    small_network,
)


@pytest.fixture(scope="session")
def digit_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders `training` (33 images) and `validation` (12 images) of handwritten 0, 1 and 2, 8 pixels each."""
    top = tmp_path_factory.mktemp("digits")
    digits = load_digits()
    counts = {"training": 11, "validation": 4}
    for label in range(3):
        images = iter(digits.images[digits.target == label])
        for part, count in counts.items():
            folder = top / part / f"digit {label}"
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = (next(images) * 255 / 16).round().astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")
    return {part: top / part for part in counts}


@pytest.fixture
def datasets(digit_folders: dict[str, Path]) -> dict[str, ImageDirectory]:
    return {part: open_image_directory(folder) for part, folder in digit_folders.items()}


@pytest.fixture
def build_run(datasets: dict[str, ImageDirectory], tmp_path: Path) -> Iterator[BuildRun]:
    """A function that builds a fresh run; keyword arguments replace hyperparameters and parts of the run."""
    with ExitStack() as stack:

        def build(
            network: nn.Module | None = None,
            output: Path | None = None,
            compute: Compute = COMPUTE,
            checkpoint_seconds: float = 1e9,
            *,
            normalizes_lone_image: bool = True,
            plan: WeightPlan = FROM_SCRATCH,
            preprocessing: Preprocessing = PREPROCESSING,
            **changes: Any,
        ) -> SmallRun:
            hyperparameters = replace(
                HYPERPARAMETERS, **{name: changes.pop(name) for name in list(changes) if hasattr(HYPERPARAMETERS, name)}
            )
            loaders = {
                part: stack.enter_context(
                    ImageLoader(
                        dataset,
                        preprocessing,
                        num_threads=2,
                        cache=CacheBudget(10**6),
                        pins_memory=compute.device.type == "cuda",
                        tolerance=0.0,
                        port=f"{part}_dataset",
                    )
                )
                for part, dataset in datasets.items()
            }
            predictor = Predictor(
                small_network() if network is None else network,
                preprocessing,
                compute,
                normalizes_lone_image=normalizes_lone_image,
                keeps_statistics=plan.stays_near,
            )
            display = RecordingDisplay()
            parts: dict[str, Any] = {
                "hyperparameters": hyperparameters,
                "predictor": predictor,
                "training": loaders["training"],
                "validation": loaders["validation"],
                "num_classes": 3,
                "plan": plan,
                "display": display,
                "on_epoch_end": lambda record: None,
                "stop_request": StopRequest(),
            }
            run = TrainingRun(**(parts | changes))
            state = TrainingState(predictor.network, build_optimizer(predictor.network, hyperparameters.learning_rate))
            store = CheckpointStore(output or tmp_path / "output", "this run", EXTENT)
            return SmallRun(run, state, store, checkpoint_seconds, display)

        yield build
