"""World of several processes: process groups of torch.distributed.

    control: gloo, for small numbers and Python objects
    data:    nccl between GPUs, else gloo, for gradients and weights

The two do not wait for each other: an agreement can be on its way while gradients are.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import torch
import torch.distributed as dist

from pytorch_designer.distributed.faults import process_name
from pytorch_designer.distributed.world import Membership, Pending, PendingNumbers, World, named_error
from pytorch_designer.errors import DesignerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from torch import Tensor

T = TypeVar("T")
Backend = Literal["gloo", "nccl"]


class ProcessWorld(World):
    """Several processes, of which this is one; see `open_world`.

    Attributes:
        phase: What this process does, for messages.
        step: Number of the step within the epoch; None outside of steps.
    """

    def __init__(self, membership: Membership, control: dist.ProcessGroup, data: dist.ProcessGroup) -> None:
        super().__init__(membership)
        self.phase = "start"
        self.step: int | None = None
        self._control = control
        self._data = data

    def broadcast(self, value: T) -> T:
        """See `World`."""
        values: list[Any] = [value]
        dist.broadcast_object_list(values, src=0, group=self._control)
        return cast("T", values[0])

    def gather(self, value: T) -> list[T]:
        """See `World`."""
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value, group=self._control)
        return values

    def start_exchange(self, numbers: Sequence[int]) -> PendingNumbers:
        """See `World`."""
        own = torch.tensor(numbers, dtype=torch.int64)
        of_all = [torch.empty_like(own) for _ in range(self.size)]
        work = dist.all_gather(of_all, own, group=self._control, async_op=True)
        return _NumbersOnTheWay(work, own, of_all)

    def start_sum(self, tensor: Tensor) -> Pending:
        """See `World`."""
        work: Any = dist.all_reduce(tensor, group=self._data, async_op=True)
        return cast("Pending", work)

    def broadcast_tensors(self, tensors: Iterable[Tensor]) -> None:
        """See `World`."""
        with torch.no_grad():
            for tensor in tensors:
                dist.broadcast(tensor.detach(), src=0, group=self._data if tensor.is_cuda else self._control)

    def barrier(self) -> None:
        """See `World`."""
        dist.barrier(group=self._control)

    def note(self, phase: str, step: int | None = None) -> None:
        """See `World`."""
        self.phase, self.step = phase, step

    def abort(self) -> None:
        """See `World`. Those of gloo end by themselves, once the other process has ended."""
        if dist.get_backend(self._data) == "nccl":
            self._data.abort()

    def verdict_of_first(self, check: Callable[[], T]) -> T:
        """See `World`."""
        value, error = self._own_verdict(check) if self.is_first else (None, None)
        value, error = self.broadcast((value, error))
        if error is not None:
            raise error
        return cast("T", value)

    def verdict_of_all(self, check: Callable[[], T]) -> T:
        """See `World`."""
        value, error = self._own_verdict(check)
        for found in self.gather(error):
            if isinstance(found, DesignerError):
                raise found
        return cast("T", value)

    def _own_verdict(self, check: Callable[[], T]) -> tuple[T | None, DesignerError | None]:
        """The verdict of this process; an error says that it is this one's, whoever reports it."""
        value, error = named_error(check)
        if error is not None:
            error.process = error.process or process_name(self.membership, self.phase, self.step)
        return value, error


@contextmanager
def open_world(
    membership: Membership, store: Any, *, backend: Backend, timeout_seconds: float
) -> Iterator[ProcessWorld]:
    """Make the process groups of a run, and destroy them at the end.

    Args:
        membership: Place of this process; all have the same size and different ranks.
        store: Store of torch.distributed in which the processes find each other.
        backend: For gradients and weights: `nccl` if each process has a GPU of its own, else `gloo`.
        timeout_seconds: Time that an exchange may wait for a process.
    """
    timeout = timedelta(seconds=timeout_seconds)
    device = torch.device(membership.device) if backend == "nccl" and membership.device else None
    if device is not None:
        torch.cuda.set_device(device)
    dist.init_process_group("gloo", store=store, rank=membership.rank, world_size=membership.size, timeout=timeout)
    try:
        control = dist.group.WORLD
        assert control is not None
        data = dist.new_group(backend=backend, timeout=timeout, device_id=device)
        yield ProcessWorld(membership, control, cast("dist.ProcessGroup", data))
    finally:
        dist.destroy_process_group()


@dataclass(frozen=True)
class _NumbersOnTheWay:
    """Numbers of all processes, once `work` is done; `own` is kept until then."""

    work: Any
    own: Tensor
    of_all: list[Tensor]

    def wait(self) -> list[list[int]]:
        self.work.wait()
        return [numbers.tolist() for numbers in self.of_all]
