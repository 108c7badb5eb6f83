"""Whether torch can train a network on this device so that two runs give the same bits; if not, it is said.

Torchvision's networks all repeat. Others may need an operation that torch has in no fixed order on a GPU: to train
them all the same is worth more to the user of a pipeline, who may not be able to change its settings, than an error.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch

from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.inference.torch_errors import torch_errors
from pytorch_designer.training.step import batch_loss, kept_values, train_mode

if TYPE_CHECKING:
    from pytorch_designer.inference.predictor import Predictor

_log = logging.getLogger(__name__)


def settle_repeatability(predictor: Predictor, *, normalizes_lone_image: bool) -> None:
    """Try a step; where that needs an operation that does not repeat, let torch use such operations, and warn.

    Weights, buffers and gradients are as before; random numbers are drawn. Without deterministic algorithms, or on a
    CPU, where all operations repeat, nothing is done.

    Args:
        predictor: The network to be trained, on its device.
        normalizes_lone_image: Whether batch norm takes a batch of one image.

    Raises:
        ModuleOutOfMemoryError: The device has too little memory for an image or two.
    """
    if not torch.are_deterministic_algorithms_enabled():
        return
    try:
        _try_step(predictor, num_images=1 if normalizes_lone_image else 2)
    except UnsupportedEnvironmentError as error:
        torch.use_deterministic_algorithms(True, warn_only=True)
        reason = error.examples[0].partition(", but")[0]
        _log.warning("%s The weights of two runs may differ a little: %s.", error.what, reason)


def _try_step(predictor: Predictor, num_images: int) -> None:
    network, sizes = predictor.network, predictor.preprocessing
    images_nchw = torch.zeros(num_images, 3, sizes.crop_height, sizes.crop_width, dtype=torch.uint8)
    labels_n = torch.zeros(num_images, dtype=torch.int64, device=predictor.plan.device)
    train_mode(network, normalizes_batch=True)
    try:
        with kept_values(network.buffers()), torch_errors(num_images):
            _, loss = batch_loss(predictor, images_nchw, labels_n)
            loss.backward()  # type: ignore[no-untyped-call]
    finally:
        network.zero_grad(set_to_none=True)
