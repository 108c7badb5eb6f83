"""Class probabilities of a batch of images, and of every row of a dataset in its order."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.inference.torch_errors import torch_errors
from pytorch_designer.models.loading import FORWARD_ERRORS, check_forward

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from pytorch_designer.inference.image_batch import ImageBatch
    from pytorch_designer.inference.predictor import Predictor

NOT_FINITE = "the network's output is not a finite number"
"""Reason of an image that was read and has no probabilities."""

_MAX_BLANK_ROWS = 256
_MEMORY_ADVICE = "Use a machine or a GPU with more memory, or end other programs that use it."


def row_probabilities(
    batches: Iterable[ImageBatch], predictor: Predictor, *, num_rows: int, num_classes: int, port: str
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield the probabilities of the rows 0 to num_rows - 1, in pieces of consecutive rows.

    Args:
        batches: Images with their rows, in rising order.
        predictor: The network.
        num_rows: Rows of the dataset.
        num_classes: Logits of the network.
        port: Name of the dataset in messages.

    Yields:
        The rows of a piece, and their probabilities, float64 [n, num_classes]: the softmax of the logits, in float64.
        A row is NaN when no batch has it, or when its logits are not finite.

    Raises:
        ModuleOutOfMemoryError: The device has too little memory for a batch.
        InvalidDatasetError: The network does not take images of this size.
    """
    done = 0
    in_turn = predictor.logits_in_turn(
        batches, lambda batch: batch.images_nchw, errors=lambda images: _named_errors(predictor, images, port)
    )
    for batch, logits_nk in in_turn:
        start, end = int(batch.rows[0]), int(batch.rows[-1]) + 1
        yield from _blank_pieces(done, start, num_classes)
        probabilities = _blank(end - start, num_classes)
        probabilities[batch.rows - start] = _softmax(logits_nk)
        yield slice(start, end), probabilities
        done = end
    yield from _blank_pieces(done, num_rows, num_classes)


def batch_probabilities(images_nchw: Tensor, predictor: Predictor, *, port: str) -> NDArray[np.float64]:
    """Probabilities of one batch, float64 [n, k], as `row_probabilities` computes them; NaN as there.

    Args:
        images_nchw: uint8 [n, 3, height, width], at least one image.
        predictor: The network.
        port: Where the images come from, in messages.

    Raises:
        ModuleOutOfMemoryError: The device has too little memory for the batch.
        InvalidDatasetError: The network does not take images of this size.
    """
    with _named_errors(predictor, images_nchw, port):
        return _softmax(predictor.logits(images_nchw))


def _softmax(logits_nk: Tensor) -> NDArray[np.float64]:
    probabilities_nk: NDArray[np.float64] = logits_nk.double().softmax(dim=1).numpy()
    return probabilities_nk


@contextmanager
def _named_errors(predictor: Predictor, images_nchw: Tensor, port: str) -> Iterator[None]:
    memory = torch_errors(len(images_nchw), where=port, advice=_MEMORY_ADVICE)
    with _size_errors(predictor.network, images_nchw), memory:
        yield


@contextmanager
def _size_errors(network: nn.Module, images_nchw: Tensor) -> Iterator[None]:
    """Name the size of the images where the network fails because of it; checking it beforehand would take time."""
    try:
        yield
    except FORWARD_ERRORS:
        check_forward(network, *images_nchw.shape[2:])
        raise


def _blank_pieces(start: int, end: int, num_classes: int) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    for first in range(start, end, _MAX_BLANK_ROWS):
        last = min(first + _MAX_BLANK_ROWS, end)
        yield slice(first, last), _blank(last - first, num_classes)


def _blank(num_rows: int, num_classes: int) -> NDArray[np.float64]:
    return np.full((num_rows, num_classes), np.nan)
