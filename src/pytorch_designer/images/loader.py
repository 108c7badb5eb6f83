"""Batches of images in a given order, read and decoded ahead of time by threads.

    order of rows -> batches of rows -> [ read ] in dozens of threads
                                     -> [ decode, transform, resize ] in one thread per core -> uint8 batches, in order

Rows and epoch alone decide which images are in a batch, and their pixels: every thread writes its image into the
image's own place in the batch. Images that are cached in memory need no thread, those on the local disk one that
reads. Where training augments images one by one, the image before its random transforms is cached.
"""

from __future__ import annotations

import logging
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
from pytorch_designer.images.bad_files import SWEEP_SECONDS, BadFile, BadFiles, FirstRemark
from pytorch_designer.images.cache import NO_CACHE, PixelCache
from pytorch_designer.images.decode import decode_image, read_image_file
from pytorch_designer.images.prefetch import PendingImages, Prefetcher, Source
from pytorch_designer.images.preprocess import crop_and_resize
from pytorch_designer.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from numpy.typing import NDArray
    from typing_extensions import Self

    from pytorch_designer.directories.image_directory import ImageDirectory
    from pytorch_designer.directories.preprocessing import Preprocessing
    from pytorch_designer.images.augmentation import Augmentation
    from pytorch_designer.images.cache import CacheBudget
    from pytorch_designer.transforms.transform import Transform

_log = logging.getLogger(__name__)

_MIN_BATCHES_AHEAD = 2
_MAX_BATCHES_AHEAD = 4
_MAX_BYTES_AHEAD = 2**28
_READS_AHEAD_PER_THREAD = 2
_SAMPLE_SIZE = 8


@dataclass(frozen=True)
class Batch:
    """Images of a dataset; bad files are left out, so that it may be smaller than requested, or empty.

    Attributes:
        images: uint8 [n, 3, crop_height, crop_width], RGB, in channels-last memory format.
        labels: int64 [n]; -1 for an image without a label.
        indices: int64 [n], the images' rows in the dataset.
    """

    images: torch.Tensor
    labels: torch.Tensor
    indices: NDArray[np.int64]


@dataclass(frozen=True)
class _PendingBatch:
    """A batch whose images are being read.

    Attributes:
        rows: int64 [n], the images' rows in the dataset.
        pixels: uint8 [n, height, width, 3], filled in by the computing threads.
        images: Those that are not simply copied from memory.
    """

    rows: NDArray[np.int64]
    pixels: NDArray[np.uint8]
    images: PendingImages


class ImageLoader:
    """Loader of one dataset's images, with a cache of decoded pixels and a register of bad files.

    Attributes:
        cache: The decoded pixels that are kept.
    """

    def __init__(
        self,
        dataset: ImageDirectory,
        preprocessing: Preprocessing,
        *,
        labels: NDArray[np.int32] | None = None,
        augmentation: Augmentation | None = None,
        draws_later: bool = False,
        num_threads: int,
        num_cores: int | None = None,
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
            labels: int32 [len(dataset)], instead of the dataset's own; for instance in the ids of another dataset.
            augmentation: Applied instead of the transforms of `preprocessing`, for training.
            draws_later: Whether batches hold images before their random transforms, all of `augmentation.source_size`,
                for `Augmentation.draw_batch`.
            num_threads: Threads that read, at least 1. One thread per core decodes, but no more than these.
            num_cores: Cores for this process; None: all that it may use.
            cache: Room for pixels in memory, and on a local disk for those that do not fit into memory.
            decodes_ahead: Whether images are decoded while the caller uses the previous batch. False where it computes
                with all cores and would wait for each core that decodes: then all cores decode while it waits for a
                batch. Files are read ahead in either case.
            pins_memory: Whether batches are in page-locked memory, from which copies to a CUDA GPU are asynchronous.
            tolerance: Share (0 to 1) of the images that may be bad before `InvalidDatasetError` ends the run.
            port: Name of the dataset in messages.

        Raises:
            InvalidDatasetError: The transforms that the dataset records are unusable.
        """
        self._dataset = dataset
        labels = dataset.labels if labels is None else labels
        unlabeled = np.full(len(dataset), UNLABELED, dtype=np.int64)
        self._labels = unlabeled if labels is None else labels.astype(np.int64)
        self._augmentation = None if draws_later else augmentation
        self._undrawn = None if self._augmentation is None else self._augmentation.without_random(preprocessing)
        self._transforms = _transforms_for(dataset, preprocessing, port) if augmentation is None else augmentation.fixed
        self._sizing = augmentation.source_sizing if draws_later and augmentation is not None else preprocessing
        self._shape = (self._sizing.crop_height, self._sizing.crop_width, 3)
        kept_size = self._shape[:2] if self._augmentation is None else self._augmentation.source_size
        self.cache = PixelCache(len(dataset), kept_size, budget=cache)
        self._bad = BadFiles(dataset, tolerance=tolerance, port=port)
        self._is_checked = np.zeros(len(dataset), dtype=np.bool_)
        self._num_threads = num_threads
        self._decodes_ahead = decodes_ahead
        self._pins_memory = pins_memory
        self._prefetcher = Prefetcher(
            dataset,
            self._bad,
            port=port,
            num_threads=num_threads,
            num_cores=num_cores,
            on_start=_compute_alone if decodes_ahead or self._augmentation is not None else None,
        )
        self._max_pixels = settings().max_image_pixels
        self._first_remark = FirstRemark(port)

    def __len__(self) -> int:
        return len(self._dataset)

    @property
    def labels(self) -> NDArray[np.int64]:
        """The labels of all images, int64 [n]; -1 for an image without a label."""
        return self._labels

    def batches(self, batch_indices: Iterable[NDArray[np.int64]], *, epoch: int | None = 0) -> Iterator[Batch]:
        """Yield one batch for each array of rows, in that order.

        Reads run ahead of the batch in use: by two to four batches and by two images per thread, as long as the
        pixels take less than 256 MiB.

        Args:
            batch_indices: The rows of each batch, int64 [n].
            epoch: The epoch for which random transforms are drawn; None to leave them out.

        Raises:
            InvalidDatasetError: More files are bad than tolerated, or one took too long to read.
        """
        source = iter(batch_indices)
        ahead: deque[_PendingBatch] = deque()
        try:
            while True:
                self._read_ahead(source, ahead, epoch)
                if not ahead:
                    return
                self._wait(ahead[0])
                batch = self._assemble(ahead.popleft())
                if not self._decodes_ahead:
                    self._prefetcher.pause_computing()
                yield batch
        finally:
            self._prefetcher.resume_computing()
            for pending in ahead:
                pending.images.is_cancelled = True

    def check_readable(self) -> None:
        """Read a few images, spread over the dataset, so that an unusable dataset fails before training starts.

        Raises:
            InvalidDatasetError: More files are bad than tolerated, or one took too long to read.
        """
        num_images = len(self._dataset)
        rows = np.unique(np.linspace(0, num_images - 1, min(num_images, _SAMPLE_SIZE)).round().astype(np.int64))
        self._wait(self._start(rows))
        if self._bad.is_bad[rows].all():
            self._sweep()

    def check_tolerance(self) -> None:
        """Check that no more files are bad than tolerated.

        Raises:
            InvalidDatasetError: More are.
        """
        if self._bad.is_beyond_tolerance:
            self._sweep()

    @property
    def bad_files(self) -> list[BadFile]:
        """The bad files found so far, in the dataset's order."""
        return self._bad.listing()

    @property
    def num_new_bad_files(self) -> int:
        """Bad files that this loader has found since `take_new_bad_files`."""
        return self._bad.num_new

    def take_new_bad_files(self) -> list[BadFile]:
        """The bad files that this loader has found since the last call, for the loaders of other processes."""
        return self._bad.take_new()

    def note_bad_files(self, found: Iterable[BadFile]) -> None:
        """Leave out, and count, what loaders of the same dataset in other processes have found."""
        for bad_file in found:
            self._bad.note(bad_file)

    def close(self) -> None:
        """End the threads and give the cache's memory and disk back. Safe to repeat."""
        have_ended = self._prefetcher.close()
        self.cache.close(is_in_use=not have_ended)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_ahead(self, source: Iterator[NDArray[np.int64]], ahead: deque[_PendingBatch], epoch: int | None) -> None:
        while self._wants_more(ahead) and (rows := next(source, None)) is not None:
            ahead.append(self._start(np.asarray(rows, dtype=np.int64), epoch=epoch))

    def _wants_more(self, ahead: deque[_PendingBatch]) -> bool:
        num_bytes = sum(pending.pixels.nbytes for pending in ahead)
        num_reads = sum(pending.images.num_images for pending in ahead)
        if ahead and num_bytes >= _MAX_BYTES_AHEAD:
            return False
        if len(ahead) < _MIN_BATCHES_AHEAD:
            return True
        is_short = len(ahead) < _MAX_BATCHES_AHEAD or num_reads < _READS_AHEAD_PER_THREAD * self._num_threads
        return num_reads > 0 and is_short  # what is in memory needs no head start

    def _start(self, rows: NDArray[np.int64], *, epoch: int | None = 0) -> _PendingBatch:
        """Begin to read, or to augment, those of `rows` that are neither ready in memory nor known to be bad."""
        pixels = self._empty_pixels(len(rows))
        is_missing = ~self._bad.is_bad[rows]
        if self._augmentation is None and (is_held := self.cache.holds(rows)).any():
            self.cache.gather(rows, out=pixels)  # the other rows are overwritten
            is_missing &= ~is_held
        missing = np.flatnonzero(is_missing)

        def compute(position: int, row: int, source: Source) -> None:
            """Runs in a computing thread."""
            pixels[missing[position]] = self._computed(row, epoch, source)
            self._is_checked[row] = True

        images = self._prefetcher.start(
            rows[missing].tolist(), read=self._read, compute=compute, at_hand=self.cache.in_memory
        )
        return _PendingBatch(rows, pixels, images)

    def _read(self, row: int) -> Source:
        """Runs in a reading thread."""
        pixels = self.cache.on_disk(row)
        if pixels is not None:
            return pixels
        make_room = self._prefetcher.make_room
        return read_image_file(self._dataset.path(row), max_pixels=self._max_pixels, make_room=make_room)

    def _computed(self, row: int, epoch: int | None, source: Source) -> NDArray[np.uint8]:
        """An image as it is in a batch, from its file's content or its cached pixels."""
        if isinstance(source, bytearray):
            pixels = self._decoded(row, source)
            self.cache.store(row, pixels)
        else:
            pixels = source
        augmentation = self._undrawn if epoch is None else self._augmentation
        if augmentation is not None:
            image = torch.from_numpy(pixels.transpose(2, 0, 1))
            pixels = augmentation.draw(image, epoch=epoch or 0, row=row).numpy().transpose(1, 2, 0)
        return pixels

    def _decoded(self, row: int, content: bytearray) -> NDArray[np.uint8]:
        """The pixels of a file, uint8 [height, width, 3]: of the final size, or before random transforms."""
        image = decode_image(content, max_pixels=self._max_pixels, remark=partial(self._remark, row))
        image = apply_transforms(image, self._transforms)
        if self._augmentation is None:
            image = crop_and_resize(image, self._sizing)
        # Copies are numpy's: torch would copy a single image with all cores, from each of the threads.
        pixels: NDArray[np.uint8] = image.numpy().transpose(1, 2, 0)
        return pixels

    def _remark(self, row: int, text: str) -> None:
        self._first_remark(self._dataset.described(row), text)

    def _wait(self, pending: _PendingBatch) -> None:
        self._prefetcher.wait(pending.images)
        self.check_tolerance()

    def _assemble(self, pending: _PendingBatch) -> Batch:
        rows, pixels = pending.rows, pending.pixels
        is_good = ~self._bad.is_bad[rows]
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

    def _sweep(self) -> None:
        """Read all images, for a limited time, so that the error lists all bad files; raise it if they are too many."""
        deadline = time.monotonic() + SWEEP_SECONDS
        unchecked = self._unchecked_rows()
        num_at_once = 4 * self._num_threads
        with suppress(InvalidDatasetError):  # a stuck read; the bad files that are known are the better message
            for start in range(0, len(unchecked), num_at_once):
                if time.monotonic() >= deadline:
                    break
                pending = self._start(unchecked[start : start + num_at_once])
                self._prefetcher.wait(pending.images, deadline)
                pending.images.is_cancelled = True
        if self._bad.is_beyond_tolerance:
            raise self._bad.error(num_unchecked=len(self._unchecked_rows()))

    def _unchecked_rows(self) -> NDArray[np.int64]:
        return np.flatnonzero(~(self._is_checked | self._bad.is_bad))


def _compute_alone() -> None:
    """Limit torch to one core in the calling thread.

    There is one computing thread per core already. If each shared an operation on one image among all cores, it would
    wait for the others most of the time. The limit is OpenMP's for the calling thread: the thread that trains keeps
    its own (`Compute.activate`).
    """
    torch.set_num_threads(1)


def _transforms_for(dataset: ImageDirectory, preprocessing: Preprocessing, port: str) -> tuple[Transform, ...]:
    transforms = transforms_left(preprocessing.transforms, dataset)
    if transforms is None:
        _log.warning(
            "The images of %s have been through other transforms than those that the model was trained with: nothing "
            "but the model's own resizing and cropping is done to them.",
            port,
        )
    return transforms or ()
