"""Classifier heads: their module path in each family, and their initialization.

    family                               head            torchvision's initialization
    ResNet, ShuffleNet, AlexNet          fc, fc, last    nn.Linear's own
    DenseNet                             classifier      nn.Linear's own, bias 0
    GoogLeNet, Inception                 fc              normal cut off at +-2, std 0.01 and 0.1
    RegNet, VGG, MobileNet, SqueezeNet   fc, last, ...   normal, std 0.01, bias 0
    EfficientNet                         last            uniform within 1 / sqrt(number of classes), bias 0
    MNASNet                              last            Kaiming uniform, fan out, sigmoid gain, bias 0
    ConvNeXt, Swin                       last, head      normal cut off at +-2, std 0.02, bias 0
    MaxVit                               last, no bias   normal, std 0.02
    VisionTransformer                    heads.head      0, bias 0

timm's networks provide their own head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytorch_designer.models.architectures import Architecture

Head = nn.Linear | nn.Conv2d
"""The one layer that gives the logits."""


def replace_head(network: nn.Module, architecture: Architecture, num_classes: int) -> None:
    """Give `network` a new classifier for `num_classes`, with weights from torch's global random number generator.

    Args:
        network: Built by `build_network` for `architecture`. Its head is replaced in place, everything else stays.
        architecture: The network's architecture.
        num_classes: At least 1.
    """
    if architecture.source == "timm":
        network.reset_classifier(num_classes)  # type: ignore[operator]  # timm's method
        return
    path, initialize = _HEADS[type(network).__name__]
    old = network.get_submodule(path)
    new: Head
    arguments: dict[str, Any] = {"bias": old.bias is not None, "device": old.weight.device, "dtype": old.weight.dtype}
    if isinstance(old, nn.Conv2d):
        new = nn.Conv2d(old.in_channels, num_classes, kernel_size=1, **arguments)
    else:
        new = nn.Linear(old.in_features, num_classes, **arguments)  # type: ignore[arg-type]  # Head is one of two
    with torch.no_grad():
        initialize(new)
    new.train(old.training)
    network.set_submodule(path, new)
    if hasattr(network, "num_classes"):
        network.num_classes = num_classes  # type: ignore[assignment]  # a plain attribute of timm and torchvision


def head_layer(network: nn.Module, architecture: Architecture) -> Head | None:
    """The one linear layer that gives the logits of `network`; None where there is no such layer (some of timm's)."""
    if architecture.source == "timm":
        head = network.get_classifier()  # type: ignore[operator]  # timm's method
    else:
        head = network.get_submodule(_HEADS[type(network).__name__][0])
    return head if isinstance(head, Head) else None


def permute_head(network: nn.Module, architecture: Architecture, order: Sequence[int]) -> bool:
    """Reorder the logits of `network`: the new logit i is the old logit `order[i]`.

    Returns:
        Whether the head could be reordered; if not (some of timm's), the network is unchanged.
    """
    head = head_layer(network, architecture)
    if head is None or head.weight.shape[0] != len(order):
        return False
    permute_rows(head, order)
    return True


def permute_rows(layer: Head, order: Sequence[int]) -> None:
    """Reorder the outputs of one layer in place: the new output i is the old output `order[i]`."""
    index = torch.tensor(order, device=layer.weight.device)
    with torch.no_grad():
        layer.weight.copy_(layer.weight[index])
        if layer.bias is not None:
            layer.bias.copy_(layer.bias[index])


def _as_constructed(layer: nn.Module) -> None:
    """Keep the constructor's initialization."""


def _zero_bias(layer: nn.Module) -> None:
    if isinstance(layer.bias, Tensor):
        nn.init.zeros_(layer.bias)


def _normal(std: float) -> Callable[[nn.Module], None]:
    def initialize(layer: nn.Module) -> None:
        nn.init.normal_(_weight(layer), std=std)
        _zero_bias(layer)

    return initialize


def _truncated_normal(std: float, *, zero_bias: bool) -> Callable[[nn.Module], None]:
    def initialize(layer: nn.Module) -> None:
        nn.init.trunc_normal_(_weight(layer), std=std)
        if zero_bias:
            _zero_bias(layer)

    return initialize


def _uniform_by_classes(layer: nn.Module) -> None:
    bound = _weight(layer).shape[0] ** -0.5
    nn.init.uniform_(_weight(layer), -bound, bound)
    _zero_bias(layer)


def _kaiming_sigmoid(layer: nn.Module) -> None:
    nn.init.kaiming_uniform_(_weight(layer), mode="fan_out", nonlinearity="sigmoid")
    _zero_bias(layer)


def _zeros(layer: nn.Module) -> None:
    nn.init.zeros_(_weight(layer))
    _zero_bias(layer)


def _weight(layer: nn.Module) -> Tensor:
    weight = layer.weight
    if not isinstance(weight, Tensor):
        raise TypeError(f"{type(layer).__name__} has no weight")
    return weight


_HEADS: dict[str, tuple[str, Callable[[nn.Module], None]]] = {
    "AlexNet": ("classifier.6", _as_constructed),
    "ConvNeXt": ("classifier.2", _truncated_normal(0.02, zero_bias=True)),
    "DenseNet": ("classifier", _zero_bias),
    "EfficientNet": ("classifier.1", _uniform_by_classes),
    "GoogLeNet": ("fc", _truncated_normal(0.01, zero_bias=False)),
    "Inception3": ("fc", _truncated_normal(0.1, zero_bias=False)),
    "MNASNet": ("classifier.1", _kaiming_sigmoid),
    "MaxVit": ("classifier.5", _normal(0.02)),
    "MobileNetV2": ("classifier.1", _normal(0.01)),
    "MobileNetV3": ("classifier.3", _normal(0.01)),
    "RegNet": ("fc", _normal(0.01)),
    "ResNet": ("fc", _as_constructed),
    "ShuffleNetV2": ("fc", _as_constructed),
    "SqueezeNet": ("classifier.1", _normal(0.01)),
    "SwinTransformer": ("head", _truncated_normal(0.02, zero_bias=True)),
    "VGG": ("classifier.6", _normal(0.01)),
    "VisionTransformer": ("heads.head", _zeros),
}
