"""Rows of an image dataset as columns, and what they were read from, the same for all sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pytorch_designer.storage.string_column import StringColumn

UNLABELED = -1


@dataclass(frozen=True)
class Layout:
    """Layout that was found in a folder or archive.

    Attributes:
        name: In words, as the start of a line: "Class folders".
        labels_from: The file that the labels were read from and what in it, such as "labels.csv, columns `image` and
            `label`"; "" where folders or nothing give them.
        left_out: Paths of files and folders that are not part of the dataset, below what the user named.
    """

    name: str
    labels_from: str = ""
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ImageRows:
    """Columns with one row per image.

    Attributes:
        layout: What the source was taken for.
        files: Paths below the directory, with `/`.
        labels: Class index of each image, `UNLABELED` for those without; None when no image is labeled.
        classes: Names by class index; () when no image is labeled.
        ids: The value of the column `id` of each image, int64 or strings, all different.
    """

    layout: Layout
    files: StringColumn
    labels: NDArray[np.int32] | None
    classes: tuple[str, ...]
    ids: NDArray[np.int64] | StringColumn
