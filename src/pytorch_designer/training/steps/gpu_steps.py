"""Training steps on a CUDA GPU, launched ahead of their results.

    copying stream    | batch 2 to the GPU, its random transforms | batch 3 ...
    computing stream           | step 1 ............ | step 2 ............ |
    Python            | reads batch 3 | launches step 3 | reads the outcome of step 1 ...

Python is a few steps ahead of the GPU, so that reading, copying and launching cost no time as long as they take less
than the steps. The GPU itself therefore tells the optimizer whether the loss is finite. If it is not, the optimizer
skips this step and all later ones.

A step of a small batch is hundreds of short operations, each of which takes longer to launch than to compute. It is
captured once as a CUDA graph, which is launched as a whole and computes the same to the last bit. Large batches gain
nothing from a graph and are not captured: a graph keeps the memory of its step for the whole run.

Several processes take a step in three parts. Forward and backward pass are captured as one graph, the optimizer's step
as another, and the sums over the processes are launched between them, in no graph: whether a graph holds an exchange
must be the same in all processes, and a bad file can make the batch of one of them an odd one.
"""

from __future__ import annotations

import logging
import warnings
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from pytorch_designer.inference.torch_errors import torch_errors
from pytorch_designer.training.history import count_correct
from pytorch_designer.training.steps.step import MEMORY_ADVICE, StepOutcome, StepRequest, batch_loss, kept_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from torch import Tensor, nn

    from pytorch_designer.distributed.gradients import FlatGradients
    from pytorch_designer.images.augmentation import Augmentation
    from pytorch_designer.images.loader import Batch
    from pytorch_designer.inference.predictor import Predictor
    from pytorch_designer.training.steps.near_steps import NearSteps

_log = logging.getLogger(__name__)

MOST_CAPTURED_PIXELS = 256 * 224 * 224
"""Pixels of a batch above which a step takes longer to compute than to launch, operation by operation."""

_MOST_IN_FLIGHT = 2
_WARM_UP_STEPS = 2


@dataclass(frozen=True)
class _StepInFlight:
    """A step that was launched on the GPU.

    Attributes:
        request: The step.
        batch: Its images, kept until they have been copied.
        metrics: float64 [3] in pinned memory: loss, top 1, top 5.
        is_done: Event after which `metrics` are known.
    """

    request: StepRequest
    batch: Batch
    metrics: Tensor
    is_done: torch.cuda.Event

    def wait(self) -> StepOutcome:
        self.is_done.synchronize()
        loss, top1, top5 = self.metrics.tolist()
        num_images = self.request.num_images or len(self.batch.labels)
        return StepOutcome(self.request, num_images, loss, int(top1), int(top5))


@dataclass(frozen=True)
class _CapturedStep:
    """A step, or its gradients, as a CUDA graph, which reads its batch from the tensors that it was captured with."""

    graph: torch.cuda.CUDAGraph
    images_nchw: Tensor
    labels_n: Tensor
    metrics: Tensor

    def replay(self, images_nchw: Tensor, labels_n: Tensor) -> Tensor:
        self.images_nchw.copy_(images_nchw)
        self.labels_n.copy_(labels_n)
        self.graph.replay()
        return self.metrics


@dataclass(frozen=True)
class _CapturedUpdate:
    """The optimizer's step as a CUDA graph, by the gradients that are in their places."""

    graph: torch.cuda.CUDAGraph
    metrics: Tensor

    def replay(self) -> Tensor:
        self.graph.replay()
        return self.metrics


class GpuStepper:
    """Stepper that launches one step after the other, and returns their outcomes two steps later.

    Args:
        predictor: The network, its preprocessing and its CUDA device. Weights and batch-norm statistics are changed.
        optimizer: Of the network's parameters, fused. From now on its learning rate is a tensor on the GPU.
        usual_sizes: Numbers of images of the batches that recur in each epoch; these are captured, unless they are
            large.
        augmentation: Random transforms that are left to apply to the images of a batch.
        near_steps: Takes the steps of a run that stays near given weights; None: the optimizer alone does.
        gradients: Those that several processes sum; None for one process.
    """

    def __init__(
        self,
        predictor: Predictor,
        optimizer: torch.optim.SGD,
        *,
        usual_sizes: Iterable[int] = (),
        augmentation: Augmentation | None = None,
        near_steps: NearSteps | None = None,
        gradients: FlatGradients | None = None,
    ) -> None:
        device = predictor.compute.device
        size = predictor.preprocessing.crop_height * predictor.preprocessing.crop_width
        self._predictor = predictor
        self._optimizer = optimizer
        self._augmentation = augmentation
        self._near_steps = near_steps
        self._gradients = gradients
        self._share = torch.ones((), device=device)
        self._captured_update: _CapturedUpdate | None = None
        sizes = () if _recomputes(predictor.network) else usual_sizes
        self._captured_sizes = {number for number in sizes if number * size <= MOST_CAPTURED_PIXELS}
        self._captured: dict[int, _CapturedStep | None] = {}
        self._pool = torch.cuda.graph_pool_handle()
        self._copying = torch.cuda.Stream(device)
        self._in_flight: deque[_StepInFlight] = deque()
        self._learning_rate = torch.zeros((), device=device)
        self._has_diverged = torch.zeros((), device=device)
        for group in optimizer.param_groups:
            group["lr"] = self._learning_rate
        # As torch.amp.GradScaler tells a fused optimizer to skip a step.
        optimizer.found_inf = self._has_diverged  # type: ignore[attr-defined]  # fused optimizers read it
        _start_momentum(optimizer)

    def step(self, batch: Batch, request: StepRequest) -> list[StepOutcome]:
        """See `Stepper`."""
        num_images = len(batch.labels)
        with torch_errors(num_images, advice=MEMORY_ADVICE):
            self._share.fill_(request.share(batch))
            captured, sent = None, None
            if num_images:
                sent = self._send(batch, request.epoch)
                captured = self._capture_once(*sent) if num_images in self._captured_sizes else None
            torch.manual_seed(request.seed)
            self._learning_rate.fill_(request.learning_rate)
            if self._gradients is not None:
                found = self._take_shared(self._gradients, sent, captured)
            else:
                assert sent is not None
                found = self._compute(*sent) if captured is None else captured.replay(*sent)
            metrics = torch.empty(3, dtype=torch.float64, pin_memory=True)
            metrics.copy_(found, non_blocking=True)
        is_done = torch.cuda.Event()
        is_done.record()
        self._in_flight.append(_StepInFlight(request, batch, metrics, is_done))
        return [self._in_flight.popleft().wait() for _ in range(len(self._in_flight) - _MOST_IN_FLIGHT)]

    def synchronize(self) -> list[StepOutcome]:
        """See `Stepper`."""
        outcomes = [step.wait() for step in self._in_flight]
        self._in_flight.clear()
        return outcomes

    def _send(self, batch: Batch, epoch: int) -> tuple[Tensor, Tensor]:
        """Images and labels on the GPU, copied and augmented while the step before is computed."""
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
        """Take a step of one process; loss, top 1 and top 5 as float64 [3] on the GPU."""
        loss, metrics = self._forward(images_nchw, labels_n)
        loss.backward()
        return self._update(metrics)

    def _forward(self, images_nchw: Tensor, labels_n: Tensor) -> tuple[Tensor, Tensor]:
        """The loss with its graph, and the metrics: loss, top 1 and top 5 as float64 [3] on the GPU."""
        self._predictor.train_mode(len(labels_n))
        logits_nk, loss = batch_loss(self._predictor, images_nchw, labels_n)
        counts = count_correct(logits_nk.detach(), labels_n)
        return loss, torch.cat([loss.detach().double()[None], counts.double()])

    def _update(self, metrics: Tensor) -> Tensor:
        """Change the weights, unless a loss has not been finite; returns the metrics."""
        is_bad = (~metrics[0].isfinite()).to(self._has_diverged.dtype)
        self._has_diverged.copy_(torch.maximum(self._has_diverged, is_bad))
        if self._near_steps is None:
            self._optimizer.step()
        else:
            self._near_steps.take(metrics[0])
        self._optimizer.zero_grad(set_to_none=True)
        return metrics

    def _take_shared(
        self, gradients: FlatGradients, sent: tuple[Tensor, Tensor] | None, captured: _CapturedStep | None
    ) -> Tensor:
        """Take a step with the other processes, some of which may have no image; the metrics of all."""
        if sent is None:
            gradients.clear()
        elif captured is not None:
            captured.replay(*sent)
        else:
            with gradients.overlapping():
                self._differentiate(gradients, *sent)
        gradients.finish()
        if self._captured_update is None:
            self._captured_update = self._capture_update(gradients)
        return self._captured_update.replay()

    def _differentiate(self, gradients: FlatGradients, images_nchw: Tensor, labels_n: Tensor) -> Tensor:
        """Compute the gradients and metrics of this process, weighted by its share, in their places."""
        gradients.clear()
        loss, metrics = self._forward(images_nchw, labels_n)
        gradients.metrics.copy_(metrics)
        gradients.metrics[0].mul_(self._share)
        loss.backward(self._share)
        return gradients.metrics

    def _capture_once(self, images_nchw: Tensor, labels_n: Tensor) -> _CapturedStep | None:
        """The step for batches of this size as a graph; None where the network cannot be captured."""
        num_images = len(labels_n)
        if num_images not in self._captured:
            can_be_captured = self._warm_up(images_nchw, labels_n)
            self._captured[num_images] = self._capture(images_nchw, labels_n) if can_be_captured else None
        return self._captured[num_images]

    def _capture(self, images_nchw: Tensor, labels_n: Tensor) -> _CapturedStep:
        images_nchw, labels_n = images_nchw.clone(), labels_n.clone()
        graph, metrics = self._captured_as_graph(lambda: self._captured_part(images_nchw, labels_n))
        return _CapturedStep(graph, images_nchw, labels_n, metrics)

    def _captured_part(self, images_nchw: Tensor, labels_n: Tensor) -> Tensor:
        """The whole step of one process; of several processes, what comes before the sums."""
        if self._gradients is None:
            return self._compute(images_nchw, labels_n)
        return self._differentiate(self._gradients, images_nchw, labels_n)

    def _capture_update(self, gradients: FlatGradients) -> _CapturedUpdate:
        """The optimizer's step as a graph; nothing in it waits for the GPU.

        Steps near given weights change the gradients, which are yet to be used.
        """
        with kept_values(gradients.flat), self._changing_nothing():
            for _ in range(_WARM_UP_STEPS):
                self._update_in_place(gradients)
        graph, metrics = self._captured_as_graph(lambda: self._update_in_place(gradients))
        return _CapturedUpdate(graph, metrics)

    def _update_in_place(self, gradients: FlatGradients) -> Tensor:
        """`_update` by the gradients in their buckets, which stay where they are."""
        gradients.attach()
        return self._update(gradients.metrics.double())

    def _captured_as_graph(self, compute: Callable[[], Tensor]) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        graph = torch.cuda.CUDAGraph()
        # Only this thread avoids calls that cannot be captured: others go on reading into pinned memory.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            result = compute()
        return graph, result

    def _warm_up(self, images_nchw: Tensor, labels_n: Tensor) -> bool:
        """Compute steps that change nothing: what libraries set up on their first call cannot be captured.

        Returns:
            Whether the network never waits for the GPU, which a graph cannot hold. A capture that fails leaves torch
            unusable, so it is not tried.
        """
        with self._changing_nothing():
            for _ in range(_WARM_UP_STEPS):
                self._captured_part(images_nchw, labels_n)
            never_waits = _never_waits(lambda: self._captured_part(images_nchw, labels_n))
        self._optimizer.zero_grad(set_to_none=True)
        return never_waits

    @contextmanager
    def _changing_nothing(self) -> Iterator[None]:
        """Compute in a stream of its own, as graphs ask for; the optimizer skips its steps, buffers are as before."""
        with kept_values([*self._predictor.network.buffers(), self._has_diverged]):
            self._has_diverged.fill_(1.0)
            computing = torch.cuda.current_stream()
            beside = torch.cuda.Stream()
            beside.wait_stream(computing)
            with torch.cuda.stream(beside):
                yield
            computing.wait_stream(beside)


def _start_momentum(optimizer: torch.optim.SGD) -> None:
    """Give every parameter without momentum a momentum of zero, which changes no step.

    Without it the first step would be a different operation from those after it.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state[parameter]
            if state.get("momentum_buffer") is None:
                state["momentum_buffer"] = torch.zeros_like(parameter, requires_grad=False)


def _recomputes(network: nn.Module) -> bool:
    """True if parts of the network are recomputed for their gradients.

    They draw the same random numbers again, whose state cannot be read while a graph is captured.
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
