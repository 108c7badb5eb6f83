"""Report of the error that ended a process: on standard error, and as plain data in `error_info.json`.

Processes that one program has started write to the same standard error: what several of them report alike is printed
once, by the first to come. A process whose error is that of another one leaves it a moment to report it itself.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import DesignerError, InterruptedRunError, LostProcessError, OtherProcessError
from pytorch_designer.settings import Settings, settings
from pytorch_designer.shown_text import redacted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FIRST_HAND_SECONDS = 5.0
_POLL_SECONDS = 0.05

_shared: list[FileIO] = []  # the file of `shared_reports`, in a process that has been given one


@contextmanager
def shared_reports() -> Iterator[Path | None]:
    """A file, of memory alone, in which the processes that this one starts note what they have printed.

    It is None where the system has no such files: each process then prints its error.
    """
    descriptor = None
    if hasattr(os, "memfd_create"):
        with suppress(OSError):
            descriptor = os.memfd_create("reports")
    if descriptor is None:
        yield None
        return
    try:
        yield Path(f"/proc/{os.getpid()}/fd/{descriptor}")
    finally:
        os.close(descriptor)


def share_reports(reports: Path | None) -> None:
    """Print no error in this process that another one has noted in the file of `shared_reports`."""
    with suppress(OSError):  # without the file, each process prints its error
        _shared[:] = [] if reports is None else [FileIO(reports, "r+")]


def has_reports(reports: Path | None) -> bool:
    """Whether a process has reported an error: in the file of `shared_reports`, or else in `error_info.json`."""
    if reports is None:
        return settings_or_default().error_info.exists()
    return reports.read_bytes() != b""


def report_error(error: DesignerError, message: str) -> None:
    """Print an error on standard error and write `error_info.json`, unless another process has reported it.

    Args:
        error: The error.
        message: What to print.
    """
    content = error.to_dict()
    cause = [content.get("name")]
    if not isinstance(error, InterruptedRunError):
        cause.append(content.get("what"))
    is_of_other = isinstance(error, OtherProcessError) and content.get("name") != LostProcessError.__name__
    if _shared and _is_printed(cause, _FIRST_HAND_SECONDS if is_of_other else 0):
        return
    print(message, file=sys.stderr, flush=True)
    path = write_error_info(content)
    if path is not None:
        print(f"  Details: {path}", file=sys.stderr, flush=True)


def report_interruption(message: str) -> None:
    """Print on standard error that this process was interrupted, unless the one that has started it says so."""
    if not _shared:
        print(message, file=sys.stderr, flush=True)


def write_error_info(content: Mapping[str, Any]) -> Path | None:
    """Write an error; says so on standard error, and returns None, where that is not possible.

    Processes of one run may write the same file at the same time: it is replaced as a whole.

    Args:
        content: The error; see `DesignerError.to_dict`. Secrets in its texts are left out.
    """
    path = settings_or_default().error_info
    shown = {name: _without_secrets(value) for name, value in content.items()}
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(json.dumps(shown, indent=2, ensure_ascii=True) + "\n", encoding="utf-8")
            partial.replace(path)
        except OSError:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        print(f"  (error_info.json could not be written: {error})", file=sys.stderr)
        return None
    return path


def remove_stale_error_info() -> None:
    """Remove the error of an earlier process; of several in one folder, the first one or who has started them does."""
    if _shared or os.environ.get("LOCAL_RANK", "0") != "0":
        return
    with suppress(OSError):  # a read-only working directory, which cannot contain a stale file of ours
        settings().error_info.unlink(missing_ok=True)


def settings_or_default() -> Settings:
    """The settings, or their defaults where one of them is at fault."""
    try:
        return settings()
    except DesignerError:
        return Settings.model_construct()


def _is_printed(cause: list[object], seconds: float) -> bool:
    """Whether another process has printed an error of this cause within these seconds; if not, this one does."""
    note = json.dumps(cause).encode() + b"\n"
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if _is_noted(note):
            return True
        time.sleep(_POLL_SECONDS)
    return _is_noted(note, notes=True)


def _is_noted(note: bytes, *, notes: bool = False) -> bool:
    import fcntl  # of systems that have such files

    stream = _shared[0]
    fcntl.flock(stream, fcntl.LOCK_EX)
    try:
        stream.seek(0)
        is_noted = note in stream.readlines()
        if notes and not is_noted:
            stream.write(note)
        return is_noted
    finally:
        fcntl.flock(stream, fcntl.LOCK_UN)


def _without_secrets(value: object) -> object:
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    if isinstance(value, dict):
        return {name: _without_secrets(item) for name, item in value.items()}
    return redacted(value) if isinstance(value, str) else value
