"""Images at the size of their files, for trained models of the old designer: these have no size of their own.

Pixels are those that the old designer saw (`decode_image_as_stored`), so that the scores are too. Neighbours of one
size share a batch; an image between others of another size is scored alone. Files are read ahead by
threads, two for each of them and no more, so that memory does not grow with the dataset.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
import torch

from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.images.bad_files import BadFile, BadFiles, BadImageError
from pytorch_designer.images.decode import decode_image_as_stored, max_file_bytes
from pytorch_designer.images.reading import read_file
from pytorch_designer.images.reading_threads import ReadingThreads
from pytorch_designer.inference.predictor import inference_batch_size
from pytorch_designer.models.architectures import minimum_image_size
from pytorch_designer.scoring.batch import ImageBatch
from pytorch_designer.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from torch import Tensor
    from typing_extensions import Self

    from pytorch_designer.directories.image_directory import ImageDirectory
    from pytorch_designer.models.loading import LoadedModel

_MAX_THREADS = 8  # an image has no bound but `max_image_pixels`, and each thread is two images ahead
_READS_AHEAD_PER_THREAD = 2


class OwnSizeImages:
    """Reads the images of a dataset once, at their own sizes; a context manager."""

    def __init__(self, dataset: ImageDirectory, model: LoadedModel, *, num_threads: int) -> None:
        """Prepare to read; no file is opened before the first batch.

        Args:
            dataset: The images.
            model: Tells how small an image may be, and how many of a size make a batch.
            num_threads: Threads that read and decode, of which at most eight are used.
        """
        self._dataset = dataset
        self._model = model
        self._minimum_size = minimum_image_size(model.architecture)
        self._num_threads = min(num_threads, _MAX_THREADS)
        self._threads = ReadingThreads(self._num_threads)
        self._bad = BadFiles(len(dataset), tolerance=1.0)

    def batches(self) -> Iterator[ImageBatch]:
        """All usable images, in the dataset's order.

        Raises:
            InvalidDatasetError: A file took too long to read.
        """
        rows: list[int] = []
        images: list[Tensor] = []
        for row, image in self._images():
            # Counted in rows, bad ones included, so that the rows which a batch spans are bounded too.
            if images and (image.shape != images[0].shape or row - rows[0] >= self._batch_size(image)):
                yield ImageBatch(np.array(rows, dtype=np.int64), torch.stack(images))
                rows, images = [], []
            rows.append(row)
            images.append(image)
        if images:
            yield ImageBatch(np.array(rows, dtype=np.int64), torch.stack(images))

    @property
    def bad_files(self) -> list[BadFile]:
        """The files that were left out so far, in the dataset's order."""
        return self._bad.listing()

    def describe(self) -> str:
        """What becomes of an image, for the log."""
        return "each at its own size, its pixels as the old designer read them"

    def close(self) -> None:
        """End the threads. Safe to repeat."""
        self._threads.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _batch_size(self, image: Tensor) -> int:
        return inference_batch_size(self._model.preprocessing_for(*image.shape[1:]))

    def _images(self) -> Iterator[tuple[int, Tensor]]:
        ahead: deque[_PendingImage] = deque()
        waiting = iter(range(len(self._dataset)))
        while True:
            while len(ahead) < _READS_AHEAD_PER_THREAD * self._num_threads and (row := next(waiting, None)) is not None:
                ahead.append(self._start(row))
            if not ahead:
                return
            pending = ahead.popleft()
            self._wait(pending)
            if pending.image is not None:
                yield pending.row, pending.image

    def _start(self, row: int) -> _PendingImage:
        pending = _PendingImage(row)

        def read(_: int, row: int) -> None:
            """Runs in a reading thread; whatever goes wrong is for the thread that waits."""
            try:
                pending.image = self._read(row)
            except BadImageError as error:
                self._bad.add(row, self._dataset.path(row), error.reason)
            except BaseException as error:  # noqa: BLE001  # raised again by `_wait`, in the caller's thread
                pending.error = error
            pending.done.set()

        self._threads.submit(read, 0, row)
        return pending

    def _read(self, row: int) -> Tensor:
        max_pixels = settings().max_image_pixels
        image = decode_image_as_stored(
            read_file(self._dataset.path(row), max_bytes=max_file_bytes(max_pixels)), max_pixels=max_pixels
        )
        height, width = image.shape[1:]
        least_height, least_width = self._minimum_size
        if height < least_height or width < least_width:
            raise BadImageError(
                f"{width}x{height} pixels are fewer than the {least_width}x{least_height} that the network needs"
            )
        return image

    def _wait(self, pending: _PendingImage) -> None:
        timeout_seconds = settings().read_timeout_seconds
        while True:
            running_seconds, row = self._threads.longest_running()
            if running_seconds >= timeout_seconds:
                raise InvalidDatasetError(
                    f"Reading an image took longer than {timeout_seconds:g} seconds.",
                    where=self._dataset.path(row),
                    advice="Check that the storage it lies on is reachable, then run again.",
                    reason="read_timeout",
                )
            if pending.done.wait(timeout_seconds - running_seconds):
                break
        if pending.error is not None:
            raise pending.error


class _PendingImage:
    """An image that is being read.

    Attributes:
        row: Its row in the dataset.
        image: uint8 [3, height, width] once it is read; None where the file is bad.
        error: What went wrong, apart from a bad file.
        done: Set when either is known.
    """

    def __init__(self, row: int) -> None:
        self.row = row
        self.image: Tensor | None = None
        self.error: BaseException | None = None
        self.done = threading.Event()
