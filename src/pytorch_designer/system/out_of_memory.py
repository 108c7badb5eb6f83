"""Errors that mean that memory has run out, whichever library met it."""

from __future__ import annotations

import errno

from pytorch_designer.errors import ModuleOutOfMemoryError
from pytorch_designer.system.resources import address_space_limit

ADVICE = "Use smaller images, a smaller model, or a machine with more memory; other programs may be taking it."

# torch, the dynamic linker and Python's threads have no class for it; these words of their messages are all there is.
_WORDS = (
    "DefaultCPUAllocator",
    "std::bad_alloc",
    "can't start new thread",
    "failed to map segment from shared object",
    "cannot allocate memory",
    "Cannot allocate memory",
)


def is_out_of_memory(error: BaseException) -> bool:
    """True if an allocation failed: in Python, in torch on the processor, in a thread's start, in loading a library."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, (RuntimeError, ImportError, OSError)) and any(words in str(error) for words in _WORDS)


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
