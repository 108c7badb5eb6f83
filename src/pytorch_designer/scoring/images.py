"""The images of a dataset as a model is to see them: read once, in the dataset's order, bad files left out.

`open_images` is the one place where it is decided what happens to an image between its file and the network. Of the
transforms that a model carries, the loader does those that the files of the dataset have not been through yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from pytorch_designer.images.loader import ImageLoader
from pytorch_designer.images.order import batch_slices
from pytorch_designer.images.resources import default_decode_threads
from pytorch_designer.inference.predictor import inference_batch_size
from pytorch_designer.models.loading import check_forward
from pytorch_designer.scoring.batch import ImageBatch
from pytorch_designer.scoring.own_size import OwnSizeImages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack

    from pytorch_designer.directories.image_directory import ImageDirectory
    from pytorch_designer.directories.preprocessing import Preprocessing
    from pytorch_designer.images.bad_files import BadFile
    from pytorch_designer.models.loading import LoadedModel

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


def open_images(stack: ExitStack, model: LoadedModel, dataset: ImageDirectory) -> ScoringImages:
    """The images of `dataset` for `model`: with the model's preprocessing, or at their own size where it has none.

    Args:
        stack: Ends the reading threads when it closes.
        model: A trained model.
        dataset: Labelled or not.

    Raises:
        InvalidDatasetError: No file of the dataset can be used, or the network does not take the images' size.
    """
    preprocessing = model.preprocessing
    if preprocessing is None:
        return stack.enter_context(OwnSizeImages(dataset, model, num_threads=default_decode_threads()))
    check_forward(model.network, preprocessing.crop_height, preprocessing.crop_width, model.architecture)
    loader = ImageLoader(
        dataset,
        preprocessing,
        num_threads=default_decode_threads(),
        cache_bytes=0,  # every image is read once
        tolerance=_ANY_SHARE,
        port=DATASET_PORT,
    )
    stack.enter_context(loader)
    loader.check_readable()
    return OneSizeImages(loader, preprocessing)


class OneSizeImages:
    """Images with the model's own preprocessing, in the batches in which training validates."""

    def __init__(self, loader: ImageLoader, preprocessing: Preprocessing) -> None:
        self._loader = loader
        self._preprocessing = preprocessing

    def batches(self) -> Iterator[ImageBatch]:
        """All usable images, in the dataset's order.

        Raises:
            InvalidDatasetError: All files are bad, or one took too long to read.
        """
        order = np.arange(len(self._loader))
        slices = batch_slices(len(order), inference_batch_size(self._preprocessing), fold_single=False)
        for batch in self._loader.batches(order[part] for part in slices):
            if len(batch.indices):
                yield ImageBatch(batch.indices, batch.images)

    @property
    def bad_files(self) -> list[BadFile]:
        """The files that were left out so far, in the dataset's order."""
        return self._loader.bad_files

    def describe(self) -> str:
        """What becomes of an image, for the log."""
        steps = [*self._preprocessing.transforms, self._preprocessing.describe_size()]
        return ", ".join(map(str, steps))
