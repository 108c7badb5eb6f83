"""Features: what the classifier's layer of a network is given, in evaluation mode, for some of the training images."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from pytorch_designer.inference.torch_errors import torch_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from pytorch_designer.images.loader import Batch
    from pytorch_designer.inference.predictor import Predictor
    from pytorch_designer.models.heads import Head
    from pytorch_designer.training.state import TrainingRun


def rows_in_turn(labels_n: NDArray[np.int64], order_n: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most `most` rows, int64, ascending: of each class in turn one, in the given order.

    Args:
        labels_n: The class of each row.
        order_n: A permutation of the rows.
        most: At least 1.
    """
    ordered_n = labels_n[order_n]
    by_class_n = np.argsort(ordered_n, kind="stable")
    sizes = np.bincount(ordered_n)
    turn_n = np.empty_like(by_class_n)
    turn_n[by_class_n] = np.concatenate([np.arange(size) for size in sizes])
    rows: NDArray[np.int64] = order_n[np.argsort(turn_n, kind="stable")[:most]]
    return np.sort(rows)


def without_random(run: TrainingRun, batch: Batch) -> Batch:
    """A batch at the network's size, where its random transforms are left to the GPU."""
    if run.batch_augmentation is None:
        return batch
    augmentation = run.batch_augmentation.without_random(run.predictor.preprocessing)
    images = augmentation.draw_batch(run.predictor.send(batch.images), epoch=0, rows=batch.indices)
    return replace(batch, images=images)


def head_features(predictor: Predictor, head: Head, batches: Iterable[Batch]) -> Iterator[tuple[Batch, Tensor, Tensor]]:
    """Yield each batch with its features, float32 [n, d], and its logits, float32 [n, k], on the CPU.

    Features that differ by place, as those of a convolution do, are averaged.

    Args:
        predictor: Its network computes logits by `head`.
        head: The classifier's layer.
        batches: At the network's size, with at least one image each.

    Raises:
        ModuleOutOfMemoryError: The device has too little memory.
        LookupError: The network does not use the layer, or uses it several times.
    """
    for batch in batches:
        with _inputs_of(head) as inputs, torch_errors(len(batch.labels)):
            logits_nk = predictor.logits(batch.images)
        if len(inputs) != 1:
            raise LookupError(f"its layer is used {len(inputs)} times per image")
        yield batch, _averaged(inputs[0], is_convolution=isinstance(head, nn.Conv2d)).float().cpu(), logits_nk


@contextmanager
def _inputs_of(layer: nn.Module) -> Iterator[list[Tensor]]:
    inputs: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
    try:
        yield inputs
    finally:
        hook.remove()


def _averaged(inputs: Tensor, *, is_convolution: bool) -> Tensor:
    channels_last = inputs.movedim(1, -1) if is_convolution else inputs
    return channels_last.float().flatten(1, -2).mean(1) if channels_last.ndim > 2 else channels_last
