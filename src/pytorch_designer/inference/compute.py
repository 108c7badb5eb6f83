"""Where and in which number format a network runs: chosen from the hardware and the image size, never from timing.

The choice is a function of what the machine is, so that a run on the same machine repeats bit for bit.
Measured grounds: docs/benchmarks.md, "Precision".
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.inference.allocator import keep_freed_memory
from pytorch_designer.system.resources import usable_cores

if TYPE_CHECKING:
    from pytorch_designer.settings import Settings

# Below this many pixels an image's layers are too small for bf16 to gain on a CPU (ResNet-18, 2 cores, avx512_bf16:
# 0.55 of the speed of fp32 at 8 px, equal at 32 and 48 px, 1.5 times at 64 px, 2.2 times at 224 px).
_FEWEST_PIXELS_FOR_CPU_BF16 = 48 * 48

# Of cuBLAS; with another its matrix products may be added up in another order each time.
_REPEATABLE_WORKSPACES = (":4096:8", ":16:8")

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class ComputePlan:
    """How tensors are computed.

    Attributes:
        device: Where the network and the batches are.
        precision: `bf16`: forward pass under bf16 autocast, weights and optimizer in fp32. `fp32`: all in fp32.
        memory_format: Layout of images and convolution weights.
        num_threads: Threads of a CPU operation.
        is_deterministic: Whether operations that repeat bit for bit are demanded.
    """

    device: torch.device
    precision: Precision
    memory_format: torch.memory_format
    num_threads: int
    is_deterministic: bool

    @property
    def takes_all_cores(self) -> bool:
        """Whether the network computes with all cores that this process may use."""
        return self.device.type == "cpu" and self.num_threads >= usable_cores()

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of a forward pass."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def activate(self) -> None:
        """Make the process-wide settings of torch, and of the allocator below it, those of this plan."""
        torch.set_num_threads(self.num_threads)
        torch.get_num_threads()  # from now on this thread keeps its number, whatever other threads set theirs to
        if self.device.type == "cpu":
            keep_freed_memory()
        if self.device.type != "cuda":
            return
        torch.backends.cudnn.benchmark = False  # picks kernels by timing: not repeatable
        torch.set_float32_matmul_precision("high")  # TF32, as convolutions have it by default
        if self.is_deterministic and os.environ.get("CUBLAS_WORKSPACE_CONFIG") not in _REPEATABLE_WORKSPACES:
            os.environ["CUBLAS_WORKSPACE_CONFIG"] = _REPEATABLE_WORKSPACES[0]
        # Not as warnings alone: then attention adds its gradients up in no fixed order, though it has a form that does.
        torch.use_deterministic_algorithms(self.is_deterministic)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]

    def describe(self) -> str:
        """One line for a log: device, precision, layout, threads."""
        layout = "channels_last" if self.memory_format == torch.channels_last else "contiguous"
        if self.device.type == "cuda":
            return f"{torch.cuda.get_device_name(self.device)}, {self.precision}, {layout}"
        return f"{self.device.type}, {self.num_threads} threads, {self.precision}, {layout}"


def choose_compute(settings: Settings, *, height: int, width: int) -> ComputePlan:
    """The plan for images of `height` x `width` pixels on this machine.

    Raises:
        UnsupportedEnvironmentError: A device was asked for that this machine does not have.
    """
    device = _device(settings.device)
    precision = settings.precision if settings.precision != "auto" else _precision(device, height * width)
    return ComputePlan(
        device=device,
        precision=precision,
        memory_format=torch.channels_last if precision == "bf16" or device.type == "cuda" else torch.contiguous_format,
        num_threads=settings.num_threads or min(usable_cores(), torch.get_num_threads()),
        is_deterministic=settings.deterministic,
    )


def _device(name: Literal["auto", "cpu", "cuda", "mps"]) -> torch.device:
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device("cuda", 0) if available["cuda"] else torch.device("cpu")
    if not available[name]:
        raise UnsupportedEnvironmentError(
            f"The device {name} was asked for, but this machine has none that torch {torch.__version__} can use.",
            where="PYTORCH_DESIGNER_DEVICE",
            advice="Leave the variable unset for the automatic choice.",
        )
    return torch.device(name, 0) if name == "cuda" else torch.device(name)


def _precision(device: torch.device, num_pixels: int) -> Precision:
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu" and num_pixels >= _FEWEST_PIXELS_FOR_CPU_BF16 and _cpu_computes_bf16():
        return "bf16"
    return "fp32"


def _cpu_computes_bf16() -> bool:
    if hasattr(torch.cpu, "get_capabilities"):
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    # Before torch 2.10 nothing public tells.
    is_supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return is_supported is not None and bool(is_supported())
