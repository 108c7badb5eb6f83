"""What is said about a run: in its header, in its report, in its tracking, and in its fingerprint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torchvision

from pytorch_designer import __version__

if TYPE_CHECKING:
    from torch import nn

    from pytorch_designer.images.loader import ImageLoader
    from pytorch_designer.inference.compute import ComputePlan
    from pytorch_designer.training.hyperparameters import Hyperparameters
    from pytorch_designer.training.inputs import TrainingInputs


def model_facts(inputs: TrainingInputs, network: nn.Module) -> dict[str, str]:
    """The network and where its weights come from, by label."""
    model = inputs.model
    if model.classes is not None:
        origin = "fine-tuned from a trained model"
    else:
        origin = "pretrained weights" if model.has_weights else "from scratch"
    num_parameters = sum(parameter.numel() for parameter in network.parameters())
    return {"Model": f"{model.architecture.name}, {origin}, {num_parameters / 1e6:.1f} million parameters"}


def data_facts(inputs: TrainingInputs, training: ImageLoader, validation: ImageLoader) -> dict[str, str]:
    """The images, their size and what is done to them, by label."""
    preprocessing = inputs.preprocessing
    steps = {"Transforms": ", ".join(str(step) for step in preprocessing.transforms)}
    steps["Augmentation"] = "" if inputs.augmentation is None else inputs.augmentation.describe()
    return {
        "Training": f"{_counted(len(inputs.training), 'image')} in {_counted(len(inputs.training.classes), 'class')}"
        f" ({training.describe()})",
        "Validation": f"{_counted(len(inputs.validation), 'image')} ({validation.describe()})",
        "Image size": preprocessing.describe_size(),
    } | {label: text for label, text in steps.items() if text}


def fingerprint_facts(inputs: TrainingInputs, hyperparameters: Hyperparameters, plan: ComputePlan) -> dict[str, Any]:
    """Everything but the images and the weights that determines the result, as JSON data."""
    return {
        "versions": [__version__, torch.__version__, torchvision.__version__],
        "parameters": hyperparameters.to_dict(),
        "preprocessing": inputs.preprocessing.to_dict(),
        "architecture": [inputs.model.architecture.name, dict(inputs.model.architecture.init_params)],
        "transforms": [list(step) for step in inputs.training.transforms],
        "applied_transforms": [
            [list(step) for step in dataset.applied_transforms] for dataset in (inputs.training, inputs.validation)
        ],
        "compute": [plan.device.type, plan.precision, str(plan.memory_format), plan.num_threads],
    }


def _counted(number: int, noun: str) -> str:
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun}{'es' if noun.endswith('s') else 's'}"
