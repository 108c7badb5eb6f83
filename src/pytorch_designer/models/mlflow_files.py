"""MLflow files of a trained ModelDirectory: python_function flavor, no pickle.

MLmodel             loader `pytorch_designer.serving.mlflow_model`; signature: one column of images
requirements.txt    requirements for pip, at the versions of this process
conda.yaml          the same for conda
python_env.yaml     the same for virtualenv
"""

from __future__ import annotations

import logging
import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_log = logging.getLogger(__name__)

LOADER_MODULE = "pytorch_designer.serving.mlflow_model"
SCORED_LABELS = "Scored Labels"
SCORED_PROBABILITIES_PREFIX = "Scored Probabilities_"
_REQUIREMENTS = ("pytorch-designer", "torch", "torchvision", "mlflow")
_REQUIREMENTS_FILE = "requirements.txt"


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
    # The part after + names a build (CPU, CUDA version), which the package index does not have.
    names = (*_REQUIREMENTS, "timm") if uses_timm else _REQUIREMENTS
    requirements = [f"{name}=={version(name).partition('+')[0]}" for name in names]
    (folder / _REQUIREMENTS_FILE).write_text("\n".join(requirements) + "\n", encoding="utf-8")
    python = platform.python_version()
    dependencies = [f"python={python}", "pip", {"pip": requirements}]
    _write_yaml(
        folder / "conda.yaml",
        {"name": "mlflow-env", "channels": ["conda-forge"], "dependencies": dependencies},
    )
    _write_yaml(
        folder / "python_env.yaml",
        {"python": python, "build_dependencies": ["pip"], "dependencies": [f"-r {_REQUIREMENTS_FILE}"]},
    )
    model = Model(signature=_signature(classes))
    # As mlflow.pyfunc.add_to_model writes it; importing mlflow.pyfunc is slow and emits warnings.
    model.add_flavor(
        "python_function",
        loader_module=LOADER_MODULE,
        python_version=python,
        env={"conda": "conda.yaml", "virtualenv": "python_env.yaml"},
    )
    model.save(folder / "MLmodel")


def _signature(classes: Sequence[str]) -> object:
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, DataType, Schema

    # Any type, because both bytes and base64 text (in JSON requests) are accepted.
    images = Schema([ColSpec(AnyType(), "image")])
    probabilities = [ColSpec(DataType.float, SCORED_PROBABILITIES_PREFIX + name) for name in classes]
    return ModelSignature(images, Schema([*probabilities, ColSpec(DataType.string, SCORED_LABELS)]))


def _write_yaml(path: Path, content: object) -> None:
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
