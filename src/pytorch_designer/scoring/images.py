"""The images of a dataset as a model is to see them: read once, in the dataset's order, bad files left out.

`open_model_and_images` is the one place where it is decided what happens to an image between its file and the network.
Of the transforms that a model carries, the loader does those that the files of the dataset have not been through yet.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import numpy as np

from pytorch_designer.directories.model_directory import open_trained_model_directory
from pytorch_designer.directories.model_spec import LegacyNetwork
from pytorch_designer.images.loader import ImageLoader
from pytorch_designer.images.order import batch_slices
from pytorch_designer.images.resources import default_read_threads
from pytorch_designer.inference.compute import choose_compute
from pytorch_designer.inference.predictor import inference_batch_size
from pytorch_designer.models.loading import LoadedModel, load_model
from pytorch_designer.scoring.batch import ImageBatch
from pytorch_designer.scoring.own_size import OwnSizeImages
from pytorch_designer.settings import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from pytorch_designer.directories.image_directory import ImageDirectory
    from pytorch_designer.directories.preprocessing import Preprocessing
    from pytorch_designer.images.bad_files import BadFile

DATASET_PORT = "dataset"
_ANY_SHARE = 1.0  # whatever share of the files is bad, the others are scored; that all are is an error of the loader's


class ScoringImages(Protocol):
    """Reads the images of a dataset once."""

    def batches(self) -> Iterator[ImageBatch]:
        """All usable images, in the dataset's order."""

    @property
    def bad_files(self) -> list[BadFile]:
        """The files that were left out so far, in the dataset's order."""

    def describe(self) -> str:
        """What becomes of an image, for the log."""


def open_model_and_images(
    stack: ExitStack, trained_model: Path, dataset: ImageDirectory
) -> tuple[LoadedModel, ScoringImages]:
    """The model at `trained_model`, and the images of `dataset` for it.

    Images have the model's preprocessing, or their own size where it has none. Its weights are loaded while the first
    images are read.

    Args:
        stack: Ends the reading threads when it closes.
        trained_model: ModelDirectory of the old or the new layout.
        dataset: Labelled or not.

    Raises:
        InvalidModelDirectoryError: The model is unusable or untrained.
        InvalidDatasetError: No file of the dataset can be used.
    """
    directory = open_trained_model_directory(trained_model)
    spec = directory.spec
    preprocessing = None if isinstance(spec.flavor_extras, LegacyNetwork) else spec.preprocessing()
    if preprocessing is None:
        model = load_model(directory)
        return model, stack.enter_context(OwnSizeImages(dataset, model, num_threads=default_read_threads()))
    with ThreadPoolExecutor(1) as thread:
        loading = thread.submit(load_model, directory)
        images = stack.enter_context(OneSizeImages(dataset, preprocessing))
        images.begin()
        return loading.result(), images


class OneSizeImages:
    """Images with the model's own preprocessing, in the batches in which training validates; a context manager."""

    def __init__(self, dataset: ImageDirectory, preprocessing: Preprocessing) -> None:
        self._preprocessing = preprocessing
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
        """Read the first batch; the images after it are read from now on, before anybody asks for them.

        Raises:
            InvalidDatasetError: All files are bad, or one took too long to read.
        """
        self._loader.check_readable()
        self._first = list(islice(self._batches, 1))

    def batches(self) -> Iterator[ImageBatch]:
        """All usable images, in the dataset's order.

        Raises:
            InvalidDatasetError: All files are bad, or one took too long to read.
        """
        while self._first:
            yield self._first.pop()
        yield from self._batches

    @property
    def bad_files(self) -> list[BadFile]:
        """The files that were left out so far, in the dataset's order."""
        return self._loader.bad_files

    def describe(self) -> str:
        """What becomes of an image, for the log."""
        steps = [*self._preprocessing.transforms, self._preprocessing.describe_size()]
        return ", ".join(map(str, steps))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loader.close()

    def _read(self) -> Iterator[ImageBatch]:
        order = np.arange(len(self._loader))
        slices = batch_slices(len(order), inference_batch_size(self._preprocessing), fold_single=False)
        for batch in self._loader.batches(order[part] for part in slices):
            if len(batch.indices):
                yield ImageBatch(batch.indices, batch.images)
