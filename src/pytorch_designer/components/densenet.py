"""DenseNet: an untrained densely connected network, with or without weights pretrained on ImageNet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from pytorch_designer.components.model_ports import IMAGE_CLASSIFICATION, UNTRAINED_MODEL_OUTPUT
from pytorch_designer.imports import quick_import
from pytorch_designer.spec.component import Component
from pytorch_designer.spec.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class DenseNetParameters(Parameters):
    """The parameters of DenseNet, as the old designer documents them."""

    model_name: Literal["densenet121", "densenet161", "densenet169", "densenet201"] = Field(
        "densenet201", description="Which densely connected network."
    )
    pretrained: bool = Field(True, description="Start from weights that were trained on ImageNet.")
    memory_efficient: bool = Field(
        False, description="Compute parts of the forward pass twice to save memory; slower, the same result."
    )


def run(inputs: Mapping[str, Path], outputs: Mapping[str, Path], parameters: DenseNetParameters) -> None:
    """Write the UntrainedModelDirectory."""
    with quick_import("torch"):
        from pytorch_designer.models.architectures import Architecture
        from pytorch_designer.models.saving import save_untrained_model

    architecture = Architecture(parameters.model_name, "torchvision", {"memory_efficient": parameters.memory_efficient})
    save_untrained_model(outputs["untrained_model"], architecture, pretrained=parameters.pretrained)


COMPONENT = Component(
    name="densenet",
    display_name="DenseNet",
    category=IMAGE_CLASSIFICATION,
    description="Makes an untrained densely connected network for Train PyTorch Model. Pretrained weights are "
    "downloaded, verified and stored in the output, so that training needs no network.",
    inputs=(),
    outputs=(UNTRAINED_MODEL_OUTPUT,),
    parameters=DenseNetParameters,
    run=run,
)
