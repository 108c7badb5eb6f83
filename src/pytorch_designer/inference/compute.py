"""Device, precision and memory layout of a network: chosen from the hardware and the image size, never from timing.

A run on the same machine therefore repeats bit for bit. Measurements: docs/decisions/0012-precision.md.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
import torchvision

from pytorch_designer import __version__
from pytorch_designer.distributed.world import ONE_PROCESS, World
from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.images.decoding.jpeg_decoder import jpeg_decoder
from pytorch_designer.system.openmp import describe_waiting
from pytorch_designer.system.resources import cores_per_process
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from pytorch_designer.models.loading import LoadedModel
    from pytorch_designer.settings import Settings

# Below this many pixels an image's layers are too small for bf16 to gain on a CPU (ResNet-18, 2 cores, avx512_bf16:
# 0.55 of the speed of fp32 at 8 px, equal at 32 and 48 px, 1.5 times at 64 px, 2.2 times at 224 px).
_FEWEST_PIXELS_FOR_CPU_BF16 = 48 * 48

# Of cuBLAS; with another one its matrix products may be summed in a different order each time.
CUBLAS_VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
_REPEATABLE_WORKSPACES = (":4096:8", ":16:8")

_OPENMP_VARIABLE = "OMP_NUM_THREADS"

# The names of malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_NEVER_TRIM = -1
_LARGEST_KEPT_BYTES = 2**30
_LARGEST_KEPT_BYTES_BEFORE_GLIBC_2_35 = 2**25

_USER_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")

Precision = Literal["fp32", "bf16"]


@dataclass(frozen=True)
class Compute:
    """Device, precision, layout and threads of a network.

    Attributes:
        device: Device of the network and the batches.
        precision: `bf16`: forward pass under bf16 autocast, weights and optimizer in fp32. `fp32`: everything in fp32.
        memory_format: Layout of images and convolution weights.
        num_threads: Threads of a CPU operation.
        is_deterministic: Whether operations must repeat bit for bit.
        num_processes: Processes of this run on this machine, which share its cores.
    """

    device: torch.device
    precision: Precision
    memory_format: torch.memory_format
    num_threads: int
    is_deterministic: bool
    num_processes: int = 1

    @property
    def takes_all_cores(self) -> bool:
        """True if the network computes with all cores that this process may use."""
        return self.device.type == "cpu" and self.num_threads >= cores_per_process(self.num_processes)

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of a forward pass."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def activate(self) -> None:
        """Apply this to the process-wide settings of torch and of the allocator below it."""
        torch.set_num_threads(self.num_threads)
        torch.get_num_threads()  # from now on this thread keeps its number, whatever other threads set theirs to
        keep_freed_memory()
        if self.device.type != "cuda":
            return
        if self.device.index:  # streams, graphs and events are made for the current device, which is the first
            torch.cuda.set_device(self.device)
        torch.backends.cudnn.benchmark = False  # picks kernels by timing: not repeatable
        torch.set_float32_matmul_precision("high")  # TF32, as convolutions have it by default
        if self.is_deterministic and os.environ.get(CUBLAS_VARIABLE) not in _REPEATABLE_WORKSPACES:
            os.environ[CUBLAS_VARIABLE] = _REPEATABLE_WORKSPACES[0]
        # Not only as warnings: attention would then sum its gradients in no fixed order, although it can do otherwise.
        torch.use_deterministic_algorithms(self.is_deterministic)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a property

    def describe(self) -> str:
        """One line for a log: device, precision, layout, threads."""
        layout = "channels_last" if self.memory_format == torch.channels_last else "contiguous"
        if self.device.type == "cuda":
            return f"{torch.cuda.get_device_name(self.device)}, {self.precision}, {layout}"
        return f"{self.device.type}, {count(self.num_threads, 'thread')}, {self.precision}, {layout}"


def choose_compute(settings: Settings, *, height: int, width: int, world: World = ONE_PROCESS) -> Compute:
    """The choice for images of `height` x `width` pixels on this machine.

    Args:
        settings: What was asked for.
        height: Of an image.
        width: Of an image.
        world: The processes of the run: those on this machine share its cores.

    Raises:
        UnsupportedEnvironmentError: A device was asked for that this machine does not have.
    """
    num_processes = world.membership.local_size
    device = _device(world.membership.device or settings.device)
    precision = settings.precision if settings.precision != "auto" else _precision(device, height * width)
    return Compute(
        device=device,
        precision=precision,
        memory_format=torch.channels_last if precision == "bf16" or device.type == "cuda" else torch.contiguous_format,
        num_threads=settings.num_threads or _num_threads(num_processes),
        is_deterministic=settings.deterministic,
        num_processes=num_processes,
    )


def choose_model_compute(model: LoadedModel, settings: Settings) -> Compute:
    """The choice for a trained model: that of its validation, or fp32 for an old model, which was trained in it.

    Raises:
        UnsupportedEnvironmentError: As in `choose_compute`.
    """
    if model.preprocessing is not None:
        size = model.preprocessing
        return choose_compute(settings, height=size.crop_height, width=size.crop_width)
    if settings.precision == "auto":
        settings = settings.model_copy(update={"precision": "fp32"})
    return choose_compute(settings, height=1, width=1)  # a size decides the precision only, which is decided


def environment_info(compute: Compute) -> dict[str, str]:
    """Versions and hardware, by label. Of the environment only how OpenMP waits: other variables hold secrets."""
    versions = f"pytorch-designer {__version__}, torch {torch.__version__}, torchvision {torchvision.__version__}"
    info = {
        "Versions": f"{versions}, Python {platform.python_version()}",
        "Device": compute.describe(),
        "JPEG decoder": jpeg_decoder().name,
    }
    waiting = describe_waiting() if compute.device.type == "cpu" else ""
    return info | ({"OpenMP": waiting} if waiting else {})


def keep_freed_memory() -> bool:
    """Let this process keep the memory it frees instead of returning it to the kernel.

    Every training step on a CPU, and every image that is decoded, allocates and frees the same large blocks. By default
    glibc returns each of them to the kernel, and the next step pays for fresh, zeroed pages: a fifth of the time of
    ResNet-18 at 32 pixels (docs/benchmarks_log.md, "Training speed").

    The process then stays at its peak of memory. Blocks of more than 1 GiB (before glibc 2.35, 32 MiB) are still
    returned. An environment that configures the allocator (`MALLOC_TRIM_THRESHOLD_`, `MALLOC_MMAP_THRESHOLD_`,
    `GLIBC_TUNABLES`) is left alone, and so are other C libraries.

    Returns:
        Whether it was done.
    """
    set_option = _function_of_allocator("mallopt")
    if set_option is None:
        return False
    is_set = any(
        set_option(_M_MMAP_THRESHOLD, size) for size in (_LARGEST_KEPT_BYTES, _LARGEST_KEPT_BYTES_BEFORE_GLIBC_2_35)
    )
    return is_set and bool(set_option(_M_TRIM_THRESHOLD, _NEVER_TRIM))


def return_freed_memory() -> None:
    """Undo `keep_freed_memory`: return what is free, and keep no more than glibc does by itself.

    glibc cannot be asked for its options. They become those that its own adjustment to large blocks ends at.
    """
    set_option, trim = _function_of_allocator("mallopt"), _function_of_allocator("malloc_trim")
    if set_option is not None and trim is not None:
        set_option(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES_BEFORE_GLIBC_2_35)
        set_option(_M_TRIM_THRESHOLD, 2 * _LARGEST_KEPT_BYTES_BEFORE_GLIBC_2_35)
        trim(0)


def _function_of_allocator(name: str) -> Any:
    """A function of glibc; None for other C libraries, and where the environment configures the allocator."""
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _USER_SETTINGS):
        return None
    return getattr(ctypes.CDLL(None), name, None)


def _num_threads(num_processes: int) -> int:
    """Threads of a CPU operation. OMP_NUM_THREADS, which torch follows, is for one process; its own choice for all."""
    by_torch = torch.get_num_threads()
    if _OPENMP_VARIABLE not in os.environ:
        by_torch = max(1, by_torch // num_processes)
    return min(cores_per_process(num_processes), by_torch)


def _device(name: str) -> torch.device:
    """The device of the setting `device`."""
    there = _devices()
    if name in ("auto", "gpu"):
        gpus = [device for device in there if device.type == "cuda" or (device.type == "mps" and name == "gpu")]
        if gpus or name == "auto":
            return gpus[0] if gpus else torch.device("cpu")
    wanted = name if name != "cuda" else "cuda:0"
    found = [device for device in there if str(device) == wanted]
    if not found:
        raise UnsupportedEnvironmentError(
            f"The device {name} was asked for, but this machine has none that torch {torch.__version__} can use. "
            f"It has {', '.join(map(_with_name, there))}.",
            where="PYTORCH_DESIGNER_DEVICE",
            advice="Name one of these, or leave the variable unset for the automatic choice.",
        )
    return found[0]


def _devices() -> list[torch.device]:
    """The devices that torch can use here, GPUs first."""
    num_cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
    others = ["mps", "cpu"] if torch.backends.mps.is_available() else ["cpu"]
    return [torch.device("cuda", index) for index in range(num_cuda)] + [torch.device(name) for name in others]


def _with_name(device: torch.device) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def _precision(device: torch.device, num_pixels: int) -> Precision:
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu" and num_pixels >= _FEWEST_PIXELS_FOR_CPU_BF16 and cpu_computes_bf16():
        return "bf16"
    return "fp32"


def cpu_computes_bf16() -> bool:
    """True if the processor multiplies bfloat16 in hardware."""
    if hasattr(torch.cpu, "get_capabilities"):
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    # Before torch 2.10 there is no public function.
    is_supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return is_supported is not None and bool(is_supported())
