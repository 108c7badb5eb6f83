"""Image classifier: a trained model that answers for images in memory, as Score Image Model does for a folder.

The MLflow model and the Python API are thin layers over it. Decoding, transforms, batches, number format and softmax
are those of scoring and validation: a folder that is classified in one call gets the scores of Score Image Model, to
the last bit on the same machine. In other calls its images share batches with others, or are alone, which may change
the last digits (docs/deploying.md).

    caller        images -> [ decoding: a thread per core ] -> batches
    one thread    batches -> network -> probabilities

The network has a thread of its own. torch keeps a number of threads per calling thread: callers come and go, and each
would bring threads of its own to the cores that another one uses.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from pytorch_designer.directories.model_directory import ModelDirectory, open_trained_model_directory
from pytorch_designer.images.augmentation import apply_transforms
from pytorch_designer.images.bad_files import BadImageError
from pytorch_designer.images.order import batch_slices
from pytorch_designer.images.preprocess import crop_and_resize
from pytorch_designer.inference.compute import choose_model_compute
from pytorch_designer.inference.forward_memory import check_forward_memory
from pytorch_designer.inference.image_batch import ImageBatch, check_own_size, own_size_batches
from pytorch_designer.inference.predictor import Predictor, inference_batch_size
from pytorch_designer.inference.probabilities import NOT_FINITE, batch_probabilities
from pytorch_designer.models.architectures import minimum_image_size
from pytorch_designer.models.loading import load_model
from pytorch_designer.serving.image_inputs import image_pixels
from pytorch_designer.settings import settings_with
from pytorch_designer.system.resources import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from pytorch_designer.directories.preprocessing import Preprocessing
    from pytorch_designer.inference.compute import Compute
    from pytorch_designer.models.loading import LoadedModel

_WHERE = "the images"
_MEMORY_ADVICE = "Use a model for smaller images, or a machine with more memory."


class Classification(NamedTuple):
    """Probabilities of n images.

    Attributes:
        probabilities: float64 [n, k]; the row of an image without an answer is NaN.
        errors: Why an image has none, by its row, rising.
    """

    probabilities: NDArray[np.float64]
    errors: dict[int, str]


def open_classifier(
    model: ModelDirectory | Path, *, device: str | None = None, precision: str | None = None
) -> ImageClassifier:
    """Load a trained model and run it once, so that the first answer takes no longer than the next one.

    Args:
        model: A trained ModelDirectory of the new or the old layout, opened or by its path.
        device: As PYTORCH_DESIGNER_DEVICE, which counts where this is None.
        precision: As PYTORCH_DESIGNER_PRECISION; likewise.

    Raises:
        InvalidModelDirectoryError: It is not a trained model.
        ParameterParsingError: There is no such device or precision.
        UnsupportedEnvironmentError: This machine does not have the device.
        ModuleOutOfMemoryError: An image of the size that the model takes does not fit into memory.
    """
    directory = model if isinstance(model, ModelDirectory) else open_trained_model_directory(model)
    chosen = settings_with(device=device, precision=precision)
    loaded = load_model(directory)
    compute = choose_model_compute(loaded, chosen)
    if loaded.preprocessing is not None:
        check_forward_memory(
            loaded.network, loaded.preprocessing, compute, 1, where=str(directory.root), advice=_MEMORY_ADVICE
        )
    classifier = ImageClassifier(loaded, compute)
    classifier.warm_up()
    return classifier


class ImageClassifier:
    """Classifier of images, for any number of threads.

    Attributes:
        classes: Class names in the order of the probabilities.
        model: What was loaded.
        preprocessing: What happens to an image; None for a model of the old designer, which takes it at its own size.
        compute: Device and precision.
    """

    def __init__(self, model: LoadedModel, compute: Compute) -> None:
        """Start the threads, and activate `compute` in that of the network; torch's other settings of the caller stay.

        Args:
            model: A trained one.
            compute: What it computes with.
        """
        if model.classes is None:
            raise TypeError("an untrained model")
        self.classes = model.classes
        self.model = model
        self.preprocessing: Preprocessing | None = model.preprocessing
        self.compute = compute
        self._least_size = minimum_image_size(model.architecture)
        # The images have their sizes: only the mean and the standard deviation are left to apply.
        self._predictor = Predictor(model.network, model.preprocessing_for(1, 1), compute)
        threads_of_caller = torch.get_num_threads()
        self._num_decoding = usable_cores()
        self._decoding = ThreadPoolExecutor(
            self._num_decoding, thread_name_prefix="image-decoder", initializer=_compute_alone
        )
        _start_all(self._decoding, self._num_decoding)
        self._network = ThreadPoolExecutor(1, thread_name_prefix="network", initializer=compute.activate)
        _start_all(self._network, 1)
        torch.set_num_threads(threads_of_caller)

    def classify(self, images: Sequence[object], *, strings_are_paths: bool = False) -> Classification:
        """Probabilities of each image, in their order.

        Args:
            images: Of the kinds that `image_inputs` lists.
            strings_are_paths: Whether text is a path and not base64; only where a Python program calls.

        Raises:
            ModuleOutOfMemoryError: The device has too little memory for a batch.
            InvalidDatasetError: The network does not take images of this size.
        """
        probabilities = np.full((len(images), len(self.classes)), np.nan)
        errors: dict[int, str] = {}
        read = partial(self._pixels, strings_are_paths=strings_are_paths)
        if self.preprocessing is None:
            batches = own_size_batches(self._own_size_images(images, read, errors), self.model)
        else:
            batches = self._one_size_batches(images, read, errors, self.preprocessing)
        # Decoding beside a network that computes with all cores would only make both slower.
        most_ahead = 0 if self.compute.takes_all_cores else 1
        ahead: deque[tuple[NDArray[np.int64], Future[NDArray[np.float64]]]] = deque()
        for batch in batches:
            ahead.append((batch.rows, self._network.submit(self._forward, batch.images_nchw)))
            if len(ahead) > most_ahead:
                rows, answer = ahead.popleft()
                probabilities[rows] = answer.result()
        for rows, answer in ahead:
            probabilities[rows] = answer.result()
        for row in np.flatnonzero(np.isnan(probabilities).any(axis=1)).tolist():
            errors.setdefault(row, NOT_FINITE)
            probabilities[row] = np.nan
        return Classification(probabilities, dict(sorted(errors.items())))

    def label(self, probabilities_k: NDArray[np.float64]) -> str:
        """The most probable class; of equally probable ones the first, as in Score Image Model."""
        return self.classes[int(probabilities_k.argmax())]

    def warm_up(self) -> None:
        """Compute the probabilities of one black image: libraries choose and allocate what they need."""
        height, width = self._least_size
        if self.preprocessing is not None:
            height, width = self.preprocessing.crop_height, self.preprocessing.crop_width
        black = torch.zeros(1, 3, height, width, dtype=torch.uint8)
        self._network.submit(self._forward, black).result()

    def _forward(self, images_nchw: Tensor) -> NDArray[np.float64]:
        return batch_probabilities(images_nchw, self._predictor, port=_WHERE)

    def _one_size_batches(
        self,
        images: Sequence[object],
        read: Callable[[object], Tensor],
        errors: dict[int, str],
        preprocessing: Preprocessing,
    ) -> Iterator[ImageBatch]:
        size = (preprocessing.crop_height, preprocessing.crop_width, 3)
        for part in batch_slices(len(images), inference_batch_size(preprocessing), least_last=1):
            pixels = np.empty((part.stop - part.start, *size), dtype=np.uint8)
            fill = partial(_fill, read=read, preprocessing=preprocessing)
            reasons = list(self._decoding.map(fill, images[part], pixels))
            errors |= {part.start + place: reason for place, reason in enumerate(reasons) if reason is not None}
            good = np.array([place for place, reason in enumerate(reasons) if reason is None], dtype=np.int64)
            if len(good):
                pixels = pixels if len(good) == len(pixels) else pixels[good]
                yield ImageBatch(part.start + good, torch.from_numpy(pixels).permute(0, 3, 1, 2))

    def _own_size_images(
        self, images: Sequence[object], read: Callable[[object], Tensor], errors: dict[int, str]
    ) -> Iterator[tuple[int, Tensor]]:
        def prepare(value: object) -> Tensor | BadImageError:
            try:
                image = read(value)
                check_own_size(image, self._least_size)
            except BadImageError as error:
                return error
            return image

        waiting = iter(images)
        row = 0
        while together := list(islice(waiting, self._num_decoding)):
            for image in self._decoding.map(prepare, together):
                if isinstance(image, BadImageError):
                    errors[row] = image.reason
                else:
                    yield row, image
                row += 1

    def _pixels(self, value: object, *, strings_are_paths: bool) -> Tensor:
        return image_pixels(value, strings_are_paths=strings_are_paths, as_stored=self.preprocessing is None)


def _fill(
    value: object, out: NDArray[np.uint8], *, read: Callable[[object], Tensor], preprocessing: Preprocessing
) -> str | None:
    """Write an image as it is before normalization into uint8 [crop_height, crop_width, 3]; why not, where it fails."""
    try:
        image = crop_and_resize(apply_transforms(read(value), preprocessing.transforms), preprocessing)
    except BadImageError as error:
        return error.reason
    out[:] = image.numpy().transpose(1, 2, 0)
    return None


def _compute_alone() -> None:
    """Limit torch to one core in the calling thread: there is one decoding thread per core already."""
    torch.set_num_threads(1)
    torch.get_num_threads()  # from now on this thread keeps its number, whatever other threads set theirs to


def _start_all(threads: ThreadPoolExecutor, num_threads: int) -> None:
    """Start all threads of a pool now: each has set its number of torch's threads before the next pool sets another."""
    all_there = threading.Barrier(num_threads)
    for waiting in [threads.submit(all_there.wait) for _ in range(num_threads)]:
        waiting.result()
