"""Gradients of several processes, summed in flat buckets while the backward pass goes on.

    last layers                                                       first layers
    [ metrics | gradients of the last parameters ... ] [ ... ] [ ... of the first parameters ]
      sum starts once these are there                            sum starts last

The buckets are the same in every step and every process: which parameters share a bucket decides in which order their
gradients are added, and so the last bits of the sums. The gradients of the parameters are views into the buckets.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import torch

from pytorch_designer.errors import UnsupportedEnvironmentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import Tensor, nn

    from pytorch_designer.distributed.world import Pending, World

BUCKET_BYTES = 25 * 2**20
"""Size of a bucket: large enough for the full speed of a network, small enough that several fill one after another."""

NUM_METRICS = 3

_ALIGNED_ELEMENTS = 16  # so that vector instructions can be used on each gradient


@dataclass
class _Bucket:
    """Gradients that are summed together.

    Attributes:
        flat: All of them, one after the other.
        views: The gradient of each parameter, in the layout of the parameter.
        num_missing: Gradients of the current step that are not there yet.
        pending: The sum on its way.
    """

    flat: Tensor
    views: list[tuple[nn.Parameter, Tensor]]
    num_missing: int = 0
    pending: Pending | None = None


@dataclass
class _BucketBuilder:
    """Places of a bucket that are given out before its memory is there."""

    dtype: torch.dtype
    num_elements: int = 0
    places: list[tuple[nn.Parameter, int]] = field(default_factory=list)

    def add(self, parameter: nn.Parameter) -> None:
        self.places.append((parameter, self.num_elements))
        self.num_elements += -(-parameter.numel() // _ALIGNED_ELEMENTS) * _ALIGNED_ELEMENTS

    def build(self, device: torch.device) -> _Bucket:
        flat = torch.zeros(self.num_elements, dtype=self.dtype, device=device)
        return _Bucket(flat, [(parameter, _view(flat, parameter, start)) for parameter, start in self.places])


class FlatGradients:
    """The gradients of some parameters, and their sum over the processes.

    In each step: `clear`, then a backward pass within `overlapping`, then `finish`; or without the overlap, `clear`,
    a backward pass, `finish`. All processes take the same steps, also with no image of their own.

    Attributes:
        metrics: float32 [3], a place beside the gradients for numbers that are summed with them. They are put there
            before the backward pass.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        world: World,
        *,
        left_out: Iterable[nn.Parameter] = (),
        bucket_bytes: int = BUCKET_BYTES,
    ) -> None:
        """Take the memory of the buckets, which is that of the gradients.

        Args:
            parameters: In the order in which the network uses them; the same in all processes.
            world: The processes.
            left_out: Parameters that the network does not use. Their gradients are not summed, so that there must be
                none.
            bucket_bytes: Size at which the next bucket begins.
        """
        self._world = world
        self._buckets = _buckets(parameters, bucket_bytes)
        self.metrics = self._buckets[0].flat[:NUM_METRICS]
        self._is_overlapping = False
        self._num_started = 0
        for bucket in self._buckets:
            for parameter, _ in bucket.views:
                parameter.register_post_accumulate_grad_hook(partial(self._arrived, bucket))
        for parameter in left_out:
            parameter.register_post_accumulate_grad_hook(_refuse_gradient)

    @property
    def flat(self) -> list[Tensor]:
        """The memory of the buckets: all gradients, and the metrics."""
        return [bucket.flat for bucket in self._buckets]

    def clear(self) -> None:
        """Begin a step: all gradients and metrics are zero, and in their places."""
        for bucket in self._buckets:
            bucket.flat.zero_()
        self.attach()

    def attach(self) -> None:
        """Make the places in the buckets the gradients of the parameters again, where an optimizer dropped them."""
        for bucket in self._buckets:
            for parameter, view in bucket.views:
                parameter.grad = view

    @contextmanager
    def overlapping(self) -> Iterator[None]:
        """Start the sum of each bucket as soon as the last of its gradients is there, within the context.

        The buckets start in their order: which gradient comes first may differ between processes.
        """
        for bucket in self._buckets:
            bucket.num_missing = len(bucket.views)
        self._is_overlapping = True
        try:
            yield
        finally:
            self._is_overlapping = False

    def finish(self) -> None:
        """Start the sums that have not been started, and wait for all. With a GPU only its stream waits."""
        self._start(len(self._buckets))
        for bucket in self._buckets:
            if bucket.pending is not None:
                bucket.pending.wait()
            bucket.pending = None
        self._num_started = 0

    def _arrived(self, bucket: _Bucket, parameter: Tensor) -> None:
        """Called by torch in the backward pass, once the gradient of a parameter is there."""
        if self._is_overlapping:
            bucket.num_missing -= 1
            if not bucket.num_missing:
                self._start(next((index for index, one in enumerate(self._buckets) if one.num_missing), None))

    def _start(self, end: int | None) -> None:
        for bucket in self._buckets[self._num_started : end]:
            bucket.pending = self._world.start_sum(bucket.flat)
            self._num_started += 1


def _buckets(parameters: Sequence[nn.Parameter], bucket_bytes: int) -> list[_Bucket]:
    """Buckets of one type each, from the last parameter to the first; the metrics lead the first one."""
    builders = [_BucketBuilder(torch.float32, _ALIGNED_ELEMENTS)]
    for parameter in reversed(parameters):
        last = builders[-1]
        if parameter.dtype != last.dtype or last.num_elements * last.dtype.itemsize >= bucket_bytes:
            builders.append(_BucketBuilder(parameter.dtype))
        builders[-1].add(parameter)
    return [builder.build(parameters[0].device) for builder in builders]


def _view(flat: Tensor, parameter: nn.Parameter, start: int) -> Tensor:
    """A place in a bucket with the shape of a parameter, and its strides where these leave no gap."""
    layouts = (torch.contiguous_format, torch.channels_last, torch.channels_last_3d)
    is_dense = any(
        parameter.is_contiguous(memory_format=layout)
        for layout in layouts
        if layout == torch.contiguous_format or parameter.ndim == (4 if layout == torch.channels_last else 5)
    )
    if is_dense:
        return flat.as_strided(parameter.shape, parameter.stride(), start)
    return flat[start : start + parameter.numel()].view(parameter.shape)


def _refuse_gradient(parameter: Tensor) -> None:
    raise UnsupportedEnvironmentError(
        "The network uses a parameter in some steps only, which several processes cannot train together.",
        where="model",
        advice="Train this network in one process.",
    )
