"""Batches of images of one size, with the rows that they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from pytorch_designer.images.bad_files import BadImageError
from pytorch_designer.inference.predictor import inference_batch_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from pytorch_designer.models.loading import LoadedModel


class ImageBatch(NamedTuple):
    """Images of one size, at least one.

    Attributes:
        rows: int64 [n], rising: the images' rows in the dataset. The row of a bad file is in no batch.
        images_nchw: uint8 [n, 3, height, width], RGB.
    """

    rows: NDArray[np.int64]
    images_nchw: Tensor


def own_size_batches(images: Iterable[tuple[int, Tensor]], model: LoadedModel) -> Iterator[ImageBatch]:
    """Batches for a trained model of the old designer, which has no image size of its own.

    Neighbors of one size share a batch; an image between others of another size is alone.

    Args:
        images: The usable images with their rows, rising.
        model: Determines how many of a size make a batch.
    """
    rows: list[int] = []
    together: list[Tensor] = []
    for row, image in images:
        # Counted in rows, bad ones included, so that the rows which a batch spans are bounded too.
        if together and (image.shape != together[0].shape or row - rows[0] >= _batch_size(image, model)):
            yield ImageBatch(np.array(rows, dtype=np.int64), torch.stack(together))
            rows, together = [], []
        rows.append(row)
        together.append(image)
    if together:
        yield ImageBatch(np.array(rows, dtype=np.int64), torch.stack(together))


def check_own_size(image: Tensor, least_size: tuple[int, int]) -> None:
    """Refuse an image that is too small for a network that scores images at their own size.

    Args:
        image: uint8 [3, height, width].
        least_size: The smallest height and width that the network takes.

    Raises:
        BadImageError: It is.
    """
    height, width = image.shape[1:]
    least_height, least_width = least_size
    if height < least_height or width < least_width:
        raise BadImageError(
            f"{width}x{height} pixels are fewer than the {least_width}x{least_height} that the network needs"
        )


def _batch_size(image: Tensor, model: LoadedModel) -> int:
    return inference_batch_size(model.preprocessing_for(*image.shape[1:]))
