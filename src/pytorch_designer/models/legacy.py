"""Networks of the old designer: its two model classes, mapped to this project's architectures.

The old classes wrapped a torchvision network as `model`. Networks with ImageNet weights kept their 1000 logits and put
a linear layer, `out_linear_model`, after them. Reproducing their scores requires this stack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.errors import InvalidModelDirectoryError
from pytorch_designer.models.architectures import NUM_IMAGENET_CLASSES, Architecture, build_network

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytorch_designer.directories.model_spec import LegacyNetwork

# The old designer's pretrained weights were all torchvision's IMAGENET1K_V1.
LEGACY_PRETRAINED_PREPROCESSING = Preprocessing(resize_size=256, crop_height=224, crop_width=224)
_NETWORK_PREFIX = "model."
_STACK_PREFIX = "out_linear_model."

_DENSENETS = ("densenet121", "densenet161", "densenet169", "densenet201")
_RESNETS = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "wide_resnet50_2",
    "wide_resnet101_2",
)
# By the last part of the module path and the class name: names of networks, and their init parameter.
_CLASSES = {
    ("resnet", "ResNet"): (_RESNETS, "zero_init_residual"),
    ("densenet", "DenseNet"): (_DENSENETS, "memory_efficient"),
}
_CLASSIFICATION = ".classification."


class StackedNetwork(nn.Module):
    """A network with a linear layer after its 1000 logits: float32 images [n, 3, h, w] to logits [n, num_classes]."""

    def __init__(self, network: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.model = network
        self.out_linear_model = nn.Linear(NUM_IMAGENET_CLASSES, num_classes)

    def forward(self, images_nchw: Tensor) -> Tensor:
        """Logits [n, num_classes]."""
        logits: Tensor = self.out_linear_model(self.model(images_nchw))
        return logits


def build_stacked(architecture: Architecture, num_classes: int) -> StackedNetwork:
    """Build the stack of `architecture` and a linear layer, with random weights."""
    return StackedNetwork(build_network(architecture, NUM_IMAGENET_CLASSES), num_classes)


def is_stacked(state_dict: Mapping[str, Tensor]) -> bool:
    """True if the weights are those of a `StackedNetwork`."""
    return any(name.startswith(_STACK_PREFIX) for name in state_dict)


def legacy_architecture(network: LegacyNetwork, where: Path) -> Architecture:
    """The architecture of an old model specification.

    Raises:
        InvalidModelDirectoryError: The old designer had no such module, class or model name.
    """
    package, _, module = network.module.rpartition(_CLASSIFICATION)
    known = _CLASSES.get((module, network.class_name)) if package else None
    if known is None:
        raise InvalidModelDirectoryError(
            "The model names a class that the old designer did not have; nothing was imported.",
            where=where,
            examples=[f"{network.module}.{network.class_name}"],
            reason="unknown_class",
        )
    names, init_param = known
    if network.init_params.model_name not in names:
        raise InvalidModelDirectoryError(
            f"The old designer's {network.class_name} has no such network.",
            where=where,
            examples=[network.init_params.model_name],
            reason="unknown_architecture",
        )
    init_params = {init_param: getattr(network.init_params, init_param)}
    return Architecture(network.init_params.model_name, "torchvision", init_params)


def current_names(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An old state dict with current tensor names: a stack keeps its names, otherwise the prefix is removed."""
    if is_stacked(state_dict):
        return dict(state_dict)
    return {name.removeprefix(_NETWORK_PREFIX): tensor for name, tensor in state_dict.items()}


def unstacked(network: nn.Module) -> nn.Module:
    """The torchvision network inside a stack, or the network itself."""
    return network.model if isinstance(network, StackedNetwork) else network
