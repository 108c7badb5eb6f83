"""Loaded model: a trained model that answers for images in memory and for folders."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

from pytorch_designer.addresses import address_error, is_address
from pytorch_designer.api.library_calls import library_call, path_argument
from pytorch_designer.api.opened_images import LabeledImage
from pytorch_designer.api.python_wording import worded_for_python
from pytorch_designer.errors import InvalidDatasetError, describe_value
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from PIL import Image

    from pytorch_designer.directories.preprocessing import Preprocessing
    from pytorch_designer.serving.classifier import ImageClassifier

    OneImage: TypeAlias = (
        str | os.PathLike[str] | bytes | bytearray | memoryview | NDArray[Any] | Image.Image | LabeledImage
    )

_MAX_METRICS_BYTES = 1 << 30


class Prediction(NamedTuple):
    """Answer of a model for one image.

    Attributes:
        label: The most probable class.
        probability: Its probability, 0 to 1.
        probabilities: float64 [k], the probability of each class in the order of the model's `classes`.
    """

    label: str
    probability: float
    probabilities: NDArray[np.float64]

    def __repr__(self) -> str:
        return f"Prediction(label={self.label!r}, probability={self.probability:.4f})"


class TrainedModel:
    """A trained model, loaded; threads may share it.

    Attributes:
        path: Its folder.
        classes: Names of the k classes, in the order of the probabilities.
        preprocessing: What is done to an image; None for a model of the old designer, which takes it at its own size.
        device: Where it computes, for instance "cpu" or "cuda:0".
        precision: "fp32" or "bf16".
    """

    def __init__(self, path: Path, classifier: ImageClassifier) -> None:
        """Answer with a classifier.

        Args:
            path: The folder that it is from.
            classifier: The loaded network with its threads.
        """
        self._classifier = classifier
        self.path = path
        self.classes: tuple[str, ...] = classifier.classes
        self.preprocessing: Preprocessing | None = classifier.preprocessing
        self.device = str(classifier.compute.device)
        self.precision: Literal["fp32", "bf16"] = classifier.compute.precision

    @property
    def report(self) -> Path | None:
        """The page of its training report; None where there is none."""
        page = self.path / "report" / "index.html"
        return page if page.is_file() else None

    @property
    def metrics(self) -> dict[str, Any]:
        """Metrics of its training (report/metrics.json): `validation`, `training`, `classes` and more; {} if none.

        Raises:
            InvalidModelDirectoryError: The file is there and cannot be read.
        """
        from pytorch_designer.errors import InvalidModelDirectoryError
        from pytorch_designer.storage.bounded_documents import read_json

        file = self.path / "report" / "metrics.json"
        if not file.is_file():
            return {}
        try:
            return dict(read_json(file, _MAX_METRICS_BYTES, InvalidModelDirectoryError))
        except (TypeError, ValueError) as error:
            raise InvalidModelDirectoryError("The metrics of the model cannot be read.", where=file) from error

    @overload
    def predict(self, images: OneImage) -> Prediction: ...  # type: ignore[overload-overlap]  # a str is iterable

    @overload
    def predict(self, images: Iterable[OneImage]) -> list[Prediction]: ...

    def predict(self, images: OneImage | Iterable[OneImage]) -> Prediction | list[Prediction]:
        """The prediction for an image, or those for several, in their order.

        Images are decoded in threads and go through the network together: give all that there are in one call. A batch
        of images may be computed in another order than a single one, so that the last digits of a probability depend
        on how many images are given together.

        Args:
            images: One image, or several: paths, bytes of image files, uint8 arrays [height, width, 3] (RGB), PIL
                images, or what `open_images` gives. An array [n, height, width, 3] is n images. Text is a path.

        Raises:
            InvalidDatasetError: An image cannot be read; none is predicted then.
            UnsupportedLocallyError: Text is an address.
            ModuleOutOfMemoryError: The device has too little memory.
        """
        is_one, values = _as_list(images)
        with worded_for_python("predict", {}), self._active():
            answer = self._classifier.classify(values, strings_are_paths=True)
        if answer.errors:
            raise _unread(values, answer.errors, is_one=is_one)
        predictions = [
            Prediction(self._classifier.label(row_k), float(row_k.max()), row_k) for row_k in answer.probabilities
        ]
        return predictions[0] if is_one else predictions

    def predict_frame(self, images: str | os.PathLike[str]) -> pd.DataFrame:
        """Predictions for all images of a folder or an archive, as a table.

        They have the bits of Score Image Model, and its columns: `id`, `file`, `category` where images are labeled,
        `Scored Probabilities_<class>` and `Scored Labels`. An image that cannot be read has a row without scores.

        Args:
            images: Any dataset that `open_images` opens.

        Raises:
            InvalidDatasetError: There is no such dataset, or none of its images can be read.
            ModuleOutOfMemoryError: The device has too little memory.
        """
        from pytorch_designer.api.image_scores import score

        return score(self, images).frame

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}: {count(len(self.classes), 'class', 'classes')}, {self.device}>"

    @contextmanager
    def _active(self) -> Iterator[None]:
        """The settings that the network was loaded with; on a processor its own threads have them."""
        from pytorch_designer.images.decoding.pillow_reader import PILLOW_FILTER

        was_silent = PILLOW_FILTER in warnings.filters
        if self.device != "cpu":
            from pytorch_designer.inference.torch_state import kept_torch_state

            with library_call("predict", {}), kept_torch_state():
                self._classifier.compute.activate()
                yield
        else:
            yield
        if not was_silent:
            with suppress(ValueError):
                warnings.filters.remove(PILLOW_FILTER)  # type: ignore[attr-defined]  # a sequence in the stubs


def load_model(
    path: str | os.PathLike[str],
    *,
    device: str | None = None,
    precision: Literal["auto", "fp32", "bf16"] | None = None,
) -> TrainedModel:
    """Load a trained model: what `train` or Train PyTorch Model has written, or a model of the old designer.

        model = pytorch_designer.load_model("trained")
        label, probability, probabilities = model.predict("cat.jpg")

    Args:
        path: Its folder.
        device: "cpu", "gpu", "cuda:1" and so on; None: what PYTORCH_DESIGNER_DEVICE says, or a GPU where there is one.
        precision: "fp32" or "bf16"; None: what PYTORCH_DESIGNER_PRECISION says, or as in its validation.

    Raises:
        InvalidModelDirectoryError: It is not there, untrained, damaged, or not a model.
        UnsupportedEnvironmentError: This machine does not have the device.
        ModuleOutOfMemoryError: There is too little memory for one image.
        ParameterError: An argument has the wrong type or is not one of its values.
    """
    from pytorch_designer.directories.model_directory import open_trained_model_directory

    with library_call("load_model", {"device": device, "precision": precision}):
        directory = open_trained_model_directory(path_argument(path, "path"))
        from pytorch_designer.inference.torch_state import kept_torch_state
        from pytorch_designer.serving.classifier import open_classifier

        with kept_torch_state():
            return TrainedModel(directory.root, open_classifier(directory))


def _as_list(images: Any) -> tuple[bool, list[Any]]:
    """List of the given images, with True if a single image was given."""
    values: list[Any]
    if isinstance(images, LabeledImage):
        return True, [images.pixels]
    if hasattr(images, "__array_interface__") and not hasattr(images, "getexif"):  # an array, and not a PIL image
        is_one = getattr(images, "ndim", 0) != 4
        values = [images] if is_one else list(images)
    elif isinstance(images, str | os.PathLike | bytes | bytearray | memoryview) or not isinstance(images, Iterable):
        is_one, values = True, [images]
    else:
        is_one, values = False, [image.pixels if isinstance(image, LabeledImage) else image for image in images]
    for value in values:
        if isinstance(value, str) and is_address(value) and not value.lower().startswith("data:"):
            raise address_error(value, name="images")
    return is_one, values


def _unread(values: list[Any], errors: dict[int, str], *, is_one: bool) -> InvalidDatasetError:
    def shown(row: int) -> str:
        value = values[row]
        name = str(value) if isinstance(value, str | os.PathLike) else ""
        number = "" if is_one else f"image {row}"
        return ", ".join(filter(None, (number, name))) or describe_value(value)

    folders = any(isinstance(values[row], str | os.PathLike) and Path(values[row]).is_dir() for row in errors)
    what = "The image cannot be read." if is_one else f"{len(errors)} of {count(len(values), 'image')} cannot be read."
    return InvalidDatasetError(
        what,
        where="images",
        examples=[f"{shown(row)}: {reason}" for row, reason in errors.items()],
        advice="Use `predict_frame` for a folder."
        if folders
        else "Give paths, bytes of image files, uint8 arrays [height, width, 3] or PIL images.",
        reason="bad_images",
    )
