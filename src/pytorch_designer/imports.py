"""Imports of large libraries with the garbage collector paused.

Importing torch and torchvision creates hundreds of thousands of objects that live as long as the process. Scanning
them for garbage takes a seventh of the import time and finds next to nothing. Afterwards these objects are frozen, so
that later collections skip them.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pytorch_designer.errors import UnsupportedEnvironmentError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def quick_import(library: str) -> Iterator[None]:
    """Pause the garbage collector while `library` is imported; do nothing if it is imported already.

    Args:
        library: Name of the top-level module, for instance torch.

    Raises:
        UnsupportedEnvironmentError: It is torch, which ends a process whose working directory was removed.
    """
    if library in sys.modules or not gc.isenabled():
        yield
        return
    if library == "torch":
        check_working_directory()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        # Some libraries (triton's bindings) warn at process exit if their objects were not collected.
        atexit.register(gc.unfreeze)


def check_working_directory() -> None:
    """Make sure that there is the working directory, without which torch is not loaded and no relative path leads.

    Raises:
        UnsupportedEnvironmentError: It was removed.
    """
    try:
        os.getcwd()  # noqa: PTH109 - pathlib is not needed here otherwise
    except FileNotFoundError as error:
        raise UnsupportedEnvironmentError(
            "The folder that this command was started in was removed.",
            advice="Change to a folder that exists.",
            reason="no_working_directory",
        ) from error
