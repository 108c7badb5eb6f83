"""Near duplicates: images of one dataset that are in another one as well, resized, recompressed or a little changed.

Each image is reduced to 16 x 16 gray values of its middle square, without mean and contrast. Two images are near
duplicates where the correlation of these values is at least 0.995. At most 2,000 images are compared, evenly spread, so
that this takes seconds whatever the size of the datasets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.images.budgets import default_read_threads
from pytorch_designer.images.loader import ImageLoader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytorch_designer.directories.image_directory import ImageDirectory

MAX_IMAGES = 2000
SIMILARITY = 0.995
_SIDE = 16
_AT_ONCE = 64
_ANY_SHARE = 1.0
_LEAST_CONTRAST = 4.0  # standard deviation of gray values of 0 to 255; without contrast all images are alike
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class NearDuplicate:
    """An image of the second dataset and the most similar one of the first, as rows."""

    row: int
    other_row: int
    similarity: float


@dataclass(frozen=True)
class NearDuplicates:
    """Pairs of similar images, the most similar first.

    Attributes:
        pairs: For each image of the second dataset that has near duplicates in the first, the most similar one.
        num_first: Images of the first dataset that were compared.
        num_second: Images of the second dataset that were compared.
        is_complete: Whether the datasets are small enough for all images to be looked at.
    """

    pairs: tuple[NearDuplicate, ...]
    num_first: int
    num_second: int
    is_complete: bool


def find_near_duplicates(first: ImageDirectory, second: ImageDirectory) -> NearDuplicates:
    """The images of `second` that are in `first` as well. Files that cannot be read are left out.

    Raises:
        InvalidDatasetError: No file of a dataset can be read, or one took too long.
    """
    num_second = min(len(second), max(MAX_IMAGES // 4, MAX_IMAGES - len(first)))
    is_complete = len(first) + len(second) <= MAX_IMAGES
    rows, values = _reduced(first, min(len(first), MAX_IMAGES - num_second))
    second_rows, second_values = _reduced(second, num_second)
    if not len(rows) or not len(second_rows):
        return NearDuplicates((), len(rows), len(second_rows), is_complete)
    similarity = second_values @ values.T
    best = similarity.argmax(axis=1)
    highest = similarity[np.arange(len(best)), best]
    found = np.flatnonzero(highest >= SIMILARITY)
    found = found[np.argsort(-highest[found], kind="stable")]
    pairs = tuple(
        NearDuplicate(int(second_rows[index]), int(rows[best[index]]), float(highest[index])) for index in found
    )
    return NearDuplicates(pairs, len(rows), len(second_rows), is_complete)


def _reduced(dataset: ImageDirectory, num_images: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows, evenly spread, and the values of each image, float32 [n, 256], of length 1."""
    wanted = np.unique(np.linspace(0, len(dataset) - 1, num_images).round().astype(np.int64))
    sizes = Preprocessing(resize_size=_SIDE, crop_height=_SIDE, crop_width=_SIDE)
    rows, values = [np.empty(0, np.int64)], [np.empty((0, _SIDE * _SIDE), np.float32)]
    parts = [np.arange(start, min(start + _AT_ONCE, len(wanted))) for start in range(0, len(wanted), _AT_ONCE)]
    with ImageLoader(
        dataset.take(wanted), sizes, num_threads=default_read_threads(), tolerance=_ANY_SHARE, port=dataset.source.name
    ) as loader:
        for batch in loader.batches(parts):
            gray = np.tensordot(batch.images.permute(0, 2, 3, 1).numpy().astype(np.float32), _LUMA, axes=1)
            centered = gray.reshape(len(gray), -1)
            centered = centered - centered.mean(axis=1, keepdims=True)
            lengths = np.linalg.norm(centered, axis=1)
            is_contrasted = lengths >= _LEAST_CONTRAST * _SIDE
            rows.append(wanted[batch.indices[is_contrasted]])
            values.append(centered[is_contrasted] / lengths[is_contrasted, None])
    return np.concatenate(rows), np.concatenate(values)
