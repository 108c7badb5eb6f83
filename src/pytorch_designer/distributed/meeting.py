"""Meeting of the processes of a run in a store of torch.distributed: who is there, and whether they fit together.

size            the number of processes, as the first to come says
arrival/RANK    what each says of itself; see `Arrival`
fault           the first error of all; see `faults`
"""

from __future__ import annotations

import json
import logging
import os
import queue
import socket
import threading
import time
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer import __version__
from pytorch_designer.distributed.devices import chosen_gpu, planned_processes
from pytorch_designer.distributed.faults import Fault, process_name
from pytorch_designer.distributed.routes import address_towards
from pytorch_designer.distributed.world import Membership
from pytorch_designer.errors import LostProcessError, UnsupportedEnvironmentError
from pytorch_designer.settings import settings
from pytorch_designer.system.process_trees import start_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.distributed import Store  # type: ignore[attr-defined]  # not in the stubs

    from pytorch_designer.distributed.joining import StartVariables

_log = logging.getLogger(__name__)

_FAULT_KEY = "fault"
STORE_SECONDS = 20.0
_POLL_SECONDS = (0.01, 0.25)
_REMINDER_SECONDS = 30.0
_FAREWELL_SECONDS = 1.0
_JOINING = "joining"


@dataclass(frozen=True)
class Arrival:
    """Identity and device of one process, as it announces itself in the store.

    Attributes:
        rank: Number of the process.
        local_rank: Number of the process on its node.
        token: Tells two processes of the same rank apart.
        machine: Tells machines apart.
        address: Its own address on the way to the store.
        pid: Number of the process on its machine.
        started: See `process_trees.start_time`.
        gpu: Tells GPUs apart; None if it does not compute on one of its own.
        device: See `Membership`.
        versions: Of this program and of torch.
        processes: How many processes it would start, if it is alone on its node.
    """

    rank: int
    local_rank: int
    token: str
    machine: str
    address: str
    pid: int
    started: str | None
    gpu: str | None
    device: str | None
    versions: str
    processes: int


@dataclass(frozen=True)
class Meeting:
    """Processes of a run that have found each other.

    Attributes:
        variables: What the environment of this process says.
        store: Where they have met; see `connect`.
        arrivals: What each says of itself, by rank.
    """

    variables: StartVariables
    store: Store
    arrivals: tuple[Arrival, ...]

    @property
    def membership(self) -> Membership:
        """Place of this process."""
        own = self.own
        return Membership(
            rank=own.rank,
            size=self.variables.size,
            local_rank=own.local_rank,
            local_size=Counter(arrival.machine for arrival in self.arrivals)[own.machine],
            node=self.node_of(own),
            num_nodes=len(self._first_ranks()),
            device=own.device,
        )

    @property
    def is_of_nodes(self) -> bool:
        """True if each process stands for a node, on which it is to start several."""
        one_per_node = all(arrival.local_rank == 0 for arrival in self.arrivals)
        return one_per_node and any(arrival.processes > 1 for arrival in self.arrivals)

    @property
    def own(self) -> Arrival:
        """Arrival of this process."""
        return self.arrivals[self.variables.rank]

    def node_of(self, arrival: Arrival) -> int:
        """Number of the node of a process."""
        return self._first_ranks().index(arrival.rank - arrival.local_rank)

    def neighbors(self) -> list[Arrival]:
        """The other processes on the same machine."""
        return [item for item in self.arrivals if item.machine == self.own.machine and item.rank != self.own.rank]

    def _first_ranks(self) -> list[int]:
        """The first process of each node: those of a node have consecutive numbers."""
        return sorted({arrival.rank - arrival.local_rank for arrival in self.arrivals})


@lru_cache(maxsize=1)
def meet(variables: StartVariables) -> Meeting:
    """Wait until all processes of the run are there, and check that they fit together; once per process.

    Args:
        variables: Of several processes.

    Raises:
        LostProcessError: A process did not come in time, or the store is gone.
        UnsupportedEnvironmentError: The processes contradict each other, or two of them would share a GPU.
        OtherProcessError: Another process ended meanwhile.
    """
    deadline = time.monotonic() + settings().join_seconds
    store = connect(variables, deadline)
    try:
        own = _own_arrival(variables)
        _announce(store, own, variables.size)
        arrivals = _wait_for_all(store, variables, deadline)
        check_fit(arrivals)
        return Meeting(variables, store, arrivals)
    except BaseException as error:
        place = Membership(rank=variables.rank, size=variables.size, local_rank=variables.local_rank)
        with suppress(Exception):
            report_fault(store, Fault.of(error, place.rank, process_name(place, _JOINING)))
            if variables.rank == 0 and not variables.is_store_served:
                time.sleep(_FAREWELL_SECONDS)  # the others read it there
        raise


def connect(variables: StartVariables, deadline: float | None = None) -> Store:
    """A connection to the store in which the processes meet; process 0 serves it, unless the launcher does.

    Raises:
        LostProcessError: The store could not be reached in time.
        UnsupportedEnvironmentError: Its port is taken.
    """
    serves = variables.rank == 0 and not variables.is_store_served and deadline is not None
    started = time.monotonic()
    deadline = started + STORE_SECONDS if deadline is None else deadline
    try:
        if not serves:
            _wait_for_port(variables, deadline)
        store = _open_store(variables, deadline, serves=serves)
    except (OSError, RuntimeError) as error:
        place = f"{variables.address}:{variables.port}"
        if serves:
            raise UnsupportedEnvironmentError(
                f"Process 0 cannot wait for the others on {place}: {error}",
                where="MASTER_PORT",
                advice="Another program may use this port: set MASTER_PORT to a free one, on all nodes. MASTER_ADDR "
                "has to be an address of this machine.",
                reason="port",
            ) from error
        raise _unreachable(variables, error, time.monotonic() - started) from error
    return part_of_store(store, f"pytorch-designer/{variables.start}")


def _open_store(variables: StartVariables, deadline: float, *, serves: bool) -> Store:
    """The store, opened by a thread: where another program listens and says nothing, torch waits for ever."""
    import torch.distributed as dist

    results: queue.SimpleQueue[Store | Exception] = queue.SimpleQueue()
    seconds = max(1.0, deadline - time.monotonic())

    def open_it() -> None:
        try:
            store = dist.TCPStore(  # type: ignore[attr-defined]  # not in the stubs
                variables.address,
                variables.port,
                is_master=serves,
                wait_for_workers=False,
                timeout=timedelta(seconds=min(STORE_SECONDS, seconds)),
                multi_tenant=True,
            )
            results.put(store)
        except Exception as error:  # noqa: BLE001 (raised below, in the thread that waits)
            results.put(error)

    threading.Thread(target=open_it, name="store", daemon=True).start()
    try:
        found = results.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError("what listens there does not answer") from None
    if isinstance(found, Exception):
        raise found
    return found


def part_of_store(store: Store, name: str) -> Store:
    """A part of a store with keys of its own."""
    import torch.distributed as dist

    return dist.PrefixStore(name, store)  # type: ignore[attr-defined]  # not in the stubs


def _wait_for_port(variables: StartVariables, deadline: float) -> None:
    """Wait until somebody listens at the store's address; torch's own waiting cannot be interrupted."""
    reminder = time.monotonic() + _REMINDER_SECONDS
    while True:
        try:
            socket.create_connection((variables.address, variables.port), timeout=2).close()
        except OSError as error:
            last = error
        else:
            return
        now = time.monotonic()
        if now > deadline:
            raise last
        if now > reminder:
            reminder = now + _REMINDER_SECONDS
            _log.info("Waiting for rank 0 at %s:%d (%s).", variables.address, variables.port, last)
        time.sleep(_POLL_SECONDS[1])


def _unreachable(variables: StartVariables, cause: Exception, seconds: float) -> LostProcessError:
    if isinstance(cause, socket.gaierror):
        advice = "This machine does not know the name in MASTER_ADDR: set it to the address of the machine of rank 0."
    else:
        advice = "Look at the log of rank 0. If it is waiting too, the network lets no connection through to this "
        advice += "port, or another program uses it: set MASTER_PORT to a free one, on all nodes."
    return LostProcessError(
        f"Rank {variables.rank} of {variables.size} did not reach rank 0 within {seconds:.3g} s ({cause}).",
        where=f"MASTER_ADDR={variables.address}, MASTER_PORT={variables.port}",
        advice=advice,
        reason="missing_process",
    )


def _own_arrival(variables: StartVariables) -> Arrival:
    import torch

    processes = 1 if variables.is_by_torchrun or variables.local_rank else planned_processes()
    device, gpu = chosen_gpu(variables.local_rank)
    return Arrival(
        rank=variables.rank,
        local_rank=variables.local_rank,
        token=uuid.uuid4().hex,
        machine=_machine(),
        address=address_towards(variables.address, variables.port) or "",
        pid=os.getpid(),
        started=start_time(os.getpid()),
        gpu=gpu,
        device=device,
        versions=f"pytorch-designer {__version__} with torch {torch.__version__}",
        processes=processes,
    )


def _machine() -> str:
    """Name of the machine, or container, that tells it apart from the others."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    with suppress(OSError):
        return f"{socket.gethostname()}/{boot.read_text(encoding='ascii').strip()}"
    return socket.gethostname()


def _announce(store: Store, own: Arrival, size: int) -> None:
    said = store.compare_set("size", "", str(size)).decode()
    if said != str(size):
        raise UnsupportedEnvironmentError(
            f"WORLD_SIZE is {size} in rank {own.rank}, and {said} in another process of the run.",
            where="WORLD_SIZE",
            reason="wrong_variable",
        )
    text = json.dumps(asdict(own))
    if store.compare_set(f"arrival/{own.rank}", "", text).decode() != text:
        raise UnsupportedEnvironmentError(
            f"Two processes of the run say that they are rank {own.rank}.",
            where="RANK",
            advice="Give each process a RANK of its own; Azure ML and torchrun do.",
            reason="wrong_variable",
        )


def _wait_for_all(store: Store, variables: StartVariables, deadline: float) -> tuple[Arrival, ...]:
    keys = [f"arrival/{rank}" for rank in range(variables.size)]
    pause, reminder = _POLL_SECONDS[0], time.monotonic() + _REMINDER_SECONDS
    while not store.check(keys):
        fault = first_fault(store)
        if fault is not None:
            raise fault.as_error(process_name(Membership(rank=variables.rank, size=variables.size), _JOINING))
        now = time.monotonic()
        if now > min(deadline, reminder):
            missing = [f"rank {rank}" for rank, key in enumerate(keys) if not store.check([key])]
            if now > deadline and missing:
                raise _missing(missing, variables)
            reminder = now + _REMINDER_SECONDS
            _log.info("Waiting for %s of %d.", ", ".join(missing[:8]), variables.size)
        time.sleep(pause)
        pause = min(2 * pause, _POLL_SECONDS[1])
    return tuple(Arrival(**json.loads(text)) for text in store.multi_get(keys))


def _missing(missing: Sequence[str], variables: StartVariables) -> LostProcessError:
    return LostProcessError(
        f"{len(missing)} of {variables.size} processes did not come within {settings().join_seconds:g} s: "
        f"{', '.join(missing[:8])}{', ...' if len(missing) > 8 else ''}.",
        where=f"WORLD_SIZE={variables.size}",
        examples=missing,
        advice="Look at the logs of these processes. PYTORCH_DESIGNER_JOIN_SECONDS is the time that a run waits.",
        reason="missing_process",
    )


def check_fit(arrivals: Sequence[Arrival]) -> None:
    """Check that processes can train together.

    Raises:
        UnsupportedEnvironmentError: Their versions differ, or two of them would share a GPU.
    """
    first = arrivals[0]
    for other in arrivals:
        if other.versions != first.versions:
            raise UnsupportedEnvironmentError(
                f"Rank 0 runs {first.versions}, rank {other.rank} {other.versions}.",
                where=f"rank {other.rank}",
                advice="Give all nodes the same environment.",
                reason="versions",
            )
    by_gpu: dict[tuple[str, str], int] = {}
    for arrival in arrivals:
        if arrival.gpu is None:
            continue
        rank = by_gpu.setdefault((arrival.machine, arrival.gpu), arrival.rank)
        if rank != arrival.rank:
            raise UnsupportedEnvironmentError(
                f"Ranks {rank} and {arrival.rank} would share one GPU: there are more processes on this node than GPUs "
                f"that they can use.",
                where=f"rank {arrival.rank}",
                advice="Set process_count_per_instance to 1, for one process per GPU, or to the number of GPUs of a "
                "node.",
                reason="shared_gpu",
            )


def first_fault(store: Store) -> Fault | None:
    """The first fault that a process has reported."""
    return Fault.from_text(store.get(_FAULT_KEY).decode()) if store.check([_FAULT_KEY]) else None


def report_fault(store: Store, fault: Fault) -> Fault:
    """Report a fault; returns the first one, which may be another."""
    return Fault.from_text(store.compare_set(_FAULT_KEY, "", fault.to_text()).decode())
