"""State of torch that belongs to the whole process: kept while something is computed, for the program around it.

`Compute.activate` and the seeds of a run change settings and random numbers that a notebook goes on with afterwards.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from pytorch_designer.inference.compute import CUBLAS_VARIABLE, return_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def kept_torch_state() -> Iterator[None]:
    """Put back the settings and random numbers of torch when the context ends; for one context at a time.

    Number of threads, deterministic algorithms, cuDNN's and the matrix products' settings, the current GPU, the states
    of the random generators, and the variable of cuBLAS. Memory that the process was let to keep is given back.
    """
    restorations = [_restored_settings(), _restored_generators(), _restored_device(), _restored_variable()]
    try:
        yield
    finally:
        for restore in restorations:
            restore()
        return_freed_memory()


def _restored_settings() -> Callable[[], None]:
    num_threads = torch.get_num_threads()
    is_deterministic = torch.are_deterministic_algorithms_enabled()
    only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
    utilities: Any = torch.utils.deterministic
    fills_memory = utilities.fill_uninitialized_memory
    cudnn: Any = torch.backends.cudnn
    picks_by_timing = cudnn.benchmark
    matmul_precision = torch.get_float32_matmul_precision()

    def restore() -> None:
        torch.set_num_threads(num_threads)
        torch.use_deterministic_algorithms(is_deterministic, warn_only=only_warns)
        utilities.fill_uninitialized_memory = fills_memory
        cudnn.benchmark = picks_by_timing
        if torch.get_float32_matmul_precision() != matmul_precision:  # setting it also resets what it stands for
            torch.set_float32_matmul_precision(matmul_precision)

    return restore


def _restored_generators() -> Callable[[], None]:
    on_cpu = torch.get_rng_state()
    on_gpus = torch.cuda.get_rng_state_all() if _uses_gpu() else None
    on_mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None

    def restore() -> None:
        torch.set_rng_state(on_cpu)
        if on_gpus is None:
            torch.cuda.manual_seed_all(torch.initial_seed())  # a GPU that was not in use begins at the seed of the CPU
        else:
            torch.cuda.set_rng_state_all(on_gpus)
        if on_mps is not None:
            torch.mps.set_rng_state(on_mps)

    return restore


def _restored_device() -> Callable[[], None]:
    device = torch.cuda.current_device() if _uses_gpu() else 0

    def restore() -> None:
        if _uses_gpu() and torch.cuda.current_device() != device:
            torch.cuda.set_device(device)

    return restore


def _restored_variable() -> Callable[[], None]:
    value = os.environ.get(CUBLAS_VARIABLE)

    def restore() -> None:
        if value is None:
            os.environ.pop(CUBLAS_VARIABLE, None)
        else:
            os.environ[CUBLAS_VARIABLE] = value

    return restore


def _uses_gpu() -> bool:
    return bool(torch.cuda.is_initialized())
