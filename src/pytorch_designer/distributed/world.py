"""World of a run: the processes that train one network together; without torch, so that it costs nothing to import.

Code that trains is written once, for any number of processes. What differs between them goes through the world that is
passed to it: one process has `ONE_PROCESS`, in which each exchange is the identity.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from pytorch_designer.errors import DesignerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True)
class Membership:
    """Place of this process among those of the run.

    Attributes:
        rank: Number of the process, from 0.
        size: Number of processes.
        local_rank: Number of the process on its node, from 0.
        local_size: Processes on the same machine, which share its cores and its memory.
        node: Number of the node, from 0.
        num_nodes: Number of nodes.
        device: Name of the device of this process, for instance `cuda:1`; None: what the setting `device` chooses.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    node: int = 0
    num_nodes: int = 1
    device: str | None = None

    def describe(self) -> str:
        """The number of processes and of nodes, as one line for a log."""
        nodes = f" on {self.num_nodes} nodes" if self.num_nodes > 1 else ""
        return f"{self.size}{nodes}"

    def facts(self) -> dict[str, str]:
        """The same by its label, for a report; nothing for one process."""
        return {"Processes": self.describe()} if self.size > 1 else {}


class Pending(Protocol):
    """Exchange on its way."""

    def wait(self) -> object:
        """Wait until the result may be used. With a GPU only its stream waits."""


class PendingNumbers(Protocol):
    """Numbers of all processes on their way."""

    def wait(self) -> list[list[int]]:
        """The numbers that each process gave, by rank."""


class World(ABC):
    """The processes of a run, and their exchanges.

    All processes call the same exchanges in the same order. A process that cannot, because an error ends it, is
    noticed by the others (`pytorch_designer.distributed.watch`).

    Attributes:
        membership: Place of this process.
    """

    def __init__(self, membership: Membership) -> None:
        self.membership = membership

    @property
    def rank(self) -> int:
        """Number of this process, from 0."""
        return self.membership.rank

    @property
    def size(self) -> int:
        """Number of processes."""
        return self.membership.size

    @property
    def is_first(self) -> bool:
        """True if this is the process that writes, tracks and shows."""
        return self.membership.rank == 0

    @property
    def random_key(self) -> tuple[int, ...]:
        """Part of the random key that differs between processes; empty for one process."""
        return (self.rank,) if self.size > 1 else ()

    def of_first(self, build: Callable[[], T], other: T) -> T:
        """Result of `build` in the first process; `other` in the others, in which it is not called."""
        return build() if self.is_first else other

    @abstractmethod
    def broadcast(self, value: T) -> T:
        """A small Python object of the first process, to all."""

    @abstractmethod
    def gather(self, value: T) -> list[T]:
        """A small Python object of each process, by rank, to all."""

    @abstractmethod
    def start_exchange(self, numbers: Sequence[int]) -> PendingNumbers:
        """Send a few numbers to all, as many from each process, and go on."""

    @abstractmethod
    def start_sum(self, tensor: Tensor) -> Pending:
        """Replace a tensor by its sum over the processes, on its device, and go on."""

    @abstractmethod
    def broadcast_tensors(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by those of the first process, which have the same shapes and types."""

    @abstractmethod
    def barrier(self) -> None:
        """Wait until all processes are here."""

    @abstractmethod
    def note(self, phase: str, step: int | None = None) -> None:
        """Note what this process does now, for messages about a process that has ended or hangs. Costs nothing."""

    @abstractmethod
    def abort(self) -> None:
        """End exchanges that wait for a process that will not come; may be called by another thread."""

    @abstractmethod
    def verdict_of_first(self, check: Callable[[], T]) -> T:
        """Result of `check` in the first process, for all processes; its named error is raised in all.

        Args:
            check: Called in the first process. Other errors than named ones are not passed on.
        """

    @abstractmethod
    def verdict_of_all(self, check: Callable[[], T]) -> T:
        """Result of `check` in this process; a named error in one process is raised in all.

        Of several errors, that of the lowest rank is raised.
        """


class OneProcess(World):
    """World of a single process."""

    def __init__(self) -> None:
        super().__init__(Membership())

    def broadcast(self, value: T) -> T:
        """See `World`."""
        return value

    def gather(self, value: T) -> list[T]:
        """See `World`."""
        return [value]

    def start_exchange(self, numbers: Sequence[int]) -> PendingNumbers:
        """See `World`."""
        return _Known(numbers)

    def start_sum(self, tensor: Tensor) -> Pending:
        """See `World`."""
        return _Known(())

    def broadcast_tensors(self, tensors: Iterable[Tensor]) -> None:
        """See `World`."""

    def barrier(self) -> None:
        """See `World`."""

    def note(self, phase: str, step: int | None = None) -> None:
        """See `World`."""

    def abort(self) -> None:
        """See `World`."""

    def verdict_of_first(self, check: Callable[[], T]) -> T:
        """See `World`."""
        return check()

    def verdict_of_all(self, check: Callable[[], T]) -> T:
        """See `World`."""
        return check()


ONE_PROCESS: World = OneProcess()


@dataclass(frozen=True)
class _Known:
    """Exchange of one process with itself."""

    numbers: Sequence[int]

    def wait(self) -> list[list[int]]:
        return [list(self.numbers)]


def named_error(check: Callable[[], T]) -> tuple[T | None, DesignerError | None]:
    """Result of `check`, or the named error that it raises."""
    try:
        return check(), None
    except DesignerError as error:
        return None, error
