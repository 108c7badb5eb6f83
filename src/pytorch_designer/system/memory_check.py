"""Refusal of what the memory of this machine does not hold, before any of it is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.errors import DesignerError, ModuleOutOfMemoryError
from pytorch_designer.system.resources import available_memory_bytes

if TYPE_CHECKING:
    from pathlib import Path

_UNCHECKED_BYTES = 64 << 20


def check_memory(
    num_bytes: int,
    what: str,
    *,
    where: Path | str,
    advice: str,
    error: type[DesignerError] = ModuleOutOfMemoryError,
) -> None:
    """Make sure that `num_bytes` bytes of memory are free.

    Args:
        num_bytes: How many something will take.
        what: What takes them, as the start of a sentence.
        where: The file or folder that asks for it.
        advice: What to do about it.
        error: The class of the error.

    Raises:
        DesignerError: An `error` with the reason "too_large".
    """
    if num_bytes <= _UNCHECKED_BYTES:
        return
    available = available_memory_bytes()
    if num_bytes > available:
        raise error(
            f"{what} about {num_bytes / 2**30:,.1f} GiB of memory, and {available / 2**30:,.1f} GiB are free.",
            where=where,
            advice=advice,
            reason="too_large",
        )
