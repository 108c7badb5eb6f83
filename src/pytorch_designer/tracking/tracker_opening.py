"""Opening of the tracker that the settings and MLflow's environment variables ask for."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING

from pytorch_designer.errors import shorten
from pytorch_designer.mlflow_database import fault_of_database
from pytorch_designer.settings import settings
from pytorch_designer.tracking.destination import RunReference, destination_from_environment
from pytorch_designer.tracking.mlflow_tracker import MlflowTracker
from pytorch_designer.tracking.tracker import NullTracker
from pytorch_designer.tracking.worker_process import start_worker, stop_worker

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from pytorch_designer.tracking.tracker import OpenTracker, Tracker

_log = logging.getLogger(__name__)


@contextmanager
def prepared_tracking(*, records: bool = True) -> Iterator[OpenTracker]:
    """Let MLflow be imported in the background, which takes seconds, while the caller gets ready to train.

    Args:
        records: Whether this process records the run; of several, the first one does.

    Yields:
        `open_tracker` for this preparation. Nothing is recorded anywhere before it is called.
    """
    if not records:
        yield lambda _name, _reference: NullTracker("by rank 0")
        return
    worker, start_ms = None, time.time_ns() // 1_000_000
    if settings().tracking != "off":
        with suppress(OSError):  # if there is no process for it, the tracker will say so
            worker = start_worker()
    try:
        yield partial(open_tracker, worker=worker, start_ms=start_ms)
    finally:
        if worker is not None:
            stop_worker(worker)


def open_tracker(
    run_name: str,
    reference: RunReference | None = None,
    *,
    worker: subprocess.Popen[bytes] | None = None,
    start_ms: int | None = None,
) -> Tracker:
    """The tracker that the settings and MLflow's environment variables ask for. Returns at once.

    Args:
        run_name: Name of the run, where a new one is created.
        reference: What an earlier process of the run has left; None: the run begins.
        worker: The process that tracks, where it has been started already.
        start_ms: When the run began, in milliseconds since 1970; None: now.
    """
    if settings().tracking == "off":
        return NullTracker()
    try:
        destination = destination_from_environment(
            run_name, reference or RunReference.new(), is_continued=reference is not None, start_ms=start_ms
        )
    except OSError as error:  # the working directory was removed
        return _untracked(f"there is no working directory ({error.strerror})")
    fault = None if destination.database is None else fault_of_database(destination.database)
    return MlflowTracker(destination, worker=worker) if fault is None else _untracked(fault)


def _untracked(fault: str) -> NullTracker:
    _log.warning("MLflow tracking does not work: %s; the run is not affected.", shorten(fault))
    return NullTracker("off, for lack of a database that can be written")
