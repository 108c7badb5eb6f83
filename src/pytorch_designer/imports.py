"""Large libraries, imported without garbage collection.

torch and torchvision are hundreds of thousands of objects that live as long as the process. While they are made,
Python's collector looks through them again and again and finds next to nothing: a seventh of the time of the import.
So it rests meanwhile, and what is there afterwards is left out of later collections.
"""

from __future__ import annotations

import atexit
import gc
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def quick_import(library: str) -> Iterator[None]:
    """Import `library`, and whatever uses it, within this context; no change where it is imported already.

    Args:
        library: Name of the top-level module, for instance torch.
    """
    if library in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        # Some libraries (triton's bindings) complain at the end of the process when their objects were not collected.
        atexit.register(gc.unfreeze)
