"""Epoch order and batches, as a function of the seed and the epoch alone.

Nothing here depends on the number of threads or processes, on what ran before, or on the release of numpy (which
keeps the raw numbers of its generators, but not its shuffles, the same from release to release).
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


def batch_slices(num_images: int, batch_size: int, *, fold_single: bool = True) -> list[slice]:
    """Cut an order of `num_images` images into batches, the last of which may be smaller.

    Args:
        num_images: Length of the order.
        batch_size: Images per batch; may exceed `num_images`.
        fold_single: Whether a last batch of one image joins the batch before it, because batch normalization cannot
            be trained on one image. It has no effect where every batch has one image by request.
    """
    starts = list(range(0, num_images, batch_size))
    if fold_single and batch_size > 1 and len(starts) > 1 and num_images - starts[-1] == 1:
        starts.pop()
    return [slice(start, end) for start, end in pairwise([*starts, num_images])]
