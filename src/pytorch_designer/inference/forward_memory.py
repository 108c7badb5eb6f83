"""Memory of a forward pass, estimated before it is tried: the system ends a process that takes too much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from pytorch_designer.images.budgets import check_batch_memory, describe_free_memory
from pytorch_designer.system.out_of_memory import out_of_memory_error
from pytorch_designer.system.resources import available_memory_bytes
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from pytorch_designer.directories.preprocessing import Preprocessing
    from pytorch_designer.inference.compute import Compute

_LARGE_PIXELS = 2**20  # smaller images fit, whatever the network
_BYTES = {"fp32": 4, "bf16": 2}


def has_large_images(sizing: Preprocessing) -> bool:
    """True if a forward pass of one image may take more memory than the machine has."""
    return sizing.crop_height * sizing.crop_width >= _LARGE_PIXELS


def check_forward_memory(
    network: nn.Module, sizing: Preprocessing, compute: Compute, num_images: int, *, where: str, advice: str
) -> None:
    """Refuse images that are too large for the memory of this machine, by their batches and by the network's layers.

    Args:
        network: Takes images of the size of `sizing`; on any device.
        sizing: The size of the images of a batch.
        compute: Device, precision, and processes that share the memory. The layers count on a processor only: a GPU
            reports that its memory has run out.
        num_images: Images per batch.
        where: The port or the parameter that determines the size.
        advice: What to do.

    Raises:
        ModuleOutOfMemoryError: There is too little.
    """
    num_processes = compute.num_processes
    check_batch_memory(sizing, num_images, where=where, advice=advice, num_processes=num_processes)
    if compute.device.type != "cpu" or not has_large_images(sizing):
        return
    height, width = sizing.crop_height, sizing.crop_width
    num_bytes = num_images * _BYTES[compute.precision] * largest_layer(network, height, width)
    free = available_memory_bytes() // num_processes
    if num_bytes > free:
        raise out_of_memory_error(
            f"A layer of this model takes about {num_bytes / 1e9:.1f} GB of memory for a batch of "
            f"{count(num_images, 'image')} of {width}x{height} pixels; {describe_free_memory(free, num_processes)}.",
            where=where,
            advice=advice,
        )


def largest_layer(network: nn.Module, height: int, width: int) -> int:
    """Numbers in the input and the output, together, of the layer for which there are most, for one image.

    It is found by a forward pass on the meta device, which computes nothing and leaves the network as it is.
    """
    state = {
        name: torch.empty_like(tensor, device="meta")
        for name, tensor in (*network.named_parameters(), *network.named_buffers())
    }
    sizes: list[int] = []

    def note(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        tensors = (value for value in (*inputs, output) if isinstance(value, torch.Tensor))
        sizes.append(sum(tensor.numel() for tensor in tensors))

    layers = [module for module in network.modules() if not any(module.children())]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    modes = {module: module.training for module in network.modules()}
    try:
        network.eval()
        with torch.no_grad():
            torch.func.functional_call(network, state, (torch.empty(1, 3, height, width, device="meta"),))
    finally:
        for module, is_training in modes.items():
            module.training = is_training
        for hook in hooks:
            hook.remove()
    return max(sizes)
