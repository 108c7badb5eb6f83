"""Failed allocations of a batch, as the named error."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from pytorch_designer.errors import ModuleOutOfMemoryError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def memory_errors(num_images: int, *, where: str | None = "batch_size", advice: str | None = None) -> Iterator[None]:
    """Turn a failed allocation of a batch of `num_images` images into a `ModuleOutOfMemoryError` that names it.

    Args:
        num_images: Images in the batch.
        where: The parameter or port that decides how much memory is needed.
        advice: What to do; None for the error's own advice.

    Raises:
        ModuleOutOfMemoryError: In place of torch's error.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ModuleOutOfMemoryError(
            f"The GPU has too little memory for a batch of {num_images} images with this model.",
            where=where,
            advice=advice,
        ) from error
    except RuntimeError as error:
        # torch has no class of its own for a failed allocation on the CPU; the allocator's name is all it gives.
        if "DefaultCPUAllocator" not in str(error):
            raise
        raise ModuleOutOfMemoryError(
            f"The machine has too little memory for a batch of {num_images} images with this model.",
            where=where,
            advice=advice,
        ) from error
