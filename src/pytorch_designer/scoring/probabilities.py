"""From batches of images to the probabilities of every row of a dataset, in its order."""

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

    from pytorch_designer.inference.predictor import Predictor
    from pytorch_designer.scoring.image_batches import ImageBatch

_MAX_BLANK_ROWS = 256
_MEMORY_ADVICE = "Use a machine or a GPU with more memory, or end what else is using it."


def row_probabilities(
    batches: Iterable[ImageBatch], predictor: Predictor, *, num_rows: int, num_classes: int, port: str
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield the probabilities of the rows 0 to num_rows - 1, a piece of consecutive rows at a time.

    Args:
        batches: Images with their rows, which rise.
        predictor: The network.
        num_rows: Rows of the dataset.
        num_classes: Logits of the network.
        port: Where the images come from, for errors.

    Yields:
        The rows of a piece, and their probabilities, float64 [n, num_classes]: the softmax of the logits, in float64.
        A row is NaN when no batch has it, or when its logits are not finite.

    Raises:
        ModuleOutOfMemoryError: The device has too little memory for a batch.
        InvalidDatasetError: The network does not take images of this size.
    """
    done = 0

    @contextmanager
    def naming_errors(images_nchw: Tensor) -> Iterator[None]:
        memory = torch_errors(len(images_nchw), where=port, advice=_MEMORY_ADVICE)
        with _size_errors(predictor.network, images_nchw), memory:
            yield

    in_turn = predictor.logits_in_turn(batches, lambda batch: batch.images_nchw, errors=naming_errors)
    for batch, logits_nk in in_turn:
        start, end = int(batch.rows[0]), int(batch.rows[-1]) + 1
        yield from _blank_pieces(done, start, num_classes)
        probabilities = _blank(end - start, num_classes)
        probabilities[batch.rows - start] = logits_nk.double().softmax(dim=1).numpy()
        yield slice(start, end), probabilities
        done = end
    yield from _blank_pieces(done, num_rows, num_classes)


@contextmanager
def _size_errors(network: nn.Module, images_nchw: Tensor) -> Iterator[None]:
    """Name the size of the images where that is what the network fails on; looking at it beforehand takes time."""
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
