"""Statistics of batch norm for validation, estimated with the weights that are validated.

In training, batch norm normalizes by the statistics of the batch; in validation and scoring by running ones. An average
over the last steps lags behind the weights, and after few steps it is still near its initial values: a network that has
learned well then scores like chance. Why this way, with figures: docs/decisions/0042-batch-norm-statistics.md.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from pytorch_designer.images.order import batch_slices, epoch_order
from pytorch_designer.inference.torch_errors import torch_errors
from pytorch_designer.models.batch_norm import batch_norms
from pytorch_designer.training.steps.step import MEMORY_ADVICE, kept_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn

    from pytorch_designer.images.loader import Batch
    from pytorch_designer.models.batch_norm import BatchNorm
    from pytorch_designer.training.state import TrainingRun

LEAST_IMAGES = 256
"""Images that the statistics are estimated from: as many as an average with momentum 0.1 sees in batches of 16."""

LEAST_IMAGES_PER_PASS = 16
"""Images per forward pass where batch norm sees one value per image and channel. Smaller batches are joined, those of
all processes too. In a batch of two, each channel has two values, and in some channels they are equal in all batches:
divided by variances of nearly 0, validation images would grow from layer to layer, up to NaN."""


def estimate_norm_statistics(run: TrainingRun, epoch: int, between: Callable[[], None]) -> int:
    """Replace the running statistics by those of the first batches of the epoch, as it saw them.

    Their number of images is at least `LEAST_IMAGES`, or all. The statistics follow from the weights, the seed and the
    epoch, and training does not depend on them: whoever repeats it gets the same bits. Where batch norm cannot take its
    statistics from the batches of training, training normalizes by the running ones: these stay.

    Args:
        run: Its network's running statistics are changed.
        epoch: The epoch that has ended, from 1.
        between: Called after each batch, by all processes as often; may raise to end the run.

    Returns:
        Images that this process has estimated from; 0 where the statistics stay.

    Raises:
        ModuleOutOfMemoryError: The device has too little memory.
        InvalidDatasetError: Too many images cannot be read.
    """
    predictor = run.predictor
    norms = [norm for norm in batch_norms(predictor.network) if norm.running_mean is not None]
    if not norms or not predictor.can_normalize(min(run.hyperparameters.batch_size, len(run.training))):
        return 0
    order = epoch_order(len(run.training), seed=run.hyperparameters.random_seed, epoch=epoch)
    num_seen = 0
    with _taking_batches(predictor.network, norms):
        for batch in run.training.batches((order[part] for part in _passes(run)), epoch=epoch):
            num_images = len(batch.labels)
            if num_images and predictor.can_normalize(num_images):
                num_seen += num_images
                for norm in norms:
                    norm.momentum = num_images / num_seen  # each image counts as much, those of before not at all
                _pass(run, _as_trained(run, batch, epoch), norms)
            between()
    return num_seen


def _passes(run: TrainingRun) -> list[slice]:
    """The images of each forward pass, as slices of the epoch's order; as many passes in all processes."""
    num_batches = sum(batch.start < LEAST_IMAGES for batch in run.batch_slices)
    if run.predictor.can_normalize(1) or run.hyperparameters.batch_size >= LEAST_IMAGES_PER_PASS:
        return run.training_slices[:num_batches]
    end = run.batch_slices[num_batches - 1].stop
    return batch_slices(end, LEAST_IMAGES_PER_PASS, least_last=LEAST_IMAGES_PER_PASS)


@torch.no_grad()
def _pass(run: TrainingRun, batch: Batch, norms: list[BatchNorm]) -> None:
    counters = [norm.num_batches_tracked for norm in norms if norm.num_batches_tracked is not None]
    with kept_values(counters), torch_errors(len(batch.labels), advice=MEMORY_ADVICE), run.predictor.compute.autocast():
        run.predictor.network(run.predictor.prepare(batch.images))


def _as_trained(run: TrainingRun, batch: Batch, epoch: int) -> Batch:
    """A batch with its random transforms, where these are left to the GPU."""
    if run.batch_augmentation is None:
        return batch
    images = run.predictor.send(batch.images)
    return replace(batch, images=run.batch_augmentation.draw_batch(images, epoch=epoch, rows=batch.indices))


@contextmanager
def _taking_batches(network: nn.Module, norms: list[BatchNorm]) -> Iterator[None]:
    """Evaluation mode, without dropout, but for the batch norms, which take statistics."""
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.train()
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
