"""Validation by all processes, with the metrics that one process would compute, to the last bit.

    batches of the dataset's order:  [ 0 | 1 | 2 | 3 | 4 ]
    processes:                         0   0   1   1   2

Each process scores whole batches: in a batch of other images a network may round differently. What it found of each
image is gathered, and summed in the dataset's order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch

from pytorch_designer.distributed.world import named_error
from pytorch_designer.images.order import batch_slices, share_of
from pytorch_designer.inference.predictor import inference_batch_size
from pytorch_designer.reporting.outcomes import Outcomes
from pytorch_designer.training.history import Metrics, MetricSums, image_losses, label_ranks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from pytorch_designer.distributed.agreement import Agreement
    from pytorch_designer.errors import DesignerError
    from pytorch_designer.images.loader import Batch
    from pytorch_designer.training.state import TrainingRun


class Validation(NamedTuple):
    """Exact metrics, the confusion matrix, int64 [true class, predicted class], and what each image was taken for."""

    metrics: Metrics
    confusion: Tensor
    outcomes: Outcomes


class Between(Protocol):
    """Callback between two validation batches, in all processes at the same time; it may raise to end the run."""

    def __call__(self, *, num_images: int, error: DesignerError | None) -> Agreement:
        """Tell how many images this process has scored since the last call, or which error ends it."""


@dataclass(frozen=True)
class _ImageScores:
    """Table of validation scores of n images; row i of every column is image i.

    Attributes:
        is_known: bool [n], False for images that are not scored, or not yet.
        losses: float64 [n], cross-entropy in nats.
        ranks: int64 [n], `label_ranks`.
        classes: int64 [n], highest-scored class.
        outcomes: Predicted class and probability of each.
    """

    is_known: NDArray[np.bool_]
    losses: NDArray[np.float64]
    ranks: NDArray[np.int64]
    classes: NDArray[np.int64]
    outcomes: Outcomes

    @staticmethod
    def blank(labels: NDArray[np.int64]) -> _ImageScores:
        num_images = len(labels)
        return _ImageScores(
            np.zeros(num_images, np.bool_),
            np.full(num_images, np.nan),
            np.zeros(num_images, np.int64),
            np.zeros(num_images, np.int64),
            Outcomes.blank(labels),
        )

    def record(self, batch: Batch, logits_nk: Tensor) -> None:
        rows = batch.indices
        self.is_known[rows] = True
        self.losses[rows] = image_losses(logits_nk, batch.labels).numpy()
        self.ranks[rows] = label_ranks(logits_nk, batch.labels).numpy()
        self.classes[rows] = logits_nk.argmax(1).numpy()
        self.outcomes.record(rows, logits_nk.double().softmax(1).numpy())

    def known(self) -> tuple[NDArray[np.int64], list[NDArray[np.generic]]]:
        """The rows that are known, and their part of each column."""
        rows = np.flatnonzero(self.is_known)
        return rows, [column[rows] for column in self._columns()]

    def fill(self, rows: NDArray[np.int64], parts: Sequence[NDArray[np.generic]]) -> None:
        """Take what `known` gave of another process."""
        for column, part in zip(self._columns(), parts, strict=True):
            column[rows] = part

    def _columns(self) -> list[NDArray[np.generic]]:
        return [self.is_known, self.losses, self.ranks, self.classes, *vars(self.outcomes).values()]


def validate(run: TrainingRun, epoch: int, between: Between) -> Validation:
    """Score the validation images with all processes.

    Args:
        run: The run, whose network is the same in all processes.
        epoch: Its number, from 1.
        between: Called after each batch, by all processes as often.
    """
    labels = run.validation.labels
    slices = batch_slices(len(labels), inference_batch_size(run.predictor.preprocessing), least_last=1)
    own, num_rounds = shared_slices(slices, run.world.rank, run.world.size)
    scores = _ImageScores.blank(labels)
    num_scored = 0
    scored = _scored_batches(run, own)
    for _ in range(num_rounds):
        found, error = named_error(lambda: next(scored, None))
        num_own = 0
        if found is not None:
            scores.record(*found)
            num_own = len(found[0].labels)
        # What the others have scored meanwhile is not known before the agreement, which may end the run.
        run.display.validated(epoch=epoch, num_images=min(len(labels), num_scored + num_own * run.world.size))
        num_scored += between(num_images=num_own, error=error).num_images
    for rows, parts in run.world.gather(scores.known()):
        scores.fill(rows, parts)
    return _summed(scores, run.num_classes)


def shared_slices(slices: Sequence[slice], rank: int, size: int) -> tuple[Sequence[slice], int]:
    """The block of slices that process `rank` of `size` takes, and the length of the longest block."""
    own = share_of(slice(0, len(slices)), rank=rank, size=size)
    return slices[own], -(-len(slices) // size)


def _scored_batches(run: TrainingRun, slices: Sequence[slice]) -> Iterator[tuple[Batch, Tensor]]:
    order = np.arange(len(run.validation))
    batches = (batch for batch in run.validation.batches(order[part] for part in slices) if len(batch.labels))
    return run.predictor.logits_in_turn(batches, lambda batch: batch.images)


def _summed(scores: _ImageScores, num_classes: int) -> Validation:
    rows = np.flatnonzero(scores.is_known)
    sums = MetricSums()
    sums.add_images(torch.from_numpy(scores.losses[rows]), torch.from_numpy(scores.ranks[rows]))
    confusion = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    labels, classes = torch.from_numpy(scores.outcomes.labels[rows]), torch.from_numpy(scores.classes[rows])
    confusion.index_put_((labels, classes), torch.ones(len(rows), dtype=torch.int64), accumulate=True)
    return Validation(sums.metrics(), confusion, scores.outcomes)
