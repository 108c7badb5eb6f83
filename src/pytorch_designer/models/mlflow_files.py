"""MLflow files of a trained ModelDirectory: python_function flavor, no pickle.

MLmodel                       loader `pytorch_designer.serving.mlflow_model`; signature: one column of images
code/                         the modules of this package that serving needs (`traveling_code`)
requirements.txt              what these import, for pip, at the versions of this process
conda.yaml                    the same for conda, and Azure ML's server
python_env.yaml               the same for virtualenv and uv
input_example.json            a request for a picture that the code draws, as MLflow loads it
serving_input_example.json    the same as the body of an HTTP request

Nothing in them depends on the time or on chance: equal runs write equal bytes.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import yaml

from pytorch_designer.directories.scores.data_frame_schema import (
    SCORED_LABEL_COLUMN,
    distinct_names,
    probability_column,
)
from pytorch_designer.models.traveling_code import CODE_FOLDER, write_traveling_code

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_log = logging.getLogger(__name__)

LOADER_MODULE = "pytorch_designer.serving.mlflow_model"
IMAGE_COLUMN = "image"
TOP_K, ON_ERROR = "top_k", "on_error"
ALL_CLASSES = 0
FAIL, ROW = "fail", "row"
"""Values of the parameter `on_error`: refuse the request with a bad image, or leave its row without scores."""

REQUIREMENTS = (
    "filelock",
    "mlflow",
    "numpy",
    "pandas",
    "pillow",
    "platformdirs",
    "pydantic",
    "pydantic-settings",
    "pyyaml",
    "safetensors",
    "torch",
    "torchvision",
)
"""The packages that the traveling code imports."""

_OPTIONAL = ("pillow-heif",)  # where it is installed, images of its format may have been trained on
# Azure ML's server wants a release of its own choice; with another one pinned, pip would go back to a server of years
# ago. The traveling code takes any of these.
_LOOSE_FOR_SERVER = {"pydantic": "pydantic>=2.10,<3"}
_SERVER = "azureml-inference-server-http"
_REQUIREMENTS_FILE = "requirements.txt"
_EXAMPLE_FILE = "input_example.json"
_SERVING_EXAMPLE_FILE = "serving_input_example.json"
_EXAMPLE_SIDE = 32
MLFLOW_ENTRIES = (
    "MLmodel",
    CODE_FOLDER,
    _REQUIREMENTS_FILE,
    "conda.yaml",
    "python_env.yaml",
    _EXAMPLE_FILE,
    _SERVING_EXAMPLE_FILE,
)
"""Names of what `write_mlflow_files` writes."""


def write_mlflow_files(folder: Path, classes: Sequence[str], *, uses_timm: bool = False) -> None:
    """Write the MLflow files of the ModelDirectory in `folder`; where MLflow cannot be imported, the log says so.

    Args:
        folder: The folder with the other files of the model.
        classes: Class names in the order of the logits.
        uses_timm: Whether loading the model needs timm.

    Raises:
        OSError: A file cannot be written.
    """
    try:
        from mlflow.models import Model
    except Exception as error:  # noqa: BLE001 - whatever it is, the trained model is worth more
        _log.warning(
            "The trained model lacks the files of an MLflow model, as MLflow cannot be imported: %s: %s",
            type(error).__name__,
            error,
        )
        return
    write_traveling_code(folder, LOADER_MODULE)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"  # channels of conda drop releases of a minor version
    _write_environment(folder, python, uses_timm=uses_timm)
    example = {"columns": [IMAGE_COLUMN], "data": [[base64.b64encode(_example_png()).decode("ascii")]]}
    (folder / _EXAMPLE_FILE).write_text(json.dumps(example), encoding="utf-8")
    serving_example = json.dumps({"dataframe_split": example}, indent=2)
    (folder / _SERVING_EXAMPLE_FILE).write_text(serving_example, encoding="utf-8")
    model = Model(
        signature=_signature(classes),
        saved_input_example_info={
            "artifact_path": _EXAMPLE_FILE,
            "type": "dataframe",
            "pandas_orient": "split",
            "serving_input_path": _SERVING_EXAMPLE_FILE,
        },
    )
    # As mlflow.pyfunc.add_to_model writes it; importing mlflow.pyfunc is slow and emits warnings.
    model.add_flavor(
        "python_function",
        loader_module=LOADER_MODULE,
        code=CODE_FOLDER,
        python_version=python,
        env={"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
    )
    # Without a time and a random id, which MLflow does not need to load a model.
    content = {key: value for key, value in model.to_dict().items() if key not in {"utc_time_created", "model_uuid"}}
    _write_yaml(folder / "MLmodel", content)


def _write_environment(folder: Path, python: str, *, uses_timm: bool) -> None:
    names = [*REQUIREMENTS, *(["timm"] if uses_timm else []), *filter(_is_installed, _OPTIONAL)]
    # The part after + names a build (CPU, CUDA version), which the package index does not have.
    pinned = {name: f"{name}=={version(name).partition('+')[0]}" for name in sorted(names)}
    (folder / _REQUIREMENTS_FILE).write_text("\n".join(pinned.values()) + "\n", encoding="utf-8")
    for_server = [*(pinned | _LOOSE_FOR_SERVER).values(), _SERVER]
    _write_yaml(
        folder / "conda.yaml",
        {
            "name": "mlflow-env",
            "channels": ["conda-forge"],
            "dependencies": [f"python={python}", "pip", {"pip": for_server}],
        },
    )
    _write_yaml(
        folder / "python_env.yaml",
        {"python": python, "build_dependencies": ["pip"], "dependencies": [f"-r {_REQUIREMENTS_FILE}"]},
    )


def _is_installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def _signature(classes: Sequence[str]) -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, DataType, ParamSchema, ParamSpec, Schema

    # Any type, because base64 text, bytes and arrays are accepted.
    images = Schema([ColSpec(AnyType(), IMAGE_COLUMN)])
    probabilities = [ColSpec(DataType.double, probability_column(name)) for name in distinct_names(classes)]
    params = [ParamSpec(TOP_K, DataType.long, ALL_CLASSES), ParamSpec(ON_ERROR, DataType.string, FAIL)]
    labels = ColSpec(DataType.string, SCORED_LABEL_COLUMN)
    return ModelSignature(images, Schema([*probabilities, labels]), ParamSchema(params))


def _example_png() -> bytes:
    """Example image without anybody's data: a gradient of colors."""
    import numpy as np
    from PIL import Image

    ramp = np.arange(_EXAMPLE_SIDE, dtype=np.uint8) * (256 // _EXAMPLE_SIDE)
    pixels = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], ramp[:, None] // 2), axis=2)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def _write_yaml(path: Path, content: object) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
