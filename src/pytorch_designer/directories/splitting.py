"""Stratified split of an image directory in two.

    num_first = round(fraction * num_images), exact halves to the even number
    each class gives num_first * its size / num_images images to the first part: rounded down, and the images that are
    then missing are taken from the classes with the largest remainders (ties: the earlier class)
    a class with at least two images has at least one in each part
    which images of a class go to the first part is drawn from the seed; both parts keep the order of the source

The same source, fraction and seed give the same parts on every machine; with the same seed, a class that gives more
images at another fraction gives the same and more. Images without a class are split like a class of their own, which
may be missing in one part. No image is decoded.
"""

from __future__ import annotations

import heapq
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.directories.image_directory import UNLABELED, open_image_source
from pytorch_designer.directories.image_writer import rows_of, write_image_directory
from pytorch_designer.directories.summary import log_summary
from pytorch_designer.errors import GreaterThanOrEqualToError, InvalidDatasetError, LessThanOrEqualToError
from pytorch_designer.seeds import derive_seed
from pytorch_designer.storage.output import open_output, stage_together
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from pytorch_designer.directories.image_directory import ImageDirectory


def split_image_directory(source: Path, outputs: tuple[Path, Path], *, fraction: float, seed: int) -> tuple[int, int]:
    """Write the two parts of `source`, each with all of its classes; image files are copied as they are.

    Args:
        source: Anything that `open_image_source` reads.
        outputs: Two folders that are new or empty. When this returns both are complete, when it raises both are empty.
        fraction: Share of the images in the first part, between 0 and 1, both excluded.
        seed: Any integer.

    Returns:
        The number of images of each part.

    Raises:
        GreaterThanOrEqualToError: The fraction is too small for this dataset.
        LessThanOrEqualToError: The fraction is too large for this dataset.
        InvalidDatasetError: The source is unusable, has one image only, or a file of it cannot be read.
        FailedToWriteOutputsError: An output is occupied, inside the source or the other output, or cannot be written.
    """
    first, second = outputs
    with (
        open_output(first, apart_from={"the source": source, "the other output": second}) as first_output,
        open_output(second, apart_from={"the source": source, "the other output": first}) as second_output,
        open_image_source(source) as dataset,
    ):
        log_summary(dataset, trains=True)
        parts = split_rows(dataset, fraction=fraction, seed=seed)
        with stage_together(first_output, second_output) as folders:
            for folder, rows in zip(folders, parts, strict=True):
                write_image_directory(
                    folder,
                    rows_of(dataset, rows),
                    dataset.classes,
                    transforms=dataset.transforms,
                    applied_transforms=dataset.applied_transforms,
                )
    return len(parts[0]), len(parts[1])


def split_rows(dataset: ImageDirectory, *, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of the two parts, each int64 and rising.

    Raises:
        GreaterThanOrEqualToError: The fraction is too small for this dataset.
        LessThanOrEqualToError: The fraction is too large for this dataset.
        InvalidDatasetError: There is one image only.
    """
    num_images = len(dataset)
    labels = np.full(num_images, UNLABELED, dtype=np.int32) if dataset.labels is None else dataset.labels
    present, strata, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    minimums = [int(size >= 2 and label != UNLABELED) for label, size in zip(present, sizes, strict=True)]
    num_first = _size_of_first(dataset, fraction, max(1, sum(minimums)))
    counts = np.array(apportion(num_first, sizes.tolist(), minimums))
    is_first = _ranks(strata, sizes, seed) < counts[strata]
    return np.flatnonzero(is_first), np.flatnonzero(~is_first)


def apportion(total: int, sizes: Sequence[int], minimums: Sequence[int]) -> list[int]:
    """Counts per class that make up `total`: in proportion to the sizes, by the largest remainders.

    Args:
        total: Between sum(minimums) and sum(sizes) - sum(minimums).
        sizes: Images of each class, at least 1.
        minimums: Least number of images of each class that are taken, and that are left.
    """
    num_images = sum(sizes)
    counts = [
        min(max(total * size // num_images, least), size - least) for size, least in zip(sizes, minimums, strict=True)
    ]
    step = 1 if sum(counts) < total else -1

    def has_room(index: int) -> bool:
        return minimums[index] <= counts[index] + step <= sizes[index] - minimums[index]

    def priority(index: int) -> tuple[int, int]:
        """The smallest is the class that is furthest from its share, in units of 1 / num_images."""
        return step * (counts[index] * num_images - total * sizes[index]), index

    waiting = [priority(index) for index in range(len(sizes)) if has_room(index)]
    heapq.heapify(waiting)
    for _ in range(abs(total - sum(counts))):
        _, index = heapq.heappop(waiting)
        counts[index] += step
        if has_room(index):
            heapq.heappush(waiting, priority(index))
    return counts


def _size_of_first(dataset: ImageDirectory, fraction: float, least: int) -> int:
    num_images = len(dataset)
    if num_images < 2:
        raise InvalidDatasetError(
            "The dataset has one image only: it cannot be split.", where=dataset.source, reason="one_image"
        )
    num_first = round(Fraction(repr(fraction)) * num_images)  # exact: 0.29 * 100 is not 28.999...
    if least <= num_first <= num_images - least:
        return num_first
    error = GreaterThanOrEqualToError if num_first < least else LessThanOrEqualToError
    if num_first in {0, num_images}:
        fault = f"leaves output {1 if num_first == 0 else 2} without images"
    else:
        smaller = min(num_first, num_images - num_first)
        fault = f"leaves {count(smaller, 'image')} for one output, fewer than the {least} classes that both must have"
    raise error(
        f"Parameter fraction is {fraction}, which {fault}: there are {count(num_images, 'image')}.",
        where="fraction",
        advice=f"For this dataset, give a `fraction` from {least / num_images:.4g} to {1 - least / num_images:.4g}.",
    )


def _ranks(strata: NDArray[np.int64], sizes: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Each image's place, from 0, in a random order of its class, int64 [num_images]."""
    # Raw numbers, which numpy keeps the same from release to release; its shuffles it does not.
    keys = np.random.PCG64(derive_seed(seed, "split")).random_raw(len(strata))
    order = np.lexsort((keys, strata))
    ranks = np.empty(len(strata), dtype=np.int64)
    ranks[order] = np.arange(len(strata)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return ranks
