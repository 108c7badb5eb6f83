"""Batches of a dataset's images for scoring, in the dataset's order, bad files left out.

`open_model_and_images` alone decides what happens to an image between its file and the network. It gets the model's
preprocessing, of which the loader applies the transforms that the files have not been through yet, or keeps its size.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pytorch_designer.directories.model_spec import LegacyNetwork
from pytorch_designer.images.bad_files import BadFile, BadFiles
from pytorch_designer.images.budgets import check_batch_memory, default_read_threads
from pytorch_designer.images.decode import decode_image_as_stored, read_image_file
from pytorch_designer.images.loader import ImageLoader
from pytorch_designer.images.order import batch_slices
from pytorch_designer.images.prefetch import PendingImages, Prefetcher
from pytorch_designer.inference.compute import choose_compute, choose_model_compute
from pytorch_designer.inference.forward_memory import check_forward_memory, has_large_images
from pytorch_designer.inference.image_batch import ImageBatch, check_own_size, own_size_batches
from pytorch_designer.inference.predictor import inference_batch_size
from pytorch_designer.models.architectures import minimum_image_size
from pytorch_designer.models.loading import LoadedModel, load_model
from pytorch_designer.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack
    from types import TracebackType

    from torch import Tensor
    from typing_extensions import Self

    from pytorch_designer.directories.image_directory import ImageDirectory
    from pytorch_designer.directories.model_directory import ModelDirectory
    from pytorch_designer.directories.preprocessing import Preprocessing

DATASET_PORT = "dataset"
MODEL_PORT = "trained_model"
_IMAGE_SIZE_ADVICE = "Use a model for smaller images, or a machine with more memory."
_ANY_SHARE = 1.0  # whatever share of the files is bad, the others are scored; the loader raises if all are

# An image of an old model is as large as its file says, and each thread is two images ahead.
_MAX_OWN_SIZE_THREADS = 8
_READS_AHEAD_PER_THREAD = 2
_FIRST_AHEAD = 2
_MAX_BYTES_AHEAD = 2**28


class ScoringImages(Protocol):
    """Images of a dataset, read once."""

    def batches(self) -> Iterator[ImageBatch]:
        """All usable images, in the dataset's order.

        Raises:
            InvalidDatasetError: A file took too long to read, or all are bad and images have one size.
        """

    @property
    def bad_files(self) -> list[BadFile]:
        """The bad files found so far, in the dataset's order."""

    def describe(self) -> str:
        """The preprocessing, for the log."""


def open_model_and_images(
    stack: ExitStack, directory: ModelDirectory, dataset: ImageDirectory
) -> tuple[LoadedModel, ScoringImages]:
    """A trained model, and the images of a dataset as it takes them.

    The weights are loaded while the first images are read; before that, where the images are large.

    Args:
        stack: Ends the reading threads when it closes.
        directory: A trained model of the old or the new layout.
        dataset: Labeled or not.

    Raises:
        InvalidModelDirectoryError: The model is unusable.
        InvalidDatasetError: No file of the dataset can be used.
        ModuleOutOfMemoryError: The model takes images that are too large for this machine.
    """
    spec = directory.spec
    preprocessing = None if isinstance(spec.flavor_extras, LegacyNetwork) else spec.preprocessing()
    if preprocessing is None:
        model = load_model(directory)
        return model, stack.enter_context(OwnSizeImages(dataset, model, num_threads=default_read_threads()))
    with ThreadPoolExecutor(1) as thread:
        loading = thread.submit(load_model, directory)
        images = stack.enter_context(OneSizeImages(dataset, preprocessing))
        if has_large_images(preprocessing):
            _check_memory(loading.result(), preprocessing)
        images.begin()
        return loading.result(), images


def _check_memory(model: LoadedModel, preprocessing: Preprocessing) -> None:
    check_forward_memory(
        model.network,
        preprocessing,
        choose_model_compute(model, settings()),
        inference_batch_size(preprocessing),
        where=MODEL_PORT,
        advice=_IMAGE_SIZE_ADVICE,
    )


class OneSizeImages:
    """Images with the model's preprocessing, in the batches in which training validates; a context manager."""

    def __init__(self, dataset: ImageDirectory, preprocessing: Preprocessing) -> None:
        self._preprocessing = preprocessing
        check_batch_memory(
            preprocessing, inference_batch_size(preprocessing), where=MODEL_PORT, advice=_IMAGE_SIZE_ADVICE
        )
        compute = choose_compute(settings(), height=preprocessing.crop_height, width=preprocessing.crop_width)
        self._loader = ImageLoader(
            dataset,
            preprocessing,
            num_threads=default_read_threads(),
            decodes_ahead=not compute.takes_all_cores,
            tolerance=_ANY_SHARE,
            port=DATASET_PORT,
        )
        self._batches = self._read()
        self._first: list[ImageBatch] = []

    def begin(self) -> None:
        """Read the first batch, and start to read the next ones.

        Raises:
            InvalidDatasetError: All files are bad, or one took too long to read.
        """
        self._loader.check_readable()
        self._first = list(islice(self._batches, 1))

    def batches(self) -> Iterator[ImageBatch]:
        """See `ScoringImages`."""
        while self._first:
            yield self._first.pop()
        yield from self._batches

    @property
    def bad_files(self) -> list[BadFile]:
        """See `ScoringImages`."""
        return self._loader.bad_files

    def describe(self) -> str:
        """See `ScoringImages`."""
        return ", ".join(map(str, [*self._preprocessing.transforms, self._preprocessing.describe_size()]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loader.close()

    def _read(self) -> Iterator[ImageBatch]:
        order = np.arange(len(self._loader))
        slices = batch_slices(len(order), inference_batch_size(self._preprocessing), least_last=1)
        for batch in self._loader.batches(order[part] for part in slices):
            if len(batch.indices):
                yield ImageBatch(batch.indices, batch.images)


class OwnSizeImages:
    """Images at the size of their files, for trained models of the old designer; a context manager.

    These models have no image size of their own. Pixels are those that the old designer saw, and so the scores are its
    scores. Neighbours of one size share a batch; an image between others of another size is scored alone. Reading runs
    ahead by two images per thread, so that memory does not grow with the dataset.
    """

    def __init__(self, dataset: ImageDirectory, model: LoadedModel, *, num_threads: int) -> None:
        """Prepare to read; no file is opened before the first batch.

        Args:
            dataset: The images.
            model: Determines the smallest image, and how many of a size make a batch.
            num_threads: Threads that read, of which at most eight are used.
        """
        self._dataset = dataset
        self._model = model
        self._least_size = minimum_image_size(model.architecture)
        num_threads = min(num_threads, _MAX_OWN_SIZE_THREADS)
        self._num_ahead = _READS_AHEAD_PER_THREAD * num_threads
        self._max_pixels = settings().max_image_pixels
        self._bad = BadFiles(dataset, tolerance=_ANY_SHARE, port=DATASET_PORT)
        self._prefetcher = Prefetcher(dataset, self._bad, port=DATASET_PORT, num_threads=num_threads)

    def batches(self) -> Iterator[ImageBatch]:
        """See `ScoringImages`."""
        yield from own_size_batches(self._images(), self._model)

    @property
    def bad_files(self) -> list[BadFile]:
        """See `ScoringImages`."""
        return self._bad.listing()

    def describe(self) -> str:
        """See `ScoringImages`."""
        return "each at its own size, its pixels as the old designer read them"

    def close(self) -> None:
        """End the threads. Safe to repeat."""
        self._prefetcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _images(self) -> Iterator[tuple[int, Tensor]]:
        """The usable images with their rows."""
        ahead: deque[tuple[int, PendingImages]] = deque()
        decoded: dict[int, Tensor] = {}
        waiting = iter(range(len(self._dataset)))

        def decode(_: int, row: int, content: bytearray) -> None:
            decoded[row] = self._decode(content)

        def read_ahead(num_images: int) -> None:
            for row in islice(waiting, num_images):
                ahead.append((row, self._prefetcher.start([row], read=self._read, compute=decode)))

        # An image is as large as its file says: the first ones tell how many may wait.
        read_ahead(_FIRST_AHEAD)
        largest_bytes = 1
        while ahead:
            row, pending = ahead.popleft()
            self._prefetcher.wait(pending)
            largest_bytes = max([largest_bytes, *(image.nbytes for image in list(decoded.values()))])
            num_ahead = min(self._num_ahead, max(1, _MAX_BYTES_AHEAD // largest_bytes))
            read_ahead(max(0, num_ahead - len(ahead)))
            if row in decoded:
                yield row, decoded.pop(row)

    def _read(self, row: int) -> bytearray:
        make_room = self._prefetcher.make_room
        return read_image_file(self._dataset.path(row), max_pixels=self._max_pixels, make_room=make_room)

    def _decode(self, content: bytearray) -> Tensor:
        image = decode_image_as_stored(content, max_pixels=self._max_pixels)
        check_own_size(image, self._least_size)
        return image
