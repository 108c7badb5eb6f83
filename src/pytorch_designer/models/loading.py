"""Model loading: from a ModelDirectory to a network to score with, or to train for the classes of a dataset."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from pytorch_designer.directories.model_spec import LegacyNetwork, Normalization, StoredNetwork
from pytorch_designer.directories.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from pytorch_designer.errors import InvalidDatasetError, InvalidModelDirectoryError
from pytorch_designer.models.architectures import (
    NUM_IMAGENET_CLASSES,
    Architecture,
    build_network,
    build_on_meta,
    check_architecture,
)
from pytorch_designer.models.heads import head_layer, permute_head, permute_rows, replace_head
from pytorch_designer.models.legacy import (
    LEGACY_PRETRAINED_PREPROCESSING,
    StackedNetwork,
    build_stacked,
    current_names,
    is_stacked,
    legacy_architecture,
    unstacked,
)
from pytorch_designer.models.weights import (
    check_tensors,
    check_weight_file,
    network_with_tensors,
    read_safetensors,
    read_state_dict,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor, nn

    from pytorch_designer.directories.model_directory import ModelDirectory
    from pytorch_designer.models.heads import Head

_log = logging.getLogger(__name__)

FORWARD_ERRORS = (RuntimeError, ValueError, AssertionError)
"""Errors that networks raise on images of a size that they do not accept."""


@dataclass(frozen=True)
class LoadedModel:
    """A model as its directory describes it.

    Attributes:
        network: float32, evaluation mode, on the CPU: images [n, 3, h, w] to logits. Without weights it is on the
            meta device: it has shapes only, and `network_for_classes` builds the one to train.
        architecture: Which network; for a stack of the old designer, the network inside.
        classes: Class names in the order of the logits; None for an untrained model.
        preprocessing: What the model does to an image; None where the dataset decides the size.
        normalization: Mean and standard deviation for this model's images, whatever their size: what it was trained
            with, else ImageNet's. An old trained model has these and no preprocessing: it scores at the images' size.
        has_weights: Whether the directory holds weights to start from. The random ones of an old untrained model are
            none: the old training drew its own too.
        is_stacked_legacy: Whether it is an old network with a Linear after its 1000 ImageNet logits.
    """

    network: nn.Module
    architecture: Architecture
    classes: tuple[str, ...] | None
    preprocessing: Preprocessing | None
    normalization: Normalization
    has_weights: bool
    is_stacked_legacy: bool

    def preprocessing_for(self, height: int, width: int) -> Preprocessing:
        """The model's preprocessing; where it has no size of its own, images of this size are taken as they are."""
        if self.preprocessing is not None:
            return self.preprocessing
        return Preprocessing(
            resize_size=None,
            crop_height=height,
            crop_width=width,
            mean=self.normalization.mean,
            std=self.normalization.std,
        )


def load_model(directory: ModelDirectory) -> LoadedModel:
    """Load an opened model, trained or not, of the old or the new layout.

    Raises:
        InvalidModelDirectoryError: The directory does not hold a usable model. Nothing in it was executed.
    """
    if isinstance(directory.spec.flavor_extras, LegacyNetwork):
        return _load_legacy(directory, directory.spec.flavor_extras)
    return _load_current(directory, directory.spec.flavor_extras)


def network_for_classes(loaded: LoadedModel, classes: Sequence[str]) -> nn.Module:
    """The network to train for `classes`, with logits in their order.

    Without weights the whole network is drawn from torch's global random number generator, with weights only the new
    head is. A trained model for the same set of classes keeps its head, reordered.

    Args:
        loaded: Its network is taken over and changed.
        classes: Class names; only `Others`, the name of every gap in the ids, may repeat.
    """
    architecture = loaded.architecture
    if not loaded.has_weights:
        return build_network(architecture, len(classes))
    if loaded.classes is not None and _keeps_head(loaded, classes):
        order = _positions(loaded.classes, classes)
        if isinstance(loaded.network, StackedNetwork):
            permute_rows(loaded.network.out_linear_model, order)
            return loaded.network
        if permute_head(loaded.network, architecture, order):
            return loaded.network
    network = unstacked(loaded.network)
    replace_head(network, architecture, len(classes))
    return network


def new_head(loaded: LoadedModel, network: nn.Module, classes: Sequence[str]) -> Head | None:
    """The classifier that `network_for_classes` has just drawn for given weights; None where there is none.

    There is none where the whole network is drawn, where the model has kept its head, and where the logits are not
    those of one linear layer, which the log says.
    """
    if not loaded.has_weights or _keeps_head(loaded, classes):
        return None
    layer = head_layer(network, loaded.architecture)
    if layer is None:
        _log.info(
            "The classifier of %s is more than one linear layer: it starts from random weights.",
            loaded.architecture.name,
        )
        return None
    return layer


def check_forward(network: nn.Module, height: int, width: int, architecture: Architecture | None = None) -> bool:
    """Check that the network takes images of this size, by a training step's forward pass on the meta device.

    Takes milliseconds and leaves weights, buffers, modes and random state as they are.

    Args:
        network: On any device.
        height: Height of the images in pixels.
        width: Width of the images in pixels.
        architecture: Named in the message.

    Returns:
        Whether it can train on a batch of one image too: batch norm over a single value cannot.

    Raises:
        InvalidDatasetError: The network does not take them.
    """
    with suppress(*FORWARD_ERRORS):
        _dry_run(network, 1, height, width)
        return True
    try:
        _dry_run(network, 2, height, width)
    except FORWARD_ERRORS as error:
        name = type(unstacked(network)).__name__ if architecture is None else architecture.name
        raise InvalidDatasetError(
            f"{name} does not take images of {height} x {width} pixels.",
            where="the size of the images",
            examples=[str(error).split("\n", maxsplit=1)[0]],
            advice="Use larger images (Init Image Transformation resizes them), or another network.",
            reason="image_size",
        ) from error
    return False


def _keeps_head(loaded: LoadedModel, classes: Sequence[str]) -> bool:
    return loaded.classes is not None and sorted(loaded.classes) == sorted(classes)


def _positions(classes: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Place in `classes` of each of `wanted`, a permutation of them; places of one name keep their order."""
    places = sorted(range(len(classes)), key=lambda place: classes[place])
    ranks = sorted(range(len(wanted)), key=lambda rank: wanted[rank])  # both sorts are stable
    position_of = dict(zip(ranks, places, strict=True))
    return [position_of[rank] for rank in range(len(wanted))]


def _dry_run(network: nn.Module, num_images: int, height: int, width: int) -> None:
    state = {
        name: torch.empty_like(tensor, device="meta")
        for name, tensor in (*network.named_parameters(), *network.named_buffers())
    }
    images_nchw = torch.empty(num_images, 3, height, width, device="meta")
    modes = {module: module.training for module in network.modules()}
    try:
        network.train()
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.func.functional_call(network, state, (images_nchw,))
    finally:
        for module, is_training in modes.items():
            module.training = is_training


def _load_current(directory: ModelDirectory, extras: StoredNetwork) -> LoadedModel:
    architecture = Architecture(extras.architecture, extras.source, extras.init_params)
    check_architecture(architecture, InvalidModelDirectoryError, directory.root)
    preprocessing = directory.spec.preprocessing()
    if directory.classes is not None and preprocessing is None:
        raise _missing_preprocessing(directory)
    has_stack = extras.head == "stacked"
    num_classes = None if directory.classes is None else len(directory.classes)
    if has_stack and (num_classes is None or architecture.source != "torchvision"):
        raise InvalidModelDirectoryError(
            "Only a trained model of the old designer has a stacked head.", where=directory.root, reason="bad_spec"
        )
    build = _builder(architecture, num_classes, has_stack=has_stack)
    weights_file = directory.weights_file
    network = on_meta = build_on_meta(build).eval()
    if weights_file is not None:
        check_weight_file(weights_file, on_meta)
        network = _network_from(weights_file, read_safetensors(weights_file), on_meta, build)
    return LoadedModel(
        network=network,
        architecture=architecture,
        classes=directory.classes,
        preprocessing=preprocessing,
        normalization=_statistics(preprocessing),
        has_weights=weights_file is not None,
        is_stacked_legacy=has_stack,
    )


def _load_legacy(directory: ModelDirectory, extras: LegacyNetwork) -> LoadedModel:
    architecture = legacy_architecture(extras, directory.root)
    normalization = directory.spec.normalization()
    if directory.classes is not None and normalization is None:
        raise _missing_preprocessing(directory)
    if directory.weights_file is None:
        raise TypeError("the old layout always has a weight file")
    num_classes = extras.init_params.num_classes if directory.classes is None else len(directory.classes)
    builders = [
        _builder(architecture, num_classes or NUM_IMAGENET_CLASSES, has_stack=has_stack) for has_stack in (False, True)
    ]
    on_meta = [build_on_meta(build) for build in builders]
    check_weight_file(directory.weights_file, *on_meta)
    tensors = current_names(read_state_dict(directory.weights_file))
    has_stack = is_stacked(tensors)
    is_pretrained_only = directory.classes is None and extras.init_params.pretrained
    preprocessing = LEGACY_PRETRAINED_PREPROCESSING if is_pretrained_only else None
    network = _network_from(directory.weights_file, tensors, on_meta[has_stack], builders[has_stack])
    has_weights = directory.classes is not None or extras.init_params.pretrained
    return LoadedModel(
        network=network if has_weights else network.to("meta"),
        architecture=architecture,
        classes=directory.classes,
        preprocessing=preprocessing,
        normalization=normalization or _statistics(preprocessing),
        has_weights=has_weights,
        is_stacked_legacy=has_stack,
    )


def _statistics(preprocessing: Preprocessing | None) -> Normalization:
    if preprocessing is None:
        return Normalization(mean=IMAGENET_MEAN, std=IMAGENET_STD)
    return Normalization(mean=preprocessing.mean, std=preprocessing.std)


def _builder(architecture: Architecture, num_classes: int | None, *, has_stack: bool) -> Callable[[], nn.Module]:
    if has_stack:
        return partial(build_stacked, architecture, num_classes or NUM_IMAGENET_CLASSES)
    return partial(build_network, architecture, num_classes)


def _network_from(
    weights_file: Path, tensors: dict[str, Tensor], on_meta: nn.Module, build: Callable[[], nn.Module]
) -> nn.Module:
    check_tensors(tensors, on_meta, weights_file)
    return network_with_tensors(on_meta, build, tensors)


def _missing_preprocessing(directory: ModelDirectory) -> InvalidModelDirectoryError:
    return InvalidModelDirectoryError(
        "The model does not say how images are normalized before they reach the network (inputs, pre_processor).",
        where=directory.root,
        reason="no_preprocessing",
    )
