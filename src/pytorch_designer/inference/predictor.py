"""Predictor: the forward pass that training, validation and scoring share, so that they agree to the last bit."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from pytorch_designer.images.preprocess import normalize
from pytorch_designer.inference.single_pixel import multiply_single_pixels
from pytorch_designer.inference.torch_errors import torch_errors
from pytorch_designer.models.batch_norm import batch_norms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from torch import Tensor

    from pytorch_designer.directories.preprocessing import Preprocessing
    from pytorch_designer.inference.compute import Compute

BatchT = TypeVar("BatchT")

_PIXELS_PER_BATCH = 64 * 224 * 224
_MAX_BATCH = 256


class Predictor:
    """A network with its preprocessing on its device.

    Args:
        network: Maps float32 images [n, 3, h, w] to logits [n, k]. Moved to the device and layout of `compute`; on a
            CPU, its convolutions multiply single pixels as matrices.
        preprocessing: What the network was trained with.
        compute: Device and precision.
        normalizes_lone_image: Whether batch norm can take its statistics from a batch of one image in training. It
            cannot where it sees one value per channel.
        keeps_statistics: Whether batch norm normalizes by its running statistics in training, too, and does not
            estimate them.
    """

    def __init__(
        self,
        network: nn.Module,
        preprocessing: Preprocessing,
        compute: Compute,
        *,
        normalizes_lone_image: bool = True,
        keeps_statistics: bool = False,
    ) -> None:
        self.network: nn.Module = network.to(  # type: ignore[call-overload]  # both at once are not in the stubs
            device=compute.device, memory_format=compute.memory_format
        )
        if compute.device.type == "cpu":
            multiply_single_pixels(self.network)
        self.preprocessing = preprocessing
        self.compute = compute
        self._normalizes_lone_image = normalizes_lone_image
        self.keeps_statistics = keeps_statistics

    def can_normalize(self, num_images: int) -> bool:
        """True if batch norm takes its statistics from a training batch of so many images."""
        return not self.keeps_statistics and (num_images > 1 or self._normalizes_lone_image)

    def train_mode(self, num_images: int) -> None:
        """Put the network in training mode for a batch of `num_images` images.

        Where batch norm does not take its statistics from the batch, it normalizes by the running statistics.
        """
        self.network.train()
        if not self.can_normalize(num_images):
            for norm in batch_norms(self.network):
                norm.eval()

    def send(self, tensor: Tensor) -> Tensor:
        """A tensor on the device. To a GPU it is copied out of pinned memory, which the caller does not wait for."""
        if self.compute.device.type == "cuda" and tensor.device.type == "cpu":
            pinned = tensor if tensor.is_pinned() else tensor.pin_memory()
            return pinned.to(self.compute.device, non_blocking=True)
        return tensor.to(self.compute.device)

    def prepare(self, images_nchw: Tensor) -> Tensor:
        """uint8 images [n, 3, h, w] as the normalized float32 input of the network, on its device."""
        images_nchw = self.send(images_nchw).contiguous(memory_format=self.compute.memory_format)
        return normalize(images_nchw, self.preprocessing)

    def logits(self, images_nchw: Tensor) -> Tensor:
        """Logits float32 [n, k] on the CPU for uint8 images [n, 3, h, w]."""
        return self._start(images_nchw).wait()

    def logits_in_turn(
        self,
        batches: Iterable[BatchT],
        images_of: Callable[[BatchT], Tensor],
        *,
        errors: Callable[[Tensor], AbstractContextManager[object]] | None = None,
    ) -> Iterator[tuple[BatchT, Tensor]]:
        """Yield each batch with its logits, float32 [n, k] on the CPU.

        A GPU computes them while the previous batch is in use and the next one is read.

        Args:
            batches: With at least one image each.
            images_of: The images of a batch, uint8 [n, 3, h, w].
            errors: Names the errors of a forward pass of these images; None: `torch_errors` does.

        Raises:
            ModuleOutOfMemoryError: The device has too little memory for a batch.
        """
        most_ahead = int(self.compute.device.type == "cuda")
        started: deque[tuple[BatchT, _PendingLogits]] = deque()
        for batch in batches:
            images_nchw = images_of(batch)
            with torch_errors(len(images_nchw)) if errors is None else errors(images_nchw):
                started.append((batch, self._start(images_nchw)))
            if len(started) > most_ahead:
                first, logits = started.popleft()
                yield first, logits.wait()
        for first, logits in started:
            yield first, logits.wait()

    @torch.inference_mode()
    def _start(self, images_nchw: Tensor) -> _PendingLogits:
        self.network.eval()
        with self.compute.autocast():
            logits_nk: Tensor = self.network(self.prepare(images_nchw))
        if self.compute.device.type != "cuda":
            return _PendingLogits(logits_nk.float().cpu(), None)
        on_cpu = torch.empty(logits_nk.shape, dtype=torch.float32, pin_memory=True)
        on_cpu.copy_(logits_nk, non_blocking=True)
        is_ready = torch.cuda.Event()
        is_ready.record()
        return _PendingLogits(on_cpu, is_ready)


@dataclass(frozen=True)
class _PendingLogits:
    """Logits float32 [n, k] on the CPU, valid after the event; without an event at once."""

    logits_nk: Tensor
    is_ready: torch.cuda.Event | None

    def wait(self) -> Tensor:
        if self.is_ready is not None:
            self.is_ready.synchronize()
        return self.logits_nk


def inference_batch_size(preprocessing: Preprocessing) -> int:
    """Images per forward pass without gradients; depends only on the image size, so that results repeat."""
    num_pixels = preprocessing.crop_height * preprocessing.crop_width
    return max(1, min(_MAX_BATCH, _PIXELS_PER_BATCH // num_pixels))
