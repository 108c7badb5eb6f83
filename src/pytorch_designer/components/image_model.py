"""Image Model: any image classification architecture of torchvision, or of timm, by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from pytorch_designer.components.model_ports import IMAGE_CLASSIFICATION, UNTRAINED_MODEL_OUTPUT
from pytorch_designer.imports import quick_import
from pytorch_designer.spec.component import Component
from pytorch_designer.spec.parameters import Parameters
from pytorch_designer.system.places import check_temporary_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class ImageModelParameters(Parameters):
    """The parameters of Image Model."""

    model_name: str = Field(
        "efficientnet_b0",
        description="Name of an image classification architecture of torchvision, such as efficientnet_b0, "
        "convnext_tiny, vit_b_16 or swin_t; with timm installed also timm/ and the name of one of its models.",
    )
    pretrained: bool = Field(True, description="Start from weights that were trained on ImageNet.")


def run(inputs: Mapping[str, Path], outputs: Mapping[str, Path], parameters: ImageModelParameters) -> None:
    """Write the UntrainedModelDirectory."""
    check_temporary_folder()
    with quick_import("torch"):
        from pytorch_designer.models.architectures import find_architecture
        from pytorch_designer.models.saving import save_untrained_model

    architecture = find_architecture(parameters.model_name)
    save_untrained_model(outputs["untrained_model"], architecture, pretrained=parameters.pretrained)


COMPONENT = Component(
    name="image_model",
    display_name="Image Model",
    category=IMAGE_CLASSIFICATION,
    description="Makes an untrained model of any image classification architecture for Train PyTorch Model: "
    "EfficientNet, ConvNeXt, Vision Transformer, Swin, MobileNet, RegNet and all others of torchvision, and those of "
    "timm when it is installed. Pretrained weights are downloaded, verified and stored in the output, so that "
    "training needs no network.",
    inputs=(),
    outputs=(UNTRAINED_MODEL_OUTPUT,),
    parameters=ImageModelParameters,
    run=run,
)
