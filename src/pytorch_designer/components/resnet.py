"""ResNet: an untrained residual network, with or without weights pretrained on ImageNet."""

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


class ResNetParameters(Parameters):
    """The parameters of ResNet, as the old designer documents them."""

    model_name: Literal[
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnet152",
        "resnext50_32x4d",
        "resnext101_32x8d",
        "wide_resnet50_2",
        "wide_resnet101_2",
    ] = Field("resnext101_32x8d", description="Which residual network.")
    pretrained: bool = Field(True, description="Start from weights that were trained on ImageNet.")
    zero_init_residual: bool = Field(
        False,
        description="Initialize the last batch norm of each residual branch with zero, so that each block starts as "
        "the identity. Has no effect on pretrained weights.",
    )


def run(inputs: Mapping[str, Path], outputs: Mapping[str, Path], parameters: ResNetParameters) -> None:
    """Write the UntrainedModelDirectory."""
    with quick_import("torch"):
        from pytorch_designer.models.architectures import Architecture
        from pytorch_designer.models.saving import save_untrained_model

    architecture = Architecture(
        parameters.model_name, "torchvision", {"zero_init_residual": parameters.zero_init_residual}
    )
    save_untrained_model(outputs["untrained_model"], architecture, pretrained=parameters.pretrained)


COMPONENT = Component(
    name="resnet",
    display_name="ResNet",
    category=IMAGE_CLASSIFICATION,
    description="Makes an untrained residual network (ResNet, ResNeXt or Wide ResNet) for Train PyTorch Model. "
    "Pretrained weights are downloaded, verified and stored in the output, so that training needs no network.",
    inputs=(),
    outputs=(UNTRAINED_MODEL_OUTPUT,),
    parameters=ResNetParameters,
    run=run,
)
