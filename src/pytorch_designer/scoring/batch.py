"""What is scored at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class ImageBatch(NamedTuple):
    """Images of one size, at least one.

    Attributes:
        rows: int64 [n], rising: the images' rows in the dataset. The row of a bad file is in no batch.
        images_nchw: uint8 [n, 3, height, width], RGB.
    """

    rows: NDArray[np.int64]
    images_nchw: Tensor
