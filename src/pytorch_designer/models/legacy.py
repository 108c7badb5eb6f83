"""Networks of the old designer: its two classes, as this project's architectures.

The old classes wrapped a torchvision network as `model`. One that started from ImageNet weights kept its 1000 logits
and put a Linear, `out_linear_model`, after them; to score as it did, that stack has to be kept.
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

# All of the old designer's pretrained weights were torchvision's first ones.
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
# By the end of the module's path and the class: names of networks, and the init parameter that is theirs.
_CLASSES = {
    ("resnet", "ResNet"): (_RESNETS, "zero_init_residual"),
    ("densenet", "DenseNet"): (_DENSENETS, "memory_efficient"),
}
_CLASSIFICATION = ".classification."


class StackedNetwork(nn.Module):
    """A network with a Linear after its ImageNet logits: float32 images [n, 3, h, w] to logits [n, num_classes]."""

    def __init__(self, network: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.model = network
        self.out_linear_model = nn.Linear(NUM_IMAGENET_CLASSES, num_classes)

    def forward(self, images_nchw: Tensor) -> Tensor:
        """Logits [n, num_classes]."""
        logits: Tensor = self.out_linear_model(self.model(images_nchw))
        return logits


def build_stacked(architecture: Architecture, num_classes: int) -> StackedNetwork:
    """The stack of `architecture` with 1000 logits and a Linear, with random weights."""
    return StackedNetwork(build_network(architecture, NUM_IMAGENET_CLASSES), num_classes)


def is_stacked(state_dict: Mapping[str, Tensor]) -> bool:
    """Whether the weights are those of a `StackedNetwork`."""
    return any(name.startswith(_STACK_PREFIX) for name in state_dict)


def legacy_architecture(network: LegacyNetwork, where: Path) -> Architecture:
    """The architecture that an old model specification means.

    Raises:
        InvalidModelDirectoryError: Its module, class or model name is none of the old designer's.
    """
    package, _, module = network.module.rpartition(_CLASSIFICATION)
    known = _CLASSES.get((module, network.class_name)) if package else None
    if known is None:
        raise InvalidModelDirectoryError(
            "The model names a class that is none of the old designer's; nothing was imported.",
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
    """An old state dict under the names of today's network: a stack keeps its names, else the prefix goes."""
    if is_stacked(state_dict):
        return dict(state_dict)
    return {name.removeprefix(_NETWORK_PREFIX): tensor for name, tensor in state_dict.items()}


def unstacked(network: nn.Module) -> nn.Module:
    """The torchvision network inside a stack, or the network itself."""
    return network.model if isinstance(network, StackedNetwork) else network
