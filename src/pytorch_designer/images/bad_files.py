"""Bad image files: why each is bad, and when a dataset has too many.

A bad file alone is not an error. Readers raise `BadImageError`; whoever reads a whole dataset leaves the file out and
adds it to a `BadFiles` register. Once the register holds more than the tolerated share, the run is lost. The other
files are still looked at, for at most `SWEEP_SECONDS`, so that the error counts all bad files.
"""

from __future__ import annotations

import logging
import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.errors import InvalidDatasetError, shorten
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytorch_designer.directories.image_directory import ImageDirectory

_log = logging.getLogger(__name__)

SWEEP_SECONDS = 15.0
"""Time limit for finding more bad files, once there are too many: other processes of a run wait for it, and are to end
within half a minute."""

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
    """A bad file of a dataset.

    Attributes:
        index: Its row.
        file: What the user knows it by (`ImageDirectory.described`).
        reason: Why it is bad.
    """

    index: int
    file: str
    reason: str


class FirstRemark:
    """Warning of the first unusual image of a dataset: where one is unusual, many are. Any thread may call it."""

    def __init__(self, port: str) -> None:
        """`port` is the name of the dataset in the message."""
        self._port = port
        self._is_made = False
        self._lock = threading.Lock()

    def __call__(self, name: str, text: str) -> None:
        """Log what is unusual about the image of this name, unless something was logged before."""
        with self._lock:
            is_first, self._is_made = not self._is_made, True
        if is_first:
            _log.warning("%s (%s): %s. Further images like it are not named.", name, self._port, text)


class BadFiles:
    """Register of one dataset's bad files, which any number of threads may add to.

    Attributes:
        is_bad: bool [num_images], True where the image of that row is known to be bad.
    """

    def __init__(self, dataset: ImageDirectory, *, tolerance: float, port: str) -> None:
        """Create an empty register.

        Args:
            dataset: Whose files are registered.
            tolerance: Share (0 to 1) of the images that may be bad.
            port: Name of the dataset in messages.
        """
        num_images = len(dataset)
        self._dataset = dataset
        self._port = port
        # 0.29 * 100 is 28.999...; and however large the tolerance, something must be left to learn from.
        self.limit = min(math.floor(tolerance * num_images + _ROUNDING), max(num_images - 1, 0))
        self._tolerance = tolerance
        self.is_bad: NDArray[np.bool_] = np.zeros(num_images, dtype=np.bool_)
        self._found: dict[int, BadFile] = {}
        self._new: list[BadFile] = []
        self._lock = threading.Lock()

    def add(self, index: int, reason: str) -> None:
        """Register a bad file; a row that is registered already keeps its first reason."""
        bad_file = BadFile(index, self._dataset.described(index), reason)
        with self._lock:
            if index not in self._found:
                self._new.append(bad_file)
        self.note(bad_file)

    def note(self, bad_file: BadFile) -> None:
        """Register a bad file that another register of this dataset has found."""
        with self._lock:
            self._found.setdefault(bad_file.index, bad_file)
            self.is_bad[bad_file.index] = True

    @property
    def num_new(self) -> int:
        """Files that were added, instead of noted, since they were taken."""
        return len(self._new)

    def take_new(self) -> list[BadFile]:
        """The files that were added since the last call."""
        with self._lock:
            taken, self._new = self._new, []
        return taken

    def __len__(self) -> int:
        return len(self._found)

    @property
    def is_beyond_tolerance(self) -> bool:
        """True if more files are bad than may be left out."""
        return len(self._found) > self.limit

    def listing(self) -> list[BadFile]:
        """The bad files found so far, in the dataset's order."""
        with self._lock:
            return [self._found[index] for index in sorted(self._found)]

    def error(self, *, num_unchecked: int) -> InvalidDatasetError:
        """The error that ends the run; `num_unchecked` images have not been read, so the count may be too low."""
        found = self.listing()
        bad = f"{len(found):,} of the {count(len(self.is_bad), 'image')}"
        unchecked = f" ({num_unchecked:,} more were not checked)" if num_unchecked else ""
        advice = "Remove or replace these files."
        if self._tolerance < 1:
            advice = (
                "Remove or replace these files, or let a larger share of the images be left out with the environment "
                f"variable PYTORCH_DESIGNER_BAD_IMAGE_TOLERANCE (now {self._tolerance:g})."
            )
        return InvalidDatasetError(
            f"{bad} of {self._port} cannot be used{unchecked}; {self.limit:,} are tolerated.",
            where=self._dataset.source,
            examples=[f"{bad_file.file}: {bad_file.reason}" for bad_file in found],
            advice=advice,
            reason="bad_images",
        )
