"""Epoch order and batches, as a function of the seed and the epoch alone.

The order does not depend on the number of threads or processes, on what ran before, or on the release of numpy (which
keeps the raw numbers of its generators, but not its shuffles, the same from release to release). Several processes
share each batch evenly.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.seeds import derive_seed

if TYPE_CHECKING:
    from numpy.typing import NDArray


def epoch_order(num_images: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order in which an epoch sees the images: a permutation of 0 to num_images - 1, int64 [num_images]."""
    generator = np.random.PCG64(derive_seed(seed, "epoch_order", epoch))
    return np.argsort(generator.random_raw(num_images), kind="stable").astype(np.int64)


def batch_slices(num_images: int, batch_size: int, *, least_last: int = 2) -> list[slice]:
    """Cut an order of `num_images` images into batches, the last of which may be smaller.

    Args:
        num_images: Length of the order.
        batch_size: Images per batch; may exceed `num_images`.
        least_last: A rest of fewer images joins the batch before it; 2 because batch normalization cannot be trained on
            one image, 1 for none. It has no effect where all batches are full.
    """
    starts = list(range(0, num_images, batch_size))
    if len(starts) > 1 and 0 < num_images % batch_size < least_last:
        starts.pop()
    return [slice(start, end) for start, end in pairwise([*starts, num_images])]


def share_of(batch: slice, *, rank: int, size: int) -> slice:
    """The part of a batch that process `rank` of `size` takes: the parts differ by at most one image.

    Args:
        batch: Slice of an order, with start and end.
        rank: From 0; the first ones take the larger parts.
        size: Number of processes.
    """
    least, num_larger = divmod(batch.stop - batch.start, size)
    start = batch.start + rank * least + min(rank, num_larger)
    return slice(start, start + least + (rank < num_larger))
