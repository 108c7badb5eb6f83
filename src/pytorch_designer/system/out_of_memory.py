"""Errors that mean that memory has run out, whichever library met it."""

from __future__ import annotations

import errno
import os
import sys

from pytorch_designer.errors import ModuleOutOfMemoryError
from pytorch_designer.system.resources import address_space_limit

ADVICE = "Use smaller images, a smaller model, or a machine with more memory; other programs may be taking it."

# torch, the dynamic linker and Python's threads have no class for it; these words of their messages are all there is.
_NO_THREAD = "can't start new thread"
_WORDS = (
    "DefaultCPUAllocator",
    "std::bad_alloc",
    _NO_THREAD,
    "failed to map segment from shared object",
    "cannot allocate memory",
    "Cannot allocate memory",
)


def is_out_of_memory(error: BaseException) -> bool:
    """True if an allocation failed: in Python, in torch on the processor, in loading a library.

    A thread or process that cannot be started counts, too: the system does not tell whether memory or a limit on their
    number is the reason.
    """
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    if _is_refused_process(error):
        return True
    return isinstance(error, (RuntimeError, ImportError, OSError)) and any(words in str(error) for words in _WORDS)


def shortage(error: BaseException, purpose: str) -> str:
    """What has run out, as a sentence; `purpose` is what there is too little of it for, such as `this run`."""
    if _NO_THREAD not in str(error) and not _is_refused_process(error):
        return f"This process has too little free memory for {purpose}."
    most = _most_processes()
    limit = "" if most is None else f", of which this user may have {most:,} (ulimit -u)"
    return (
        f"No other thread or process can be started for {purpose}: there is too little memory, or too many run{limit}."
    )


def out_of_memory_error(what: str, *, where: str | None = None, advice: str = ADVICE) -> ModuleOutOfMemoryError:
    """The named error; says so where this process has less memory than the machine.

    Args:
        what: One sentence.
        where: What the memory was for.
        advice: What to do.
    """
    limit = address_space_limit()
    if limit is not None:
        what += f" This process may not take more than {limit / 1e9:.1f} GB of address space (ulimit -v)."
    return ModuleOutOfMemoryError(what, where=where, advice=advice)


def _is_refused_process(error: BaseException) -> bool:
    """True for the error of a fork: that of a file names it, and that of a stream that would block has other words."""
    if not isinstance(error, OSError) or error.errno != errno.EAGAIN:
        return False
    return error.filename is None and error.strerror == os.strerror(errno.EAGAIN)


def _most_processes() -> int | None:
    """Processes and threads that this user may have; None without a limit."""
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    return None if most == resource.RLIM_INFINITY else most
