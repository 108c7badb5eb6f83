"""MLflow model of a trained ModelDirectory, for MLflow and Azure ML's managed endpoints.

`MLmodel` names this module as its loader. Images go through the same decoding and preprocessing as in training and
scoring, so that a file gets the same scores.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from pytorch_designer.directories.model_directory import open_trained_model_directory
from pytorch_designer.errors import InvalidDatasetError, InvalidModelDirectoryError
from pytorch_designer.images.augmentation import apply_transforms
from pytorch_designer.images.bad_files import BadImageError
from pytorch_designer.images.budgets import check_batch_memory
from pytorch_designer.images.decode import decode_image
from pytorch_designer.images.preprocess import crop_and_resize, normalize
from pytorch_designer.models.loading import load_model
from pytorch_designer.models.mlflow_files import SCORED_LABELS, SCORED_PROBABILITIES_PREFIX

if TYPE_CHECKING:
    from torch import Tensor

    from pytorch_designer.directories.preprocessing import Preprocessing
    from pytorch_designer.models.loading import LoadedModel

_BATCH_SIZE = 16


class ImageClassifier:
    """Classifier of encoded images.

    Attributes:
        classes: Class names in the order of the probabilities.
    """

    def __init__(self, model: LoadedModel, preprocessing: Preprocessing) -> None:
        if model.classes is None:
            raise TypeError("an untrained model")
        self.classes = model.classes
        self._network = model.network
        self._preprocessing = preprocessing

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Score one image per row.

        Args:
            model_input: The column `image`, or the only column: the bytes of an image file, or their base64 text.
            params: Unused; MLflow passes parameters to every model.

        Returns:
            With the index of `model_input`: one float32 column `Scored Probabilities_<class>` per class, and
            `Scored Labels`.

        Raises:
            InvalidDatasetError: The column is missing, or a row is not an image. No row is scored in this case.
        """
        images = [_prepare(row, value, self._preprocessing) for row, value in enumerate(_image_column(model_input))]
        batches = [images[start : start + _BATCH_SIZE] for start in range(0, len(images), _BATCH_SIZE)]
        probabilities_nk = torch.cat([self._score(batch) for batch in batches] or [torch.empty(0, len(self.classes))])
        columns = [SCORED_PROBABILITIES_PREFIX + name for name in self.classes]
        scored: pd.DataFrame = pd.DataFrame(probabilities_nk.numpy(), columns=columns, index=model_input.index)
        scored[SCORED_LABELS] = [self.classes[index] for index in probabilities_nk.argmax(dim=1).tolist()]
        return scored

    def _score(self, images_u8: list[Tensor]) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = self._network(normalize(torch.stack(images_u8), self._preprocessing))
        return logits.softmax(dim=1)


def _load_pyfunc(data_path: str) -> ImageClassifier:
    """MLflow's entry point: load the model from `data_path`.

    Raises:
        InvalidModelDirectoryError: The directory is not a trained model of this project.
        ModuleOutOfMemoryError: An image of the size that the model takes does not fit into memory.
    """
    model = load_model(open_trained_model_directory(Path(data_path)))
    if model.preprocessing is None:
        raise InvalidModelDirectoryError(
            "The model has no preprocessing of its own.",
            where=data_path,
            advice="Connect it to Train PyTorch Model as the untrained model; the fine-tuned model can be served.",
        )
    advice = "Serve a model for smaller images, or use a machine with more memory."
    check_batch_memory(model.preprocessing, 1, where=data_path, advice=advice)
    return ImageClassifier(model, model.preprocessing)


def _image_column(model_input: pd.DataFrame) -> list[object]:
    if "image" in model_input.columns:
        return list(model_input["image"])
    if model_input.shape[1] == 1:
        return list(model_input.iloc[:, 0])
    raise InvalidDatasetError(
        "The request has no column 'image'.",
        where="the request",
        examples=model_input.columns,
        advice="Send one column named image.",
    )


def _prepare(row: int, value: object, preprocessing: Preprocessing) -> Tensor:
    """One preprocessed image, before normalization: uint8 [3, crop_height, crop_width]."""
    try:
        data = value if isinstance(value, bytes | bytearray) else base64.b64decode(str(value), validate=False)
        image = apply_transforms(decode_image(bytes(data)), preprocessing.transforms)
        return crop_and_resize(image, preprocessing)
    except (BadImageError, binascii.Error, ValueError) as error:
        raise InvalidDatasetError(
            f"Row {row} is not an image: {error}", where="the request", advice="Send the bytes of an image file."
        ) from error
