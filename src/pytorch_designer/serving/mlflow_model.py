"""MLflow model of a trained ModelDirectory, for MLflow's server and Azure ML's endpoints.

`MLmodel` names this module as its loader. A request is a table with the column `image`; of each of its forms in JSON,
MLflow makes such a table:

    {"dataframe_split": {"columns": ["image"], "data": [[A], [B]]}}      a row per image
    {"dataframe_records": [{"image": A}, {"image": B}]}                  a row per image
    {"instances": [{"image": A}, {"image": B}]}                          a row per image
    {"inputs": [A, B]}, {"inputs": {"image": [A, B]}}, {"instances": [A, B]}     one row with a list

Whatever the form, the answer has a row per image. A and B are what `image_inputs` accepts; text is never a path.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, INVALID_PARAMETER_VALUE, TEMPORARILY_UNAVAILABLE

from pytorch_designer.directories.scores.data_frame_schema import (
    SCORED_LABEL_COLUMN,
    distinct_names,
    probability_column,
)
from pytorch_designer.errors import (
    DesignerError,
    InvalidDatasetError,
    InvalidModelDirectoryError,
    ModuleOutOfMemoryError,
    ParameterParsingError,
    describe_value,
)
from pytorch_designer.models.mlflow_files import ALL_CLASSES, FAIL, IMAGE_COLUMN, ON_ERROR, ROW, TOP_K
from pytorch_designer.models.traveling_code import check_traveling_version
from pytorch_designer.serving.classifier import open_classifier
from pytorch_designer.serving.image_inputs import images_in_column
from pytorch_designer.serving.scoring_server import answer_bad_requests
from pytorch_designer.system.out_of_memory import is_out_of_memory, out_of_memory_error
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytorch_designer.serving.classifier import Classification, ImageClassifier

_log = logging.getLogger(__name__)
_mlflow_log = logging.getLogger("mlflow.pytorch_designer")  # of whose messages MLflow's server shows more than warnings

TOP_LABELS_COLUMN, TOP_PROBABILITIES_COLUMN = "Top Labels", "Top Probabilities"
ERROR_COLUMN = "Error"
_REQUEST = "the request"


class ServedModel:
    """A trained model as MLflow calls it."""

    def __init__(self, classifier: ImageClassifier) -> None:
        self._classifier = classifier
        self._probability_columns = [probability_column(name) for name in distinct_names(classifier.classes)]

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Score the images of a request.

        Args:
            model_input: The column `image`, or the only column. A cell is an image of any kind that `image_inputs`
                lists, or a list of images.
            params: `top_k`: how many of the most probable classes are answered, in the columns `Top Labels` and
                `Top Probabilities`; 0: all, in a column per class, as Score Image Model writes them. `on_error`:
                `fail` refuses a request with a bad image; `row` answers its row with nulls and a reason.

        Returns:
            A row per image, with the index of `model_input` where that has one per image: float64 probabilities, and
            `Scored Labels`; with `on_error` `row` also `Error`, which is null where there is none.

        Raises:
            MlflowException: INVALID_PARAMETER_VALUE: the column is missing, a parameter is unusable, or an image is
                bad. TEMPORARILY_UNAVAILABLE: there is too little memory. BAD_REQUEST: something unexpected happened;
                the log has the traceback.
        """
        try:
            return self._predict(model_input, params or {})
        except ModuleOutOfMemoryError as error:
            raise MlflowException(str(error), TEMPORARILY_UNAVAILABLE) from error
        except DesignerError as error:
            raise MlflowException(str(error), INVALID_PARAMETER_VALUE) from error
        except Exception as error:
            if is_out_of_memory(error):
                refusal = out_of_memory_error("There is too little free memory for this request.", where=_REQUEST)
                raise MlflowException(str(refusal), TEMPORARILY_UNAVAILABLE) from error
            _log.exception("A request could not be answered.")
            raise MlflowException(
                "The request could not be answered; the log of the server says why.", BAD_REQUEST
            ) from error

    def _predict(self, model_input: pd.DataFrame, params: dict[str, Any]) -> pd.DataFrame:
        top_k, on_error = _top_k(params.get(TOP_K)), _on_error(params.get(ON_ERROR))
        images = images_in_column(_image_column(model_input))
        found = self._classifier.classify(images)
        if found.errors and on_error == FAIL:
            raise _bad_images(found)
        columns = self._of_all_classes(found) if top_k == ALL_CLASSES else self._of_best(found, top_k)
        columns[SCORED_LABEL_COLUMN] = [
            None if row in found.errors else self._classifier.label(probabilities_k)
            for row, probabilities_k in enumerate(found.probabilities)
        ]
        if on_error == ROW:
            columns[ERROR_COLUMN] = [found.errors.get(row) for row in range(len(images))]
        index = model_input.index if len(model_input) == len(images) else None
        columns = {name: pd.Series(values, index=index) for name, values in columns.items()}
        answer: pd.DataFrame = pd.DataFrame(columns, index=index)
        return answer

    def _of_all_classes(self, found: Classification) -> dict[str, Any]:
        scores: np.ndarray = found.probabilities
        if found.errors:  # null, where JSON would get NaN, which it does not have
            scores = scores.astype(object)
            scores[list(found.errors)] = None
        return {name: scores[:, index] for index, name in enumerate(self._probability_columns)}

    def _of_best(self, found: Classification, top_k: int) -> dict[str, Any]:
        """A list of labels and one of probabilities per image, from the most probable class on."""
        order = np.argsort(-found.probabilities, axis=1, kind="stable")[:, :top_k]
        rows = [None if row in found.errors else order[row] for row in range(len(order))]
        classes = self._classifier.classes
        return {
            TOP_LABELS_COLUMN: [None if best is None else [classes[index] for index in best] for best in rows],
            TOP_PROBABILITIES_COLUMN: [
                None if best is None else found.probabilities[row, best].tolist() for row, best in enumerate(rows)
            ],
        }


def _load_pyfunc(data_path: str) -> ServedModel:
    """MLflow's entry point: load the model from `data_path`.

    Raises:
        UnsupportedEnvironmentError: This process has imported another version of the package than the model brings.
        InvalidModelDirectoryError: The directory is not a trained model of this project.
        ModuleOutOfMemoryError: An image of the size that the model takes does not fit into memory.
    """
    check_traveling_version(Path(data_path))
    classifier = open_classifier(Path(data_path))
    if classifier.preprocessing is None:
        raise InvalidModelDirectoryError(
            "The model has no preprocessing of its own.",
            where=data_path,
            advice="Connect it to Train PyTorch Model as the untrained model; the fine-tuned model can be served.",
        )
    answer_bad_requests()
    _mlflow_log.info("The model computes on %s.", classifier.compute.describe())
    return ServedModel(classifier)


def _image_column(model_input: pd.DataFrame) -> Sequence[object]:
    if IMAGE_COLUMN in model_input.columns:
        return list(model_input[IMAGE_COLUMN])
    if model_input.shape[1] == 1:
        return list(model_input.iloc[:, 0])
    raise InvalidDatasetError(
        f"The request has no column '{IMAGE_COLUMN}'.",
        where=_REQUEST,
        examples=model_input.columns,
        advice=f"Send one column named {IMAGE_COLUMN}.",
    )


def _top_k(value: object) -> int:
    if value is None:
        return ALL_CLASSES
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _bad_parameter(TOP_K, value, "a whole number of at least 1, or 0 for all classes")
    return value


def _on_error(value: object) -> str:
    if value is None:
        return FAIL
    if value not in (FAIL, ROW):
        raise _bad_parameter(ON_ERROR, value, f"{FAIL} or {ROW}")
    return str(value)


def _bad_parameter(name: str, value: object, takes: str) -> ParameterParsingError:
    return ParameterParsingError(
        f"The parameter {name} has the value {describe_value(value)}. It takes {takes}.", where=f"params, {name}"
    )


def _bad_images(found: Classification) -> InvalidDatasetError:
    return InvalidDatasetError(
        f"{len(found.errors)} of {count(len(found.probabilities), 'image')} cannot be scored; none was.",
        where=_REQUEST,
        examples=[f"row {row}: {reason}" for row, reason in found.errors.items()],
        advice='Correct these rows, or send "params": {"on_error": "row"} to have the others scored.',
        reason="bad_images",
    )
