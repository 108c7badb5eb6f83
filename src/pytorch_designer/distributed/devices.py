"""GPUs of the processes of a run: one for each process, and as many processes as there are GPUs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pytorch_designer.imports import quick_import
from pytorch_designer.settings import settings

_NVIDIA_GPUS = Path("/proc/driver/nvidia/gpus")
_OTHER_DRIVERS = (Path("/dev/kfd"), Path("/dev/dxg"))  # AMD; Windows below WSL
_ANY_GPU = frozenset({"auto", "gpu", "cuda"})


def prepare_torch() -> None:
    """Set what a process of several needs before torch is imported: no warnings, and NCCL's errors left to us."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # a warning about a broken connection is a stack trace
    # Else NCCL's own thread ends the process when the watch aborts an exchange, before the cause has been reported.
    os.environ["TORCH_NCCL_ASYNC_ERROR_HANDLING"] = "0"


def import_torch() -> None:
    """Import torch as a process of several needs it."""
    prepare_torch()
    with quick_import("torch"):
        import torch  # noqa: F401 - for what follows


def planned_processes() -> int:
    """Number of processes to train with on this machine: the setting `processes`, or one per GPU, at least one."""
    number = settings().processes
    if number != "auto":
        return int(number)
    if settings().device not in _ANY_GPU or not _may_have_several_gpus():
        return 1
    with quick_import("torch"):
        import torch
    return max(1, torch.cuda.device_count() if torch.cuda.is_available() else 0)


def chosen_gpu(local_rank: int) -> tuple[str | None, str | None]:
    """The GPU of a process: its name for torch, and an identifier that no other GPU has.

    Both are None where there is none, and where the setting `device` names one: processes may then share it.

    Args:
        local_rank: Number of the process on its node.
    """
    import torch

    if settings().device not in _ANY_GPU or not torch.cuda.is_available():
        return None, None
    index = local_rank % torch.cuda.device_count()  # a launcher may show each process its own GPU alone
    return f"cuda:{index}", str(torch.cuda.get_device_properties(index).uuid)


def _may_have_several_gpus() -> bool:
    """True if torch has to be asked, which takes seconds to import. macOS has one; on Windows a number is set."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        num_gpus = sum(1 for _ in _NVIDIA_GPUS.iterdir())
    except OSError:
        num_gpus = 0
    return num_gpus > 1 or any(path.exists() for path in _OTHER_DRIVERS)
