"""Validation by several processes against that by one, for every number of images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch

from pytorch_designer.distributed.agreement import Agreement, ProcessReport, agree
from pytorch_designer.distributed.world import World
from pytorch_designer.errors import DesignerError
from pytorch_designer.images.loader import Batch
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.system.stop_requests import StopRequest
from pytorch_designer.training.history import EpochRecord
from pytorch_designer.training.parallel import validation
from pytorch_designer.training.parallel.validation import validate
from pytorch_designer.training.recipe import is_better, stop_reason
from pytorch_designer.training.state import TrainingRun
from tests.distributed.worlds import run_world
from tests.training.small_run import (
    COMPUTE,
    FROM_SCRATCH,
    HYPERPARAMETERS,
    PREPROCESSING,
    RecordingDisplay,
    small_network,
)

MOST_IMAGES = 40
NUM_EPOCHS = 6
SEEDS = (3, 1, 4, 2, 0, 5)  # of the weights after each epoch


class _Images:
    """As much of a loader as validation uses, with random images."""

    def __init__(self, num_images: int) -> None:
        generator = torch.Generator().manual_seed(num_images)
        self._images = torch.randint(0, 256, (num_images, 3, 8, 8), generator=generator, dtype=torch.uint8)
        self.labels = torch.randint(0, 3, (num_images,), generator=generator).numpy()

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, batch_indices: Any) -> Any:
        for rows in batch_indices:
            yield Batch(self._images[rows], torch.from_numpy(self.labels[rows]), rows)


def _course(world: World, num_images: int) -> tuple[Any, ...]:
    """Validations of the same weights, the best epoch, and why training ends."""

    def between(*, num_images: int, error: DesignerError | None) -> Agreement:
        return agree(world, ProcessReport(num_images=num_images, has_failed=error is not None))

    images: Any = _Images(num_images)
    run = TrainingRun(
        hyperparameters=replace(HYPERPARAMETERS, num_epochs=NUM_EPOCHS, patience=2),
        predictor=Predictor(small_network(), PREPROCESSING, COMPUTE),
        training=images,
        validation=images,
        num_classes=3,
        plan=FROM_SCRATCH,
        display=RecordingDisplay(),
        on_epoch_end=lambda record: None,
        stop_request=StopRequest(),
        world=world,
    )
    history: list[EpochRecord] = []
    found, best = [], 0
    while (reason := stop_reason(history, num_epochs=NUM_EPOCHS, patience=2)) is None:
        run.predictor.network.load_state_dict(small_network(SEEDS[len(history)]).state_dict())
        metrics, confusion, outcomes = validate(run, len(history) + 1, between)
        is_best = is_better(metrics, history[best - 1].validation if best else None)
        history.append(EpochRecord(len(history) + 1, metrics, metrics, 0.1, 1.0, 1.0, is_best))
        best = len(history) if is_best else best
        found.append((metrics, confusion.tolist(), {name: column.tobytes() for name, column in vars(outcomes).items()}))
    return found, best, reason


def courses(world: World) -> list[tuple[Any, ...]]:
    """The course for each number of images."""
    torch.set_num_threads(1)
    with patch.object(validation, "inference_batch_size", lambda preprocessing: 3):
        return [_course(world, num_images) for num_images in range(1, MOST_IMAGES + 1)]


@pytest.mark.slow
def test_metrics_best_epoch_and_patience_are_those_of_one_process_to_the_bit() -> None:
    [alone] = run_world(1, courses)
    for size in (2, 3, 5):
        for found in run_world(size, courses):
            for number, (together, expected) in enumerate(zip(found, alone, strict=True), 1):
                assert together == expected, f"{number} images, {size} processes"
    assert len(alone) == MOST_IMAGES
    assert len({(best, reason) for _, best, reason in alone}) > 4, "several best epochs, and some lose patience"
    assert np.isfinite([metrics.loss for course, *_ in alone for metrics, *_ in course]).all()
