"""Start of a run: a process in a session of its own, which neither the end of the server nor of the page touches."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer import errors
from pytorch_designer.designer.runs.run_order import CONSOLE_FILE, ERROR_FILE, ORDER_FOLDER, checked_request
from pytorch_designer.errors import DesignerError, UnsupportedEnvironmentError, shorten
from pytorch_designer.harness.job.run_folder import PIPELINE_FILE, new_run_folder
from pytorch_designer.storage.bounded_documents import read_json
from pytorch_designer.storage.output import writing_errors
from pytorch_designer.system.python_process import python_command

if TYPE_CHECKING:
    from pytorch_designer.designer.runs.run_order import RunOrder

_POLL_SECONDS = 0.02
_START_SECONDS = 60.0
_MAX_ERROR_BYTES = 1 << 20
_TAIL_CHARACTERS = 400


def start_run(order: RunOrder, project: Path, runs: Path) -> subprocess.Popen[bytes]:
    """Start a run, and wait until it has begun.

    Args:
        order: What to run.
        project: The working directory.
        runs: Where its run folder is made.

    Returns:
        The process; its last argument is the run folder.

    Raises:
        DesignerError: It cannot be run as it is. There is no run folder then.
    """
    checked_request(order, runs / "none")  # at once and in full; what only the run finds, the process says
    run_folder = new_run_folder(Path(order.document).stem, runs)
    try:
        with writing_errors(run_folder):
            order.write(run_folder)
            console = (run_folder / ORDER_FOLDER / CONSOLE_FILE).open("ab")
        with console:
            process = subprocess.Popen(
                python_command("pytorch_designer.designer.runs.run_process", str(run_folder)),
                cwd=project,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _wait(process, run_folder)
    except BaseException:
        if not (run_folder / PIPELINE_FILE).exists():
            shutil.rmtree(run_folder, ignore_errors=True)
        raise
    return process


def _wait(process: subprocess.Popen[bytes], run_folder: Path) -> None:
    ends = time.monotonic() + _START_SECONDS
    while not (run_folder / PIPELINE_FILE).exists() and time.monotonic() < ends:
        if process.poll() is not None and not (run_folder / PIPELINE_FILE).exists():
            raise _refusal(run_folder)
        time.sleep(_POLL_SECONDS)


def _refusal(run_folder: Path) -> DesignerError:
    """Error of a process that ended before its run began."""
    with suppress(DesignerError, ValueError, TypeError, KeyError, AttributeError):
        return _named_error(read_json(run_folder / ORDER_FOLDER / ERROR_FILE, _MAX_ERROR_BYTES, DesignerError))
    console = ""
    with suppress(OSError):
        console = (run_folder / ORDER_FOLDER / CONSOLE_FILE).read_text(encoding="utf-8", errors="replace")
    return UnsupportedEnvironmentError(
        f"The run ended before it began: {shorten(console.strip()[-_TAIL_CHARACTERS:])}",
        where=run_folder,
        advice="Start the pipeline with `pytorch-designer run`, which shows all that it prints.",
        reason="not_started",
    )


def _named_error(plain: dict[str, Any]) -> DesignerError:
    """The error that another process has written down."""
    known: type[DesignerError] = getattr(errors, str(plain["name"]))
    return known(
        str(plain["what"]),
        where=plain["where"],
        advice=plain["advice"],
        examples=plain["examples"],
        reason=plain["reason"],
    )
