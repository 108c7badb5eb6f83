"""Named errors for the exceptions of torch."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from pytorch_designer.errors import ModuleOutOfMemoryError, UnsupportedEnvironmentError
from pytorch_designer.system.out_of_memory import is_out_of_memory
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def torch_errors(num_images: int, *, where: str | None = "batch_size", advice: str | None = None) -> Iterator[None]:
    """Name the errors of computing a batch of `num_images` images.

    Args:
        num_images: Images in the batch.
        where: The parameter or port that determines how much memory is needed.
        advice: What to do where there is too little memory; None for the error's own advice.

    Raises:
        ModuleOutOfMemoryError: An allocation failed.
        UnsupportedEnvironmentError: Runs are to repeat bit for bit, and an operation cannot.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ModuleOutOfMemoryError(
            f"The GPU has too little memory for a batch of {count(num_images, 'image')} with this model.",
            where=where,
            advice=advice,
        ) from error
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise ModuleOutOfMemoryError(
                f"The machine has too little memory for a batch of {count(num_images, 'image')} with this model.",
                where=where,
                advice=advice,
            ) from error
        if "use_deterministic_algorithms" in str(error):  # torch has no class for it
            raise UnsupportedEnvironmentError(
                f"Torch {torch.__version__} cannot compute this model here so that it repeats bit for bit.",
                where="PYTORCH_DESIGNER_DETERMINISTIC",
                advice="Set it to false, after which two runs may differ a little, or use another model.",
                examples=[error],
            ) from error
        raise
