"""Bad image files: why each is bad, and when a dataset has too many.

A bad file alone is not an error. Readers raise `BadImageError`; the loader leaves the file out of its batch, counts
it in a `BadFiles` register, and ends the run once the register holds more than the tolerated share.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.errors import InvalidDatasetError, shorten
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_ROUNDING = 1e-9


class BadImageError(ValueError):
    """One image file cannot be used. The loader collects these, so this is not a `DesignerError`.

    Attributes:
        reason: A short text that says why, for instance "permission denied".
    """

    def __init__(self, reason: str) -> None:
        self.reason = shorten(reason, 200)
        super().__init__(self.reason)


class UnreadableImageError(BadImageError):
    """The file cannot be read."""


class UndecodableImageError(BadImageError):
    """The bytes are not an image, are damaged, or make an image that is too large."""


@dataclass(frozen=True)
class BadFile:
    """A bad file of a dataset: its row, its path, and the reason."""

    index: int
    path: Path
    reason: str


class BadFiles:
    """Register of one dataset's bad files, which any number of threads may add to.

    Attributes:
        is_bad: bool [num_images], True where the image of that row is known to be bad.
    """

    def __init__(self, num_images: int, *, tolerance: float) -> None:
        """Start with none; `tolerance` is the share (0 to 1) of the images that may be bad."""
        # 0.29 * 100 is 28.999...; and however large the tolerance, something must be left to learn from.
        self.limit = min(math.floor(tolerance * num_images + _ROUNDING), max(num_images - 1, 0))
        self.tolerance = tolerance
        self.is_bad: NDArray[np.bool_] = np.zeros(num_images, dtype=np.bool_)
        self._found: dict[int, BadFile] = {}
        self._lock = threading.Lock()

    def add(self, index: int, path: Path, reason: str) -> None:
        """Register a bad file; a row that is registered already keeps its first reason."""
        with self._lock:
            self._found.setdefault(index, BadFile(index, path, reason))
            self.is_bad[index] = True

    def __len__(self) -> int:
        return len(self._found)

    @property
    def is_beyond_tolerance(self) -> bool:
        """Whether more files are bad than may be left out."""
        return len(self._found) > self.limit

    def listing(self) -> list[BadFile]:
        """The bad files found so far, in the dataset's order."""
        with self._lock:
            return [self._found[index] for index in sorted(self._found)]

    def error(self, *, port: str, root: Path, num_unchecked: int) -> InvalidDatasetError:
        """The error that ends the run, for the dataset on `port` in the folder `root`.

        Args:
            port: Name of the dataset in the message.
            root: The folder of the dataset.
            num_unchecked: Images that have not been read, so that the count may be too low.
        """
        found = self.listing()
        bad = f"{len(found):,} of the {count(len(self.is_bad), 'image')}"
        unchecked = f" ({num_unchecked:,} more were not checked)" if num_unchecked else ""
        advice = "Remove or replace these files."
        if self.tolerance < 1:
            advice = (
                "Remove or replace these files, or let a larger share of the images be left out with the environment "
                f"variable PYTORCH_DESIGNER_BAD_IMAGE_TOLERANCE (now {self.tolerance:g})."
            )
        return InvalidDatasetError(
            f"{bad} of {port} cannot be used{unchecked}; {self.limit:,} are tolerated.",
            where=root,
            examples=[f"{_relative(bad.path, root)}: {bad.reason}" for bad in found],
            advice=advice,
            reason="bad_images",
        )


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
