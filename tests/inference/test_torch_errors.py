"""Failed allocations and operations that do not repeat are named errors; other errors stay what they are."""

from __future__ import annotations

import pytest
import torch

from pytorch_designer.errors import ModuleOutOfMemoryError, UnsupportedEnvironmentError
from pytorch_designer.inference.torch_errors import torch_errors


def fail(error: Exception, *, where: str | None = "batch_size", advice: str | None = None) -> None:
    with torch_errors(12, where=where, advice=advice):
        raise error


def test_gpu_out_of_memory_names_the_batch() -> None:
    with pytest.raises(ModuleOutOfMemoryError, match="batch of 12 images") as caught:
        fail(torch.OutOfMemoryError("CUDA out of memory."))
    assert caught.value.where == "batch_size"
    assert "batch_size" in caught.value.advice


def test_advice_can_be_that_of_a_run_without_a_batch_size() -> None:
    with pytest.raises(ModuleOutOfMemoryError) as caught:
        fail(torch.OutOfMemoryError("CUDA out of memory."), where="dataset", advice="Use a larger GPU.")
    assert (caught.value.where, caught.value.advice) == ("dataset", "Use a larger GPU.")


def test_real_allocation_that_the_machine_cannot_make_is_named() -> None:
    with pytest.raises(ModuleOutOfMemoryError, match="machine has too little memory"), torch_errors(12):
        torch.empty(2**60, dtype=torch.uint8)


def test_operation_that_does_not_repeat_is_named() -> None:
    torch.use_deterministic_algorithms(True)
    try:
        with pytest.raises(UnsupportedEnvironmentError, match="repeats bit for bit") as caught, torch_errors(12):
            torch.zeros(3).put_(torch.tensor([0]), torch.tensor([1.0]))
    finally:
        torch.use_deterministic_algorithms(False)
    assert caught.value.where == "PYTORCH_DESIGNER_DETERMINISTIC"
    assert "put_ does not have a deterministic implementation" in str(caught.value)


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        fail(RuntimeError("shapes cannot be multiplied"))
