"""Batches of images in a given order, read and decoded ahead of time by threads.

    order of rows -> batches of rows -> [ read ] in a thread a core, or in many where reads wait
                                     -> [ decode, transform, crop and resize ] in a thread a core
                                     -> uint8 batches, in order

Which images are in a batch, and their pixels, depend on nothing but the rows and the epoch asked for: every thread
writes its image into the place in the batch that the image has. Rows that are in memory take no thread at all, those
on the local disk one that reads; where training augments its images, what is kept is the image that random steps
start from, and threads carry these out.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from pytorch_designer.directories.recorded_transforms import transforms_left
from pytorch_designer.directories.sources.image_rows import UNLABELED
from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.images.augmentation import apply_transforms
from pytorch_designer.images.bad_files import BadFile, BadFiles, BadImageError
from pytorch_designer.images.cache import NO_CACHE, PixelCache
from pytorch_designer.images.decode import decode_image, max_file_bytes
from pytorch_designer.images.pending_batch import PendingBatch
from pytorch_designer.images.preprocess import crop_and_resize
from pytorch_designer.images.reading import read_file
from pytorch_designer.images.reading_threads import ReadingThreads
from pytorch_designer.settings import settings
from pytorch_designer.system.resources import usable_cores

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from numpy.typing import NDArray
    from typing_extensions import Self

    from pytorch_designer.directories.image_directory import ImageDirectory
    from pytorch_designer.directories.preprocessing import Preprocessing
    from pytorch_designer.images.augmentation import Augmentation
    from pytorch_designer.images.cache import CacheBudget
    from pytorch_designer.images.reading_threads import Computation
    from pytorch_designer.transforms.transform import Transform

_log = logging.getLogger(__name__)

SWEEP_SECONDS = 30.0
"""How long the rest of a dataset is checked for more bad files, once there are too many."""

_MIN_BATCHES_AHEAD = 2
_MAX_BATCHES_AHEAD = 4
_MAX_BYTES_AHEAD = 2**28
_READS_AHEAD_PER_THREAD = 2
_SAMPLE_SIZE = 8


@dataclass(frozen=True)
class Batch:
    """Some images of a dataset; bad files are left out, so that it may be smaller than asked for, or empty.

    Attributes:
        images: uint8 [n, 3, crop_height, crop_width], RGB, in channels-last memory format.
        labels: int64 [n]; -1 for an image without a label.
        indices: int64 [n], the images' rows in the dataset.
    """

    images: torch.Tensor
    labels: torch.Tensor
    indices: NDArray[np.int64]


class ImageLoader:
    """Reads the images of one dataset, keeps the pixels within a budget, and counts bad files."""

    def __init__(
        self,
        dataset: ImageDirectory,
        preprocessing: Preprocessing,
        *,
        labels: NDArray[np.int32] | None = None,
        augmentation: Augmentation | None = None,
        draws_later: bool = False,
        num_threads: int,
        cache: CacheBudget = NO_CACHE,
        decodes_ahead: bool = True,
        pins_memory: bool = False,
        tolerance: float,
        port: str,
    ) -> None:
        """Prepare to read; no file is opened and no thread started before the first batch.

        Args:
            dataset: The images.
            preprocessing: Transforms, of which those are done that the files have not been through yet, and sizes of
                what comes out; its mean and std are left to `normalize`.
            labels: int32 [len(dataset)] in place of the dataset's own, for instance in the ids of another dataset.
            augmentation: What is done in place of the transforms of `preprocessing`, for training.
            draws_later: Whether batches are images that random steps start from, all of `augmentation.source_size`,
                for `Augmentation.draw_batch`.
            num_threads: Threads that read where reads wait, at least 1; as many decode as there are cores, but no more
                than that.
            cache: Room for pixels in memory, and on a local disk for those of images that memory has no room for.
            decodes_ahead: Whether images are decoded while the caller uses the batch before. False where it computes
                with all cores, which would wait for each core that decodes: then all of them decode while it waits for
                a batch. Files are read ahead in either case.
            pins_memory: Whether batches are in page-locked memory, from which a CUDA GPU copies them by itself.
            tolerance: Share (0 to 1) of the images that may be bad before `InvalidDatasetError` ends the run.
            port: Name of the dataset in messages.

        Raises:
            InvalidDatasetError: The transforms that the dataset records are unusable.
        """
        self._dataset = dataset
        self._labels = _int64_labels(dataset.labels if labels is None else labels, len(dataset))
        self._port = port
        self._augmentation = None if draws_later else augmentation
        self._steps = _steps_for(dataset, preprocessing, port) if augmentation is None else augmentation.fixed
        self._sizing = augmentation.source_sizing if draws_later and augmentation is not None else preprocessing
        self._shape = (self._sizing.crop_height, self._sizing.crop_width, 3)
        kept_size = self._shape[:2] if self._augmentation is None else self._augmentation.source_size
        self._cache = PixelCache(len(dataset), kept_size, budget=cache)
        self._bad = BadFiles(len(dataset), tolerance=tolerance)
        self._is_checked = np.zeros(len(dataset), dtype=np.bool_)
        self._num_threads = num_threads
        self._decodes_ahead = decodes_ahead
        self._pins_memory = pins_memory
        self._threads = ReadingThreads(
            num_threads,
            num_computing=min(num_threads, usable_cores()),
            on_start=_compute_alone if decodes_ahead or self._augmentation is not None else None,
        )
        self._max_pixels = settings().max_image_pixels
        self._max_file_bytes = max_file_bytes(self._max_pixels)
        self._timeout_seconds = settings().read_timeout_seconds

    def __len__(self) -> int:
        return len(self._dataset)

    def batches(self, batch_indices: Iterable[NDArray[np.int64]], *, epoch: int = 0) -> Iterator[Batch]:
        """Yield one batch for each array of rows, in that order.

        Reads run ahead of the batch that is being used: by two to four batches and by two images a thread, as long
        as the pixels take less than 256 MiB.

        Args:
            batch_indices: The rows of each batch, int64 [n].
            epoch: For which epoch random steps are drawn.

        Raises:
            InvalidDatasetError: More files are bad than tolerated, or one took too long to read.
        """
        source = iter(batch_indices)
        ahead: deque[PendingBatch] = deque()
        try:
            while True:
                self._read_ahead(source, ahead, epoch)
                if not ahead:
                    return
                self._wait(ahead[0])
                batch = self._assemble(ahead.popleft())
                if not self._decodes_ahead:
                    self._threads.pause_computing()
                yield batch
        finally:
            self._threads.resume_computing()
            for pending in ahead:
                pending.is_cancelled = True

    def check_readable(self) -> None:
        """Read a few images, spread over the dataset, so that a wholly wrong dataset fails before any work is done.

        Raises:
            InvalidDatasetError: More files are bad than tolerated, or one took too long to read.
        """
        num_images = len(self._dataset)
        rows = np.unique(np.linspace(0, num_images - 1, min(num_images, _SAMPLE_SIZE)).round().astype(np.int64))
        self._wait(self._start(rows, is_kept=True))
        if self._bad.is_bad[rows].all():
            self._sweep()
            self._check_tolerance()

    @property
    def bad_files(self) -> list[BadFile]:
        """The bad files found so far, in the dataset's order."""
        return self._bad.listing()

    @property
    def memory(self) -> int:
        """Bytes of pixels that the cache holds in memory at present."""
        return self._cache.memory

    @property
    def cache_left(self) -> CacheBudget:
        """What this loader leaves of its budget, for another one."""
        return self._cache.left

    def describe(self) -> str:
        """Where the images of the dataset are kept, in a few words for the log."""
        return self._cache.describe()

    def close(self) -> None:
        """End the threads and give the cache's memory and disk back. Safe to repeat."""
        have_ended = self._threads.close()
        self._cache.clear(is_in_use=not have_ended)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_ahead(self, source: Iterator[NDArray[np.int64]], ahead: deque[PendingBatch], epoch: int) -> None:
        while self._wants_more(ahead) and (rows := next(source, None)) is not None:
            ahead.append(self._start(np.asarray(rows, dtype=np.int64), is_kept=True, epoch=epoch))

    def _wants_more(self, ahead: deque[PendingBatch]) -> bool:
        num_reads = sum(pending.num_reads for pending in ahead)
        num_bytes = sum(pending.pixels.nbytes for pending in ahead if pending.pixels is not None)
        if len(ahead) < _MIN_BATCHES_AHEAD:
            return not ahead or num_bytes < _MAX_BYTES_AHEAD
        if num_reads == 0 or num_bytes >= _MAX_BYTES_AHEAD:  # what is in memory needs no head start
            return False
        return len(ahead) < _MAX_BATCHES_AHEAD or num_reads < _READS_AHEAD_PER_THREAD * self._num_threads

    def _start(self, rows: NDArray[np.int64], *, is_kept: bool, epoch: int = 0) -> PendingBatch:
        """Begin to read, or to augment, those of `rows` that are neither ready in memory nor known to be bad."""
        is_done = self._bad.is_bad[rows]
        if self._augmentation is None:
            is_done |= self._cache.holds(rows)
        missing = np.flatnonzero(~is_done)
        pixels = self._empty_pixels(len(rows)) if is_kept and len(missing) else None
        pending = PendingBatch(rows, pixels, missing)

        def read(position: int, row: int) -> Computation | None:
            return self._read(pending, position, row, epoch)

        for position in missing.tolist():
            self._threads.submit(read, position, int(rows[position]))
        return pending

    def _read(self, pending: PendingBatch, position: int, row: int, epoch: int) -> Computation | None:
        """Runs in a reading or a computing thread; returns what is left to do, which is for a computing thread."""
        source: bytearray | NDArray[np.uint8] | None = None
        if not pending.is_cancelled:
            try:
                source = self._cache.pixels_of(row)
                if source is None:
                    source = read_file(self._dataset.path(row), max_bytes=self._max_file_bytes)
            except BaseException as error:  # noqa: BLE001  # is for `_wait` to raise
                self._note_fault(error, pending, row)
        if source is None:
            pending.count_down()
            return None
        return partial(self._compute, pending, position, row, epoch, source)

    def _compute(
        self, pending: PendingBatch, position: int, row: int, epoch: int, source: bytearray | NDArray[np.uint8]
    ) -> None:
        """From a file's content, or from the pixels that were kept of it, to the image's place in the batch."""
        if not pending.is_cancelled:
            try:
                pixels = self._decoded(source) if isinstance(source, bytearray) else source
                if pending.pixels is not None:
                    self._cache.store(row, pixels)
                if self._augmentation is not None:
                    image = torch.from_numpy(pixels.transpose(2, 0, 1))
                    pixels = self._augmentation.draw(image, epoch=epoch, row=row).numpy().transpose(1, 2, 0)
                if pending.pixels is not None:
                    pending.pixels[position] = pixels
                self._is_checked[row] = True
            except BaseException as error:  # noqa: BLE001  # as above
                self._note_fault(error, pending, row)
        pending.count_down()

    def _note_fault(self, error: BaseException, pending: PendingBatch, row: int) -> None:
        """Runs in any thread."""
        if isinstance(error, BadImageError):
            self._bad.add(row, self._dataset.path(row), error.reason)
        else:
            pending.error = error

    def _decoded(self, content: bytearray) -> NDArray[np.uint8]:
        """The pixels of a file, uint8 [height, width, 3]: of the final size, or as random steps start from them."""
        image = apply_transforms(decode_image(content, max_pixels=self._max_pixels), self._steps)
        if self._augmentation is None:
            image = crop_and_resize(image, self._sizing)
        # Copies are numpy's: torch would copy a single image with all cores, from each of the threads.
        pixels: NDArray[np.uint8] = image.numpy().transpose(1, 2, 0)
        return pixels

    def _wait(self, pending: PendingBatch) -> None:
        self._wait_until(pending, math.inf)
        if pending.error is not None:
            raise pending.error
        if self._bad.is_beyond_tolerance:
            self._sweep()
            self._check_tolerance()

    def _wait_until(self, pending: PendingBatch, deadline: float) -> None:
        """Wait until all of `pending` is read, or the deadline passed, or a single read takes too long."""
        self._threads.resume_computing()
        while (left := deadline - time.monotonic()) > 0:
            if self._threads.is_closed:
                raise RuntimeError("the loader was closed while its batches were in use")
            running_seconds, row = self._threads.longest_running()
            if running_seconds >= self._timeout_seconds:
                raise self._stuck_error(row)
            if pending.done.wait(min(left, self._timeout_seconds - running_seconds)):
                return

    def _stuck_error(self, row: int) -> InvalidDatasetError:
        return InvalidDatasetError(
            f"Reading an image of {self._port} took longer than {self._timeout_seconds:g} seconds.",
            where=self._dataset.path(row),
            advice="Check that the storage it lies on is reachable, then run again; where it is only slow, raise the "
            "environment variable PYTORCH_DESIGNER_READ_TIMEOUT_SECONDS.",
            reason="read_timeout",
        )

    def _assemble(self, pending: PendingBatch) -> Batch:
        rows, pixels = pending.rows, pending.pixels
        is_good = ~self._bad.is_bad[rows]
        if pixels is None:
            rows = rows[is_good]
            pixels = self._empty_pixels(len(rows))
            if len(rows):
                self._cache.gather(rows, out=pixels)
        else:
            is_cached = is_good.copy()
            is_cached[pending.missing] = False
            if is_cached.any():
                pixels[is_cached] = self._cache.gather(rows[is_cached])
            if not is_good.all():
                rows, pixels = rows[is_good], pixels[is_good]
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
        return Batch(images, torch.from_numpy(self._labels[rows]), rows)

    def _empty_pixels(self, num_images: int) -> NDArray[np.uint8]:
        """uint8 [num_images, height, width, 3] to be filled in."""
        shape = (num_images, *self._shape)
        if self._pins_memory and num_images:
            pixels: NDArray[np.uint8] = torch.empty(shape, dtype=torch.uint8, pin_memory=True).numpy()
            return pixels
        return np.empty(shape, dtype=np.uint8)

    def _check_tolerance(self) -> None:
        if self._bad.is_beyond_tolerance:
            num_unchecked = int(np.count_nonzero(~(self._is_checked | self._bad.is_bad)))
            raise self._bad.error(port=self._port, root=self._dataset.root, num_unchecked=num_unchecked)

    def _sweep(self) -> None:
        """Look at the images that nobody has looked at yet, for a while, so that the error lists all bad files."""
        deadline = time.monotonic() + SWEEP_SECONDS
        unchecked = np.flatnonzero(~(self._is_checked | self._bad.is_bad))
        step = 4 * self._num_threads
        with suppress(InvalidDatasetError):  # a stuck read; the bad files that are known are the better message
            for start in range(0, len(unchecked), step):
                if time.monotonic() >= deadline:
                    return
                pending = self._start(unchecked[start : start + step], is_kept=False)
                self._wait_until(pending, deadline)
                pending.is_cancelled = True


def _compute_alone() -> None:
    """Let each operation of this thread be computed by this thread.

    There is a computing thread a core already. An operation on one image that is shared among all cores, from all of
    these threads at once and beside the network, waits for other threads most of the time. The number is OpenMP's for
    the calling thread: that of the thread that trains stays as it is (`ComputePlan.activate`).
    """
    torch.set_num_threads(1)


def _steps_for(dataset: ImageDirectory, preprocessing: Preprocessing, port: str) -> tuple[Transform, ...]:
    steps = transforms_left(preprocessing.transforms, dataset)
    if steps is None:
        _log.warning(
            "The images of %s have been through other transforms than those that the model was trained with: nothing "
            "but the model's own resizing and cropping is done to them.",
            port,
        )
    return steps or ()


def _int64_labels(labels: NDArray[np.int32] | None, num_images: int) -> NDArray[np.int64]:
    if labels is None:
        return np.full(num_images, UNLABELED, dtype=np.int64)
    return labels.astype(np.int64)
