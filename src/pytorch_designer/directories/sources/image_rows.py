"""Rows of an image dataset as columns, the same for all sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pytorch_designer.storage.string_column import StringColumn

UNLABELED = -1


@dataclass(frozen=True, eq=False)
class ImageRows:
    """Columns with one row per image.

    Attributes:
        files: Paths below the directory, with `/`.
        labels: Class index of each image, `UNLABELED` for those without; None when no image is labelled.
        classes: Names by class index; () when no image is labelled.
        ids: The value of the column `id` of each image, int64 or strings, all different.
    """

    files: StringColumn
    labels: NDArray[np.int32] | None
    classes: tuple[str, ...]
    ids: NDArray[np.int64] | StringColumn
