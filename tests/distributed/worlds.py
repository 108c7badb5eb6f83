"""Worlds of several processes for tests: a function runs in each of them, connected by gloo over the loopback device.

Processes come from a server that has imported torch once, so that one takes a tenth of a second. The functions are
those of modules, and what they take and return can be pickled.
"""

from __future__ import annotations

import os
import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch.distributed as dist

from pytorch_designer.distributed.world import Membership
from tests.commands import fork_context

TIMEOUT_SECONDS = 300.0


class FailedInWorldError(AssertionError):
    """A process of a world has failed, or has ended without a result."""


@dataclass(frozen=True)
class Outcome:
    """End of a process of a world.

    Attributes:
        value: What the function has returned.
        error: The error that it raised, with its traceback; empty without one.
        exit_code: Of a process that has ended before either; None otherwise.
    """

    value: Any = None
    error: str = ""
    exit_code: int | None = None


def run_world(size: int, function: Callable[..., Any], *args: Any) -> list[Any]:
    """Results of `function(world, *args)` in `size` processes, by rank."""
    outcomes = outcomes_of_world(size, function, *args)
    for rank, outcome in enumerate(outcomes):
        if outcome.error or outcome.exit_code is not None:
            raise FailedInWorldError(f"process {rank}: {outcome.error or outcome.exit_code}")
    return [outcome.value for outcome in outcomes]


def outcomes_of_world(size: int, function: Callable[..., Any], *args: Any) -> list[Outcome]:
    """Outcomes of `function(world, *args)` in `size` processes, by rank."""
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]  # not in the stubs
    context = fork_context()
    members = []
    for rank in range(size):
        ours, theirs = context.Pipe(duplex=False)
        membership = Membership(rank=rank, size=size, local_rank=rank, local_size=size)
        process = context.Process(target=_run_member, args=(theirs, membership, store.port, function, args))
        process.start()
        theirs.close()
        members.append((ours, process))
    try:
        return [_outcome(rank, connection, process) for rank, (connection, process) in enumerate(members)]
    finally:
        for _, process in members:
            process.kill()
            process.join(60)


def _outcome(rank: int, connection: Connection, process: BaseProcess) -> Outcome:
    if not wait([connection], TIMEOUT_SECONDS):
        raise FailedInWorldError(f"process {rank} has no result after {TIMEOUT_SECONDS:g} seconds")
    try:
        outcome: Outcome = pickle.loads(connection.recv_bytes())
    except EOFError:
        process.join(60)
        return Outcome(exit_code=process.exitcode)
    return outcome


def _run_member(
    connection: Connection, membership: Membership, port: int, function: Callable[..., Any], args: tuple[Any, ...]
) -> None:
    import torch

    from pytorch_designer.distributed.process_world import open_world

    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    try:
        store = dist.TCPStore("127.0.0.1", port, is_master=False)  # type: ignore[attr-defined]  # not in the stubs
        with open_world(membership, store, backend="gloo", timeout_seconds=TIMEOUT_SECONDS) as world:
            connection.send_bytes(pickle.dumps(Outcome(function(world, *args))))
            world.barrier()
    except BaseException:  # noqa: BLE001 - whatever it is, the test shows it
        connection.send_bytes(pickle.dumps(Outcome(error=traceback.format_exc())))
