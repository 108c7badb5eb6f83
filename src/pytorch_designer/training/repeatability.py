"""Repeatability check: can torch train a network on this device so that two runs give the same bits?

Most networks repeat. Some need an operation that torch computes in no fixed order on a GPU, for instance the adaptive
pooling of AlexNet and VGG. They are trained with a warning: the user of a pipeline may not be able to change its
settings, and is better served by a model than by an error.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch

from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.inference.torch_errors import torch_errors
from pytorch_designer.training.steps.step import batch_loss, kept_values

if TYPE_CHECKING:
    from pytorch_designer.inference.predictor import Predictor

_log = logging.getLogger(__name__)


def check_repeatability(predictor: Predictor) -> None:
    """Try a step; if it needs an operation that does not repeat, let torch use such operations, and warn.

    Weights, buffers and gradients are as before; random numbers are drawn. Without deterministic algorithms, or on a
    CPU, where all operations repeat, nothing is done.

    Args:
        predictor: The network to train, on its device.

    Raises:
        ModuleOutOfMemoryError: The device has too little memory for an image or two.
    """
    if not torch.are_deterministic_algorithms_enabled():
        return
    try:
        _try_step(predictor, num_images=1 if predictor.can_normalize(1) else 2)
    except UnsupportedEnvironmentError as error:
        torch.use_deterministic_algorithms(True, warn_only=True)
        reason = error.examples[0].partition(", but")[0]
        _log.warning("%s The weights of two runs may differ a little: %s.", error.what, reason)


def parameters_in_use(predictor: Predictor) -> list[str]:
    """Names of the parameters that get a gradient in a step, in the network's order.

    The others belong to layers that the network does not use in training. Weights, buffers and gradients are as before.

    Raises:
        ModuleOutOfMemoryError: The device has too little memory for an image or two.
    """
    return _try_step(predictor, num_images=1 if predictor.can_normalize(1) else 2)


def _try_step(predictor: Predictor, num_images: int) -> list[str]:
    network, sizes = predictor.network, predictor.preprocessing
    images_nchw = torch.zeros(num_images, 3, sizes.crop_height, sizes.crop_width, dtype=torch.uint8)
    labels_n = torch.zeros(num_images, dtype=torch.int64, device=predictor.compute.device)
    predictor.train_mode(num_images)
    try:
        with kept_values(network.buffers()), torch_errors(num_images):
            _, loss = batch_loss(predictor, images_nchw, labels_n)
            loss.backward()
        return [name for name, parameter in network.named_parameters() if parameter.grad is not None]
    finally:
        network.zero_grad(set_to_none=True)
