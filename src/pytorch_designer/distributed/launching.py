"""Start of one process per GPU, by torch's elastic launcher, on a machine that Azure ML has started one process on.

    alone on a machine           the processes meet on a free port of the loopback interface
    one process on each node     the processes of all nodes meet at MASTER_ADDR and MASTER_PORT

The process that starts the others computes nothing. It passes on signals, and ends with the exit code of the process
that failed first. Nothing is started again: Azure ML restarts jobs, and a run continues from its checkpoint.

On Linux the processes are forked from a server that imports what they need, once for all, while this process imports
the launcher. The server computes nothing and never touches a GPU, so that it can be forked.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
import threading
import time
import uuid
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.distributed.devices import import_torch, planned_processes, prepare_torch
from pytorch_designer.distributed.joining import read_start_variables
from pytorch_designer.errors import InterruptedRunError, LostProcessError, UnsupportedEnvironmentError
from pytorch_designer.settings import settings
from pytorch_designer.system.error_info import has_reports, share_reports, shared_reports
from pytorch_designer.system.places import working_directory
from pytorch_designer.system.process_trees import start_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_log = logging.getLogger(__name__)

_LOOPBACK = "127.0.0.1"
_GRACE_SECONDS = "25"
_SIGNAL_BASE = 128
_START_METHOD = "forkserver" if sys.platform.startswith("linux") else "spawn"
_SERVED = "pytorch_designer.training.parallel.served_imports"
_MOST_FOLDER_BYTES = 75  # of 107 that the path of a socket may have; the rest is for the names in the folder
_SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 (a folder of its own is made there)
_STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}
_ORPHAN_SECONDS = 15.0  # in which a process whose launcher has died ends by itself, as the watch asks it to


def run_in_processes(arguments: Sequence[str]) -> int | None:
    """Run a command of this program in several processes, where this machine is to have several and has one.

    Args:
        arguments: The command and its arguments.

    Returns:
        The exit code; None where this process is to run the command itself.

    Raises:
        UnsupportedEnvironmentError: The environment says in part that there are other processes, or there is no
            folder for temporary files with a short path.
        LostProcessError: A process of another node did not come in time, or all processes were killed.
        InterruptedRunError: A signal has ended them.
    """
    variables = read_start_variables()
    if variables.is_by_torchrun:
        return None
    if variables.size == 1:
        number = planned_processes()
        if number == 1:
            return None
        node = {"rdzv_backend": "c10d", "rdzv_endpoint": f"{_LOOPBACK}:0", "local_addr": _LOOPBACK}
        return _launch(arguments, number, node)
    import_torch()
    from pytorch_designer.distributed.meeting import meet

    meeting = meet(variables)
    if not meeting.is_of_nodes:
        if settings().processes != "auto" and variables.rank == 0:
            _log.warning(
                "PYTORCH_DESIGNER_PROCESSES has no effect: this job was started as several processes per node."
            )
        return None
    place = {
        "min_nodes": variables.size,
        "max_nodes": variables.size,
        "rdzv_backend": "static",
        "rdzv_endpoint": f"{variables.address}:{variables.port}",
        "rdzv_configs": {"rank": variables.rank},
        "run_id": meeting.arrivals[0].token,
    }
    return _launch(arguments, meeting.own.processes, place)


def _launch(arguments: Sequence[str], number: int, place: Mapping[str, Any]) -> int:
    """Start `number` processes and wait for their end.

    Args:
        arguments: The command and its arguments.
        number: Processes on this machine.
        place: What differs between nodes, for torch's `LaunchConfig`.
    """
    _start_server()
    import_torch()
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] = _GRACE_SECONDS
    for name in list(logging.root.manager.loggerDict):  # the launcher's lines tell what ours do
        if name.startswith(("torch.distributed.", "torch.multiprocessing.")):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    config = LaunchConfig(
        **{"min_nodes": 1, "max_nodes": 1, "run_id": uuid.uuid4().hex, **place},
        nproc_per_node=number,
        max_restarts=0,
        start_method=_START_METHOD,
        monitor_interval=0.1,
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
    )
    if hasattr(config, "signals_to_handle"):  # from torch 2.9 on
        config.signals_to_handle = _signals()
    _log.info("Starting %d processes on this machine.", number)
    launcher = os.getpid()
    with shared_reports() as reports:
        try:
            elastic_launch(config, _run_command)(list(arguments), launcher, start_time(launcher), reports)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            code = int(failure.exitcode)
            if code < 0 and not has_reports(reports):
                name = signal.Signals(-code).name
                what = f"Rank {rank} was killed by {name}."
                raise LostProcessError(what, where=f"rank {rank}", reason="died") from None
            stopped_by = code - _SIGNAL_BASE
        except SignalException as stop:
            stopped_by = stop.sigval
            code = _SIGNAL_BASE + stopped_by
        else:
            return 0
        if stopped_by > 0 and not has_reports(reports):  # else the processes have said what was lost
            raise InterruptedRunError(
                f"The {number} processes of the run on this machine were stopped by {signal.Signals(stopped_by).name}.",
                signal_number=stopped_by,
                where="this machine",
            )
        return max(1, code)


def _start_server() -> None:
    """Start the process that the others are forked from, which needs as long as this one to import torch."""
    if _START_METHOD == "forkserver":
        prepare_torch()
        multiprocessing.get_context(_START_METHOD).set_forkserver_preload([_SERVED])
        own = Path(__file__).parents[2]  # Python looks for modules in the working directory first
        with working_directory(own), _short_temporary_folder(), _blocked_signals():
            resource_tracker.ensure_running()  # lets some of the signals through
            with _blocked_signals():
                forkserver.ensure_running()


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """Block in processes that are started what a terminal or a service manager sends to all of a command.

    The server would end before those that it has started, who are to save what they have done. It ends with the
    launcher.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _short_temporary_folder() -> Iterator[None]:
    """Folder for the server's socket, whose path the system bounds; from Python 3.14 on, multiprocessing does this."""
    chosen = tempfile.tempdir
    if len(os.fsencode(tempfile.gettempdir())) > _MOST_FOLDER_BYTES:
        short = next((place for place in _SHORT_FOLDERS if os.access(place, os.W_OK)), None)
        if short is None:
            raise UnsupportedEnvironmentError(
                f"The path of the folder for temporary files has more than {_MOST_FOLDER_BYTES} bytes, too "
                f"many for several processes, and none of {', '.join(_SHORT_FOLDERS)} can be written.",
                where="TMPDIR",
                advice="Set TMPDIR to a folder with a shorter path, or PYTORCH_DESIGNER_PROCESSES=1.",
            )
        tempfile.tempdir = short
    try:
        yield
    finally:
        tempfile.tempdir = chosen


def _run_command(arguments: Sequence[str], launcher: int, started: str | None, reports: Path | None) -> None:
    """Be one of the processes: run the command as its own program would.

    Args:
        arguments: The command and its arguments.
        launcher: Number of the process that has started this one.
        started: See `start_time`.
        reports: See `shared_reports`.
    """
    share_reports(reports)
    threading.Thread(target=_end_with, args=(launcher, started), name="launcher", daemon=True).start()
    sys.argv[1:] = arguments
    if _START_METHOD == "forkserver":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
    runpy.run_module("pytorch_designer", run_name="__main__", alter_sys=True)


def _end_with(launcher: int, started: str | None) -> None:
    """End this process soon after its launcher, whatever it waits for."""
    while start_time(launcher) == started:
        time.sleep(1)
    time.sleep(_ORPHAN_SECONDS)
    os._exit(1)


def _signals() -> str:
    """Signals to pass on: as in a run of one process, SIGHUP only where it is not ignored, as `nohup` asks."""
    hang_up = getattr(signal, "SIGHUP", None)
    has_hang_up = hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN
    return "SIGTERM,SIGINT,SIGQUIT" + (",SIGHUP" if has_hang_up else "")
