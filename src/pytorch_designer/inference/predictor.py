"""The forward pass that validation, scoring and serving share, so that they agree to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pytorch_designer.images.preprocess import normalize
from pytorch_designer.inference.single_pixel import multiply_single_pixels

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pytorch_designer.directories.preprocessing import Preprocessing
    from pytorch_designer.inference.compute import ComputePlan

_PIXELS_A_BATCH = 64 * 224 * 224
_MAX_BATCH = 256


class Predictor:
    """A network with its preprocessing on its device.

    Args:
        network: Maps float32 images [n, 3, h, w] to logits [n, k]. Moved to the plan's device and layout; on a CPU its
            convolutions are made to multiply single pixels.
        preprocessing: What the network was trained with.
        plan: Device and precision.
    """

    def __init__(self, network: nn.Module, preprocessing: Preprocessing, plan: ComputePlan) -> None:
        self.network: nn.Module = network.to(device=plan.device, memory_format=plan.memory_format)  # type: ignore[call-overload]
        if plan.device.type == "cpu":
            multiply_single_pixels(self.network)
        self.preprocessing = preprocessing
        self.plan = plan

    def prepare(self, images_nchw: Tensor) -> Tensor:
        """uint8 images [n, 3, h, w] as the normalised float32 input of the network, on its device."""
        if self.plan.device.type == "cuda":
            images_nchw = images_nchw.pin_memory().to(self.plan.device, non_blocking=True)
        images_nchw = images_nchw.to(device=self.plan.device, memory_format=self.plan.memory_format)
        return normalize(images_nchw, self.preprocessing)

    @torch.inference_mode()
    def logits(self, images_nchw: Tensor) -> Tensor:
        """Logits float32 [n, k] on the CPU for uint8 images [n, 3, h, w]."""
        self.network.eval()
        with self.plan.autocast():
            logits_nk: Tensor = self.network(self.prepare(images_nchw))
        return logits_nk.float().cpu()


def inference_batch_size(preprocessing: Preprocessing) -> int:
    """Images a forward pass without gradients; depends on the image size alone, so that results repeat."""
    num_pixels = preprocessing.crop_height * preprocessing.crop_width
    return max(1, min(_MAX_BATCH, _PIXELS_A_BATCH // num_pixels))
