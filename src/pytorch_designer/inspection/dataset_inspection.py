"""Inspection of a dataset: the facts about all of its images as columns, and its unreadable files.

100,000 small images on a local disk take 6 to 19 seconds on two busy cores: docs/benchmarks_log.md, "Scale".
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.images.bad_files import BadFiles, BadImageError
from pytorch_designer.images.budgets import default_read_threads
from pytorch_designer.inspection.image_facts import ImageFacts, read_facts
from pytorch_designer.settings import settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pytorch_designer.directories.image_directory import ImageDirectory

_ROWS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Inspection:
    """Findings about a dataset of n images; row i of every column is image i.

    Attributes:
        dataset: The dataset.
        bad: Its unreadable files; their rows hold zeros.
        kinds: Images of each format and mode, most frequent first: {"PNG RGBA": 3}.
        widths: int32 [n], in pixels, as stored.
        heights: int32 [n], in pixels, as stored.
        num_bytes: int64 [n], sizes of the files.
        keys: uint64 [n], the same for files of the same content.
    """

    dataset: ImageDirectory
    bad: BadFiles
    kinds: dict[str, int]
    widths: NDArray[np.int32]
    heights: NDArray[np.int32]
    num_bytes: NDArray[np.int64]
    keys: NDArray[np.uint64]

    @property
    def readable(self) -> NDArray[np.bool_]:
        """Mask of the images that can be read, bool [n]."""
        return ~self.bad.is_bad

    @property
    def num_unreadable_by_class(self) -> NDArray[np.int64]:
        """Unreadable images of each class, int64 [number of classes]."""
        if self.dataset.labels is None:
            return np.zeros(0, dtype=np.int64)
        labels = self.dataset.labels[self.bad.is_bad]
        return np.bincount(labels[labels >= 0], minlength=len(self.dataset.classes)).astype(np.int64)


def inspect_dataset(dataset: ImageDirectory, *, name: str, show: Callable[[int], None]) -> Inspection:
    """Read the facts about all images of a dataset, with as many threads as training reads with.

    Args:
        dataset: Labeled or not.
        name: Name of the dataset in messages.
        show: Called with the number of images that are done.
    """
    num_images = len(dataset)
    inspection = Inspection(
        dataset,
        BadFiles(dataset, tolerance=settings().bad_image_tolerance, port=name),
        {},
        np.zeros(num_images, dtype=np.int32),
        np.zeros(num_images, dtype=np.int32),
        np.zeros(num_images, dtype=np.int64),
        np.zeros(num_images, dtype=np.uint64),
    )
    kinds: Counter[str] = Counter()
    parts = [range(start, min(start + _ROWS_AT_ONCE, num_images)) for start in range(0, num_images, _ROWS_AT_ONCE)]
    with ThreadPoolExecutor(default_read_threads()) as threads:
        for part, found in zip(parts, threads.map(lambda rows: _read(inspection, rows), parts), strict=True):
            kinds.update(found)
            show(part.stop)
    inspection.kinds.update(kinds.most_common())
    return inspection


def _read(inspection: Inspection, rows: range) -> Counter[str]:
    """Fill in the columns of some rows; how many images are of each kind."""
    max_pixels = settings().max_image_pixels
    kinds: Counter[str] = Counter()
    for row in rows:
        try:
            facts: ImageFacts = read_facts(inspection.dataset.path(row), max_pixels=max_pixels)
        except BadImageError as error:
            inspection.bad.add(row, error.reason)
            continue
        kinds[facts.kind] += 1
        inspection.widths[row] = facts.width
        inspection.heights[row] = facts.height
        inspection.num_bytes[row] = facts.num_bytes
        inspection.keys[row] = facts.key
    return kinds
