"""Train PyTorch Model and related components, for Azure ML designer, SDK v2 pipelines and laptops.

In Python (docs/python.md):

    import pytorch_designer

    run = pytorch_designer.train("photos", output="trained")
    pytorch_designer.load_model("trained").predict("cat.jpg")

Importing it loads neither torch nor pandas: what a name needs is loaded when the name is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytorch_designer import errors as errors
    from pytorch_designer.api.image_scores import ImageScores as ImageScores
    from pytorch_designer.api.image_scores import score as score
    from pytorch_designer.api.library_calls import RuntimeOptions as RuntimeOptions
    from pytorch_designer.api.loaded_model import Prediction as Prediction
    from pytorch_designer.api.loaded_model import TrainedModel as TrainedModel
    from pytorch_designer.api.loaded_model import load_model as load_model
    from pytorch_designer.api.local_runs import lint as lint
    from pytorch_designer.api.local_runs import run_component as run_component
    from pytorch_designer.api.local_runs import run_pipeline as run_pipeline
    from pytorch_designer.api.model_evaluation import ModelEvaluation as ModelEvaluation
    from pytorch_designer.api.model_evaluation import evaluate as evaluate
    from pytorch_designer.api.opened_images import LabeledImage as LabeledImage
    from pytorch_designer.api.opened_images import OpenedImages as OpenedImages
    from pytorch_designer.api.opened_images import open_images as open_images
    from pytorch_designer.api.trained_run import TrainedRun as TrainedRun
    from pytorch_designer.api.trained_run import train as train

__version__ = "0.1.0"

_MODULES = {
    "ImageScores": "api.image_scores",
    "LabeledImage": "api.opened_images",
    "ModelEvaluation": "api.model_evaluation",
    "OpenedImages": "api.opened_images",
    "Prediction": "api.loaded_model",
    "RuntimeOptions": "api.library_calls",
    "TrainedModel": "api.loaded_model",
    "TrainedRun": "api.trained_run",
    "evaluate": "api.model_evaluation",
    "lint": "api.local_runs",
    "load_model": "api.loaded_model",
    "open_images": "api.opened_images",
    "run_component": "api.local_runs",
    "run_pipeline": "api.local_runs",
    "score": "api.image_scores",
    "train": "api.trained_run",
}

__all__ = ["__version__", "errors", *_MODULES]  # noqa: PLE0604 - names in a table


def __getattr__(name: str) -> object:
    if name == "errors":
        return import_module(f"{__name__}.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
