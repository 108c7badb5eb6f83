"""The forward pass that validation, scoring and serving share, so that they agree to the last bit."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch

from pytorch_designer.images.preprocess import normalize
from pytorch_designer.inference.adaptive_pooling import pool_in_fixed_order
from pytorch_designer.inference.single_pixel import multiply_single_pixels
from pytorch_designer.inference.torch_errors import torch_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

    from pytorch_designer.directories.preprocessing import Preprocessing
    from pytorch_designer.inference.compute import ComputePlan

BatchT = TypeVar("BatchT")

_PIXELS_A_BATCH = 64 * 224 * 224
_MAX_BATCH = 256


class Predictor:
    """A network with its preprocessing on its device.

    Args:
        network: Maps float32 images [n, 3, h, w] to logits [n, k]. Moved to the plan's device and layout; on a CPU its
            convolutions are made to multiply single pixels, on a GPU its pooling to repeat bit for bit.
        preprocessing: What the network was trained with.
        plan: Device and precision.
    """

    def __init__(self, network: nn.Module, preprocessing: Preprocessing, plan: ComputePlan) -> None:
        self.network: nn.Module = network.to(device=plan.device, memory_format=plan.memory_format)  # type: ignore[call-overload]
        if plan.device.type == "cpu":
            multiply_single_pixels(self.network)
        elif plan.device.type == "cuda" and plan.is_deterministic:
            pool_in_fixed_order(self.network)
        self.preprocessing = preprocessing
        self.plan = plan

    def send(self, tensor: Tensor) -> Tensor:
        """A tensor on the device. To a GPU it is copied out of pinned memory, which the caller does not wait for."""
        if self.plan.device.type == "cuda" and tensor.device.type == "cpu":
            pinned = tensor if tensor.is_pinned() else tensor.pin_memory()
            return pinned.to(self.plan.device, non_blocking=True)
        return tensor.to(self.plan.device)

    def prepare(self, images_nchw: Tensor) -> Tensor:
        """uint8 images [n, 3, h, w] as the normalised float32 input of the network, on its device."""
        images_nchw = self.send(images_nchw).contiguous(memory_format=self.plan.memory_format)
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

        A GPU computes them while the batch before is in use and the next one is read.

        Args:
            batches: With at least one image each.
            images_of: The images of a batch, uint8 [n, 3, h, w].
            errors: Gives the errors of a forward pass of these images their names; None: `torch_errors` does.

        Raises:
            ModuleOutOfMemoryError: The device has too little memory for a batch.
        """
        most_ahead = int(self.plan.device.type == "cuda")
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
        with self.plan.autocast():
            logits_nk: Tensor = self.network(self.prepare(images_nchw))
        if self.plan.device.type != "cuda":
            return _PendingLogits(logits_nk.float().cpu(), None)
        on_cpu = torch.empty(logits_nk.shape, dtype=torch.float32, pin_memory=True)
        on_cpu.copy_(logits_nk, non_blocking=True)
        is_there = torch.cuda.Event()  # type: ignore[no-untyped-call]
        is_there.record()
        return _PendingLogits(on_cpu, is_there)


@dataclass(frozen=True)
class _PendingLogits:
    """Logits float32 [n, k] on the CPU, which are there once the event has passed; at once without one."""

    logits_nk: Tensor
    is_there: torch.cuda.Event | None

    def wait(self) -> Tensor:
        if self.is_there is not None:
            self.is_there.synchronize()
        return self.logits_nk


def inference_batch_size(preprocessing: Preprocessing) -> int:
    """Images a forward pass without gradients; depends on the image size alone, so that results repeat."""
    num_pixels = preprocessing.crop_height * preprocessing.crop_width
    return max(1, min(_MAX_BATCH, _PIXELS_A_BATCH // num_pixels))
