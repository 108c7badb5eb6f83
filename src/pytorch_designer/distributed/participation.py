"""Participation of this process in a run, alone or with others: the world that training is given."""

from __future__ import annotations

import itertools
import logging
import os
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from pytorch_designer.distributed.devices import import_torch
from pytorch_designer.distributed.joining import read_start_variables
from pytorch_designer.distributed.routes import INTERFACE_VARIABLE, choose_interface
from pytorch_designer.distributed.world import ONE_PROCESS
from pytorch_designer.errors import LostProcessError, shorten

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytorch_designer.distributed.joining import StartVariables
    from pytorch_designer.distributed.process_world import Backend
    from pytorch_designer.distributed.watch import Watch
    from pytorch_designer.distributed.world import Membership, World

# An exchange waits for what others read or write, which has no bound. The watch notices who will not come.
_EXCHANGE_SECONDS = 24 * 3600.0
_FIRST_EXCHANGE_SECONDS = 60.0

_log = logging.getLogger(__name__)

_run_numbers = itertools.count()


@contextmanager
def joined_world() -> Iterator[World]:
    """Join the other processes of the run, and watch over them while the context lasts; alone, do nothing.

    On leaving it all processes have come to its end, or all leave with an error. The error of the process that failed
    first is that of all.

    Raises:
        UnsupportedEnvironmentError: The environment says in part that there are others, or they do not fit together.
        LostProcessError: A process did not come in time.
        OtherProcessError: Another process has ended with an error, or has died.
    """
    variables = read_start_variables()
    if variables.size == 1:
        yield ONE_PROCESS
        return
    import_torch()
    with _joined(variables) as world:
        yield world


@contextmanager
def _joined(variables: StartVariables) -> Iterator[World]:
    import torch.distributed as dist

    from pytorch_designer.distributed.meeting import meet, part_of_store
    from pytorch_designer.distributed.process_world import open_world
    from pytorch_designer.distributed.watch import Watch

    meeting = meet(variables)
    membership, number = meeting.membership, next(_run_numbers)
    others = [arrival.address for arrival in meeting.arrivals if arrival.machine != meeting.own.machine]
    choose_interface(meeting.own.address, others)
    has_gpus = all(arrival.gpu is not None for arrival in meeting.arrivals)
    with _log_of(membership), Watch(meeting, number) as watch, ExitStack() as stack:
        stack.enter_context(_judged(watch))
        with _reachable():
            store = part_of_store(meeting.store, f"groups{number}")
            backend: Backend = "nccl" if has_gpus else "gloo"
            opened = open_world(membership, store, backend=backend, timeout_seconds=_EXCHANGE_SECONDS)
            world = stack.enter_context(opened)
            dist.monitored_barrier(timeout=timedelta(seconds=_FIRST_EXCHANGE_SECONDS), wait_all_ranks=True)
        watch.follow(lambda: (world.phase, world.step), world.abort)
        with _judged(watch):  # before the process groups are destroyed, which may take a while
            yield world
            world.note("waiting for the others to finish")
            watch.finish()


@contextmanager
def _judged(watch: Watch) -> Iterator[None]:
    """Replace an error that another process has caused by the one that it had."""
    try:
        yield
    except BaseException as error:
        judged = watch.judge(error)
        if judged is error:
            raise
        raise judged from error


@contextmanager
def _reachable() -> Iterator[None]:
    """Named error for a first exchange that fails.

    Raises:
        LostProcessError: Processes reach the store, and not each other.
    """
    try:
        yield
    except RuntimeError as error:
        interface = os.environ.get(INTERFACE_VARIABLE, "chosen by gloo")
        raise LostProcessError(
            f"The processes have found each other, but cannot exchange anything: {shorten(str(error), 200)}",
            where=f"network interface {interface}",
            advice=f"Set {INTERFACE_VARIABLE} to the network interface on which the nodes reach each other. They need "
            "all ports.",
            reason="no_exchange",
        ) from error


@contextmanager
def _log_of(membership: Membership) -> Iterator[None]:
    """Log in full in the first process; of the others, only warnings are logged, with their rank."""
    handlers = [] if membership.rank == 0 else logging.getLogger("pytorch_designer").handlers
    if handlers:
        _log.info("This is rank %d of %s. Rank 0 reports what they do.", membership.rank, membership.describe())

    def admit(record: logging.LogRecord) -> bool:
        record.msg, record.args = f"rank {membership.rank}: {record.getMessage()}", ()
        return record.levelno >= logging.WARNING

    for handler in handlers:
        handler.addFilter(admit)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(admit)
