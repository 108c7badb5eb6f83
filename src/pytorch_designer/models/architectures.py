"""Network architectures by name: torchvision's classifiers, and timm's if it is installed.

All names from files and parameters are looked up here. Only known names and arguments are passed to a library, because
timm would also load files and download from hubs on request.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from math import ceil
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.errors import DesignerError, ParameterParsingError, shorten

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

NUM_IMAGENET_CLASSES = 1000
TIMM_PREFIX = "timm/"

_RESNETS = ("resnet", "resnext", "wide_resnet")
_WITH_AUXILIARY_HEADS = ("inception_v3", "googlenet")
_INIT_PARAMS: dict[str, tuple[type, tuple[str, ...]]] = {
    "zero_init_residual": (bool, _RESNETS),
    "memory_efficient": (bool, ("densenet",)),
    "transform_input": (bool, _WITH_AUXILIARY_HEADS),
    "image_size": (int, ("vit_",)),
}
# Networks whose parameters depend on the image size, and torchvision's default size.
_FIXED_SIZES = {"vit_": 224, "maxvit_": 224}
# For these, torchvision's `min_size` is the training size of the weights; the networks accept smaller images.
_MINIMUM_SIZES = {"swin_": 4, "efficientnet_v2_": 1}
_TIMM_FALLBACK_MINIMUM = (32, 32)
_MAX_IMAGE_SIZE = 4096


@dataclass(frozen=True)
class Architecture:
    """A network architecture.

    Attributes:
        name: Model name in torchvision or timm.
        source: The library.
        init_params: Constructor arguments other than the number of classes; see `check_architecture`.
    """

    name: str
    source: Literal["torchvision", "timm"] = "torchvision"
    init_params: Mapping[str, Any] = field(default_factory=dict, hash=False)


@lru_cache(maxsize=1)
def architecture_names() -> tuple[str, ...]:
    """All image classification architectures of torchvision, sorted."""
    import torchvision

    return tuple(sorted(torchvision.models.list_models(module=torchvision.models)))


def find_architecture(name: str) -> Architecture:
    """The architecture of a model name: torchvision's, or timm's with the prefix `timm/`.

    Raises:
        ParameterParsingError: The name is unknown; similar names are listed.
    """
    is_timm = name.startswith(TIMM_PREFIX)
    architecture = Architecture(name.removeprefix(TIMM_PREFIX), "timm" if is_timm else "torchvision")
    check_architecture(architecture, ParameterParsingError, "model_name")
    return architecture


def check_architecture(architecture: Architecture, error: type[DesignerError], where: Path | str | None = None) -> None:
    """Check that `build_network` can build an architecture.

    Raises:
        error: The name is unknown, timm is not installed, or the network has no such init parameter.
    """
    if architecture.source == "timm":
        _check_timm_name(architecture.name, error, where)
    elif architecture.name not in architecture_names():
        raise error(
            f"There is no architecture {shorten(architecture.name, 80)!r} in torchvision.",
            where=where,
            examples=difflib.get_close_matches(architecture.name, architecture_names(), n=5),
            advice="Use a name of torchvision.models, or timm/ and a name of timm.",
            reason="unknown_architecture",
        )
    unknown = [name for name, value in architecture.init_params.items() if not _is_known(architecture, name, value)]
    if unknown:
        raise error(
            f"{architecture.name} does not accept these init parameters or their values.",
            where=where,
            examples=[f"{name}: {architecture.init_params[name]!r}" for name in unknown],
            reason="bad_init_params",
        )


def build_network(
    architecture: Architecture, num_classes: int | None, image_size: tuple[int, int] | None = None
) -> nn.Module:
    """Build the network with random weights from torch's global random number generator.

    Args:
        architecture: An architecture that has passed `check_architecture`.
        num_classes: Number of logits; None for that of the published weights.
        image_size: Height and width for networks with a fixed size (`vit_*`), instead of their default. Other networks
            ignore it.

    Returns:
        In training mode: float32 images [n, 3, h, w] to logits [n, num_classes]. Auxiliary heads are off.
    """
    if architecture.source == "timm":
        import timm

        head = {} if num_classes is None else {"num_classes": num_classes}
        network: nn.Module = timm.create_model(architecture.name, pretrained=False, **head)
        return network.train()
    import torchvision

    arguments: dict[str, Any] = dict(architecture.init_params)
    if architecture.name in _WITH_AUXILIARY_HEADS:
        arguments |= {"aux_logits": False, "init_weights": True}
    if image_size is not None and architecture.name.startswith("vit_"):
        arguments["image_size"] = image_size[0]
    arguments["num_classes"] = num_classes or NUM_IMAGENET_CLASSES
    network = torchvision.models.get_model(architecture.name, weights=None, **arguments)
    return network.train()


def build_on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """The network that `build` returns, on the meta device: with shapes, without memory or random numbers."""
    with torch.random.fork_rng(devices=[]), _ParametersOnMeta():
        return build().to("meta")


def pretrained_architecture(architecture: Architecture) -> Architecture:
    """The architecture with the init parameters that torchvision uses for its default weights."""
    if architecture.source == "timm":
        return architecture
    extra: dict[str, Any] = {}
    if architecture.name in _WITH_AUXILIARY_HEADS:
        extra["transform_input"] = True
    if architecture.name.startswith("vit_"):
        extra["image_size"] = _torchvision_weights(architecture).meta["min_size"][0]
    return Architecture(architecture.name, architecture.source, {**architecture.init_params, **extra})


def default_preprocessing(architecture: Architecture, pretrained: bool) -> Preprocessing | None:
    """Default preprocessing of a network.

    Args:
        architecture: The architecture.
        pretrained: Whether the network has its published weights.

    Returns:
        For published weights, the preprocessing of their evaluation. Otherwise the size of a network with a fixed size,
        and None if the dataset may determine the size.
    """
    if architecture.source == "timm":
        return _timm_preprocessing(architecture, pretrained)
    if not pretrained:
        size = _fixed_size(architecture)
        return None if size is None else Preprocessing(resize_size=size, crop_height=size, crop_width=size)
    preset = _torchvision_weights(architecture).transforms()
    return Preprocessing(
        resize_size=preset.resize_size[0],
        crop_height=preset.crop_size[0],
        crop_width=preset.crop_size[0],
        interpolation=preset.interpolation.value,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )


def minimum_image_size(architecture: Architecture) -> tuple[int, int]:
    """The smallest height and width that the network accepts; the size itself for a network with a fixed size."""
    if architecture.source == "timm":
        config = _timm_config(architecture)
        if config.fixed_input_size:
            return tuple(config.input_size[1:])
        return tuple(config.min_input_size[1:]) if config.min_input_size else _TIMM_FALLBACK_MINIMUM
    size = _fixed_size(architecture)
    if size is None:
        size = next((least for prefix, least in _MINIMUM_SIZES.items() if architecture.name.startswith(prefix)), None)
    if size is not None:
        return (size, size)
    height, width = _torchvision_weights(architecture).meta["min_size"]
    return (height, width)


class _ParametersOnMeta(TorchFunctionMode):
    """Creates parameters on the meta device.

    `torch.device("meta")` would also move the tensors from which RegNet computes its widths.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        arguments = dict(kwargs or {})
        if func is torch.Tensor.normal_ and args[0].is_meta:  # no memory to fill, but torch would spend time in Python
            return args[0]
        if func is torch.empty and arguments.get("device") is None:
            arguments["device"] = "meta"
        return func(*args, **arguments)


def _is_known(architecture: Architecture, name: str, value: Any) -> bool:
    if architecture.source != "torchvision" or name not in _INIT_PARAMS:
        return False
    expected_type, prefixes = _INIT_PARAMS[name]
    has_type = type(value) is expected_type
    is_its_own = architecture.name.startswith(prefixes)
    return has_type and is_its_own and (name != "image_size" or _takes_size(architecture, value))


def _takes_size(vision_transformer: Architecture, image_size: int) -> bool:
    patch_size = int(vision_transformer.name.rpartition("_")[2])  # vit_b_16 cuts images into patches of 16 pixels
    return 0 < image_size <= _MAX_IMAGE_SIZE and image_size % patch_size == 0


def _fixed_size(architecture: Architecture) -> int | None:
    default = next((size for prefix, size in _FIXED_SIZES.items() if architecture.name.startswith(prefix)), None)
    size: int | None = architecture.init_params.get("image_size", default)
    return size


def _torchvision_weights(architecture: Architecture) -> Any:
    import torchvision

    return torchvision.models.get_model_weights(architecture.name).DEFAULT


def _check_timm_name(name: str, error: type[DesignerError], where: Path | str | None) -> None:
    if find_spec("timm") is None:
        raise error(
            f"The model {shorten(name, 80)!r} needs timm, which is not installed.",
            where=where,
            advice="Install it with `pip install timm`.",
            reason="no_timm",
        )
    from timm.models import is_model, is_model_pretrained, list_models

    # A name with a tag ("resnet50.a1_in1k") must be a published one; schemes such as hf-hub: are not accepted.
    if not is_model(name) or ("." in name and not is_model_pretrained(name)):
        raise error(
            f"There is no model {shorten(name, 80)!r} in timm.",
            where=where,
            examples=difflib.get_close_matches(name, list_models(), n=5),
            advice="Use a name that timm.list_models() lists.",
            reason="unknown_architecture",
        )


def _timm_config(architecture: Architecture) -> Any:
    from timm.models import PretrainedCfg, get_pretrained_cfg

    return get_pretrained_cfg(architecture.name) or PretrainedCfg(input_size=(3, 224, 224))


def _timm_preprocessing(architecture: Architecture, pretrained: bool) -> Preprocessing | None:
    config = _timm_config(architecture)
    _, height, width = config.input_size
    if pretrained:
        return Preprocessing(
            resize_size=ceil(min(height, width) / config.crop_pct),
            crop_height=height,
            crop_width=width,
            interpolation="bilinear" if config.interpolation == "bilinear" else "bicubic",
            mean=tuple(config.mean),
            std=tuple(config.std),
        )
    if config.fixed_input_size:
        return Preprocessing(resize_size=min(height, width), crop_height=height, crop_width=width)
    return None
