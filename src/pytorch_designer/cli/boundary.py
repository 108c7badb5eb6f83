"""Error boundary: converts errors to an exit code, a message and `error_info.json`.

Exit codes: 0 success, 1 a named error or a bug, 2 wrong usage of the command line, 128 + n stopped by signal n. `run`
returns the exit code of the job.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import DesignerError, InterruptedRunError, UnsupportedEnvironmentError
from pytorch_designer.imports import check_working_directory
from pytorch_designer.shown_text import printable, redacted
from pytorch_designer.system.error_info import (
    remove_stale_error_info,
    report_error,
    report_interruption,
    settings_or_default,
    write_error_info,
)
from pytorch_designer.system.out_of_memory import is_out_of_memory, out_of_memory_error, shortage
from pytorch_designer.system.places import check_temporary_folder
from pytorch_designer.system.stop_requests import SignalInterrupt, interrupted_by_signals

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytorch_designer.errors import ModuleOutOfMemoryError

EXIT_FAILURE = 1
_SIGNAL_BASE = 128
_ERRORS_OF_PLACES = {
    errno.ENAMETOOLONG,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ELOOP,
    errno.EMFILE,
    errno.ENFILE,
    errno.EIO,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
}


def run_guarded(action: Callable[[], int | None]) -> int:
    """Run `action` and report every error.

    Args:
        action: The action. May return the exit code of a job that it ran; None counts as 0.

    Returns:
        The exit code of the process.
    """
    try:
        remove_stale_error_info()
        with interrupted_by_signals():
            return action() or 0
    except KeyboardInterrupt as interrupt:
        number = interrupt.signal_number if isinstance(interrupt, SignalInterrupt) else signal.SIGINT
        cause = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
        report_interruption(f"Interrupted{cause}.")
        return _SIGNAL_BASE + number
    except InterruptedRunError as error:
        return _report(error, exit_code=_SIGNAL_BASE + error.signal_number)
    except DesignerError as error:
        return _report(error, exit_code=EXIT_FAILURE)
    except Exception as error:  # noqa: BLE001 (the boundary: a bug keeps its traceback and is reported like an error)
        named = _out_of_memory(error) if is_out_of_memory(error) else _fault_of_place(error)
        if named is not None:
            return _report(named, exit_code=EXIT_FAILURE)
        print(_traceback(error), file=sys.stderr, end="", flush=True)
        write_error_info(_unexpected(error))
        return EXIT_FAILURE


def _out_of_memory(error: Exception) -> ModuleOutOfMemoryError:
    named = out_of_memory_error(shortage(error, "this run"))
    named.__cause__ = error
    return named


def _fault_of_place(error: Exception) -> UnsupportedEnvironmentError | None:
    """The named error for what this machine or a path that was given does not allow, whoever met it; else None."""
    if isinstance(error, FileNotFoundError):  # of whoever looks for one of these folders
        try:
            check_working_directory()
            check_temporary_folder()
        except UnsupportedEnvironmentError as without_folder:
            return without_folder
    if isinstance(error, OSError) and error.errno in _ERRORS_OF_PLACES:
        fault = UnsupportedEnvironmentError(
            f"A file or folder cannot be used: {error.strerror}.",
            where=None if error.filename is None else os.fsdecode(error.filename),
            advice="Check this path, who may read and write it, and the limits of this process (ulimit -a).",
            reason="path",
        )
        fault.__cause__ = error
        return fault
    return None


def _report(error: DesignerError, exit_code: int) -> int:
    report_error(error, _traceback(error).rstrip() if settings_or_default().traceback else _showable(str(error)))
    return exit_code


def _unexpected(error: Exception) -> dict[str, Any]:
    return {
        "name": type(error).__name__,
        "code": None,
        "what": "An error in pytorch-designer itself; please report it with the traceback.",
        "message": str(error),
        "traceback": _traceback(error),
    }


def _traceback(error: Exception) -> str:
    return _showable("".join(traceback.format_exception(error)))


def _showable(text: str) -> str:
    """Errors quote file names and values, and tracebacks the messages of libraries, which may hold anything."""
    return printable(redacted(text))
