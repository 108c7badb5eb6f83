"""Steps on a CUDA GPU, which never wait for one another.

    copying stream    | batch 2 to the GPU, random steps on it | batch 3 ...
    computing stream           | step 1 ............ | step 2 ............ |
    Python            | reads batch 3 | asks for step 3 | reads what step 1 found ...

Python is a few steps ahead of the GPU, so that reading, copying and launching cost no time as long as they take less
than the steps. Whether the loss is finite is therefore told to the optimizer on the GPU, which passes over this step
and all later ones if it is not.

A step of a small batch is hundreds of short operations, each of which takes longer to launch than to compute. It is
captured once as a CUDA graph, which is launched as a whole and computes the same to the last bit. Large batches, for
which this gains nothing, do without: a graph keeps the memory of its step for the whole run.
"""

from __future__ import annotations

import logging
import warnings
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pytorch_designer.inference.torch_errors import torch_errors
from pytorch_designer.training.metrics import count_correct
from pytorch_designer.training.optimizer import start_momentum
from pytorch_designer.training.step import StepOutcome, StepRequest, batch_loss, kept_values, train_mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import Tensor, nn

    from pytorch_designer.images.augmentation import Augmentation
    from pytorch_designer.images.loader import Batch
    from pytorch_designer.inference.predictor import Predictor

_log = logging.getLogger(__name__)

MOST_CAPTURED_PIXELS = 256 * 224 * 224
"""Pixels of a batch above which a step takes longer to compute than to launch, operation by operation."""

_MOST_IN_FLIGHT = 2
_WARM_UP_STEPS = 2


@dataclass(frozen=True)
class _StepInFlight:
    """A step that the GPU has been asked for.

    Attributes:
        request: Which step.
        batch: Its images, kept until they have been copied.
        found: float64 [3] in pinned memory: loss, top 1, top 5.
        is_done: When these are there.
    """

    request: StepRequest
    batch: Batch
    found: Tensor
    is_done: torch.cuda.Event

    def wait(self) -> StepOutcome:
        self.is_done.synchronize()
        loss, top1, top5 = self.found.tolist()
        return StepOutcome(self.request, len(self.batch.labels), loss, int(top1), int(top5))


@dataclass(frozen=True)
class _CapturedStep:
    """A step as a CUDA graph, which reads its batch where it was captured."""

    graph: torch.cuda.CUDAGraph
    images_nchw: Tensor
    labels_n: Tensor
    found: Tensor

    def replay(self, images_nchw: Tensor, labels_n: Tensor) -> Tensor:
        self.images_nchw.copy_(images_nchw)
        self.labels_n.copy_(labels_n)
        self.graph.replay()
        return self.found


class GpuSteps:
    """Steps that are asked for one after the other; what they found is read two steps later.

    Args:
        predictor: The network, its preprocessing and its CUDA device. Weights and batch-norm statistics are changed.
        optimizer: Of the network's parameters, fused. From now on its learning rate is a tensor on the GPU.
        normalizes_lone_image: See `ImmediateSteps`.
        usual_sizes: Images of the batches that come again in each epoch; these are captured, unless they are large.
        augmentation: Random steps that are left to do on the images of a batch.
    """

    def __init__(
        self,
        predictor: Predictor,
        optimizer: torch.optim.SGD,
        *,
        normalizes_lone_image: bool = True,
        usual_sizes: Iterable[int] = (),
        augmentation: Augmentation | None = None,
    ) -> None:
        device = predictor.plan.device
        size = predictor.preprocessing.crop_height * predictor.preprocessing.crop_width
        self._predictor = predictor
        self._optimizer = optimizer
        self._normalizes_lone_image = normalizes_lone_image
        self._augmentation = augmentation
        sizes = () if _recomputes(predictor.network) else usual_sizes
        self._captured_sizes = {number for number in sizes if number * size <= MOST_CAPTURED_PIXELS}
        self._captured: dict[int, _CapturedStep | None] = {}
        self._pool = torch.cuda.graph_pool_handle()
        self._copying = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._in_flight: deque[_StepInFlight] = deque()
        self._learning_rate = torch.zeros((), device=device)
        self._has_diverged = torch.zeros((), device=device)
        for group in optimizer.param_groups:
            group["lr"] = self._learning_rate
        # As torch.amp.GradScaler tells a fused optimizer to pass over a step.
        optimizer.found_inf = self._has_diverged  # type: ignore[attr-defined]
        start_momentum(optimizer)

    def take(self, batch: Batch, request: StepRequest) -> list[StepOutcome]:
        """See `Steps`."""
        num_images = len(batch.labels)
        with torch_errors(num_images):
            images_nchw, labels_n = self._send(batch, request.epoch)
            captured = self._capture_once(images_nchw, labels_n) if num_images in self._captured_sizes else None
            torch.manual_seed(request.seed)
            self._learning_rate.fill_(request.learning_rate)
            compute = self._compute if captured is None else captured.replay
            found = torch.empty(3, dtype=torch.float64, pin_memory=True)
            found.copy_(compute(images_nchw, labels_n), non_blocking=True)
        is_done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        is_done.record()
        self._in_flight.append(_StepInFlight(request, batch, found, is_done))
        return [self._in_flight.popleft().wait() for _ in range(len(self._in_flight) - _MOST_IN_FLIGHT)]

    def settle(self) -> list[StepOutcome]:
        """See `Steps`."""
        outcomes = [step.wait() for step in self._in_flight]
        self._in_flight.clear()
        return outcomes

    def _send(self, batch: Batch, epoch: int) -> tuple[Tensor, Tensor]:
        """Images and labels on the GPU, copied and augmented beside the step that is being computed."""
        computing = torch.cuda.current_stream()
        with torch.cuda.stream(self._copying):
            images_nchw, labels_n = self._predictor.send(batch.images), self._predictor.send(batch.labels)
            if self._augmentation is not None:
                images_nchw = self._augmentation.draw_batch(images_nchw, epoch=epoch, rows=batch.indices)
        computing.wait_stream(self._copying)
        for tensor in (images_nchw, labels_n):
            tensor.record_stream(computing)
        return images_nchw, labels_n

    def _compute(self, images_nchw: Tensor, labels_n: Tensor) -> Tensor:
        """Take a step; loss, top 1 and top 5 as float64 [3] on the GPU."""
        train_mode(self._predictor.network, normalizes_batch=len(labels_n) > 1 or self._normalizes_lone_image)
        logits_nk, loss = batch_loss(self._predictor, images_nchw, labels_n)
        is_bad = (~loss.detach().isfinite()).to(self._has_diverged.dtype)
        self._has_diverged.copy_(torch.maximum(self._has_diverged, is_bad))
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        counts = count_correct(logits_nk.detach(), labels_n)
        return torch.cat([loss.detach().double()[None], counts.double()])

    def _capture_once(self, images_nchw: Tensor, labels_n: Tensor) -> _CapturedStep | None:
        """The step for batches of this size as a graph; None where the network cannot be captured."""
        num_images = len(labels_n)
        if num_images not in self._captured:
            can_be_captured = self._warm_up(images_nchw, labels_n)
            self._captured[num_images] = self._capture(images_nchw, labels_n) if can_be_captured else None
        return self._captured[num_images]

    def _capture(self, images_nchw: Tensor, labels_n: Tensor) -> _CapturedStep:
        images_nchw, labels_n = images_nchw.clone(), labels_n.clone()
        graph = torch.cuda.CUDAGraph()
        # Only this thread keeps from calls that cannot be captured: others go on reading into pinned memory.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            found = self._compute(images_nchw, labels_n)
        return _CapturedStep(graph, images_nchw, labels_n, found)

    def _warm_up(self, images_nchw: Tensor, labels_n: Tensor) -> bool:
        """Compute steps that change nothing: what libraries set up when they are first called cannot be captured.

        Returns:
            Whether the network never waits for the GPU, as a graph cannot hold that. A capture that fails leaves torch
            unusable, so that it is not tried.
        """
        with kept_values([*self._predictor.network.buffers(), self._has_diverged]):
            self._has_diverged.fill_(1.0)
            computing = torch.cuda.current_stream()
            beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            beside.wait_stream(computing)
            with torch.cuda.stream(beside):
                for _ in range(_WARM_UP_STEPS):
                    self._compute(images_nchw, labels_n)
                never_waits = _never_waits(lambda: self._compute(images_nchw, labels_n))
            computing.wait_stream(beside)
        self._optimizer.zero_grad(set_to_none=True)
        return never_waits


def _recomputes(network: nn.Module) -> bool:
    """Whether parts of the network are computed again for their gradients.

    They are to draw the same random numbers again, whose state cannot be read while a graph is captured.
    """
    return any(
        getattr(module, "memory_efficient", False) or getattr(module, "grad_checkpointing", False)
        for module in network.modules()
    )


def _never_waits(compute: Callable[[], object]) -> bool:
    mode = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
        torch.cuda.set_sync_debug_mode("error")
    try:
        compute()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        _log.info("The steps are not captured as a CUDA graph, and take longer: %s", str(error).split("\n")[0])
        return False
    finally:
        torch.cuda.set_sync_debug_mode(mode)
    return True
