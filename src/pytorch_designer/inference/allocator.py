"""The C library's allocator, told to keep what a step frees for the step after it.

Every training step allocates and frees the same large tensors. By default glibc hands each of them back to the kernel,
and the next step pays for fresh, zeroed pages: a fifth of the time of ResNet-18 at 32 pixels (docs/benchmarks.md,
"Training beside other libraries").
"""

from __future__ import annotations

import ctypes
import os
import sys

# The names of malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_NEVER_TRIM = -1
_LARGEST_KEPT_BYTES = 2**30
_LARGEST_KEPT_BYTES_BEFORE_GLIBC_2_35 = 2**25

_USER_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Let this process keep the memory it frees, in place of handing it back to the kernel.

    The process then stays at the most memory that it needed so far. Blocks of more than 1 GiB (before glibc 2.35,
    32 MiB) are still handed back. An environment that sets the allocator up itself (`MALLOC_TRIM_THRESHOLD_`,
    `MALLOC_MMAP_THRESHOLD_`, `GLIBC_TUNABLES`) is left alone, and so are other C libraries.

    Returns:
        Whether it was done.
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _USER_SETTINGS):
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries than glibc have none
    if set_option is None:
        return False
    is_set = any(
        set_option(_M_MMAP_THRESHOLD, size) for size in (_LARGEST_KEPT_BYTES, _LARGEST_KEPT_BYTES_BEFORE_GLIBC_2_35)
    )
    return is_set and bool(set_option(_M_TRIM_THRESHOLD, _NEVER_TRIM))
