"""Safe reading and writing of weight files: no code from a file is executed.

safetensors files contain only tensors. The old designer's `model` files are pickles; they are read with torch's
restricted unpickler, which refuses everything except tensors and plain containers.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import pickletools
import re
import struct
import warnings
import zipfile
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import torch
from torch import Tensor, nn

from pytorch_designer.errors import DesignerError, InvalidModelDirectoryError, shorten
from pytorch_designer.storage.paths import reading_errors
from pytorch_designer.storage.retrying import open_retrying

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_NUMPY_TYPES = frozenset({torch.float32, torch.float64, torch.int64})
_END_OF_ZIP = b"PK\x05\x06"
_END_OF_ZIP_BYTES = 22
_FINGERPRINT_DIGITS = 12
_MAX_PICKLE_BYTES = 4 << 20  # the names and shapes of some thousand tensors take a tenth
_NAMING_OPCODES = frozenset({"GLOBAL", "STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"})
_TENSOR_NAME = re.compile(r"torch(\.\w+)* \w+|collections OrderedDict")  # of which torch knows the harmless ones
# What weight files hold beside the numbers, rounded up: names, shapes, alignment.
_HEADER_BYTES = 1 << 20
_HEADER_BYTES_PER_TENSOR = 1 << 10
# Exceptions that the restricted unpickler raises for bytes that are not a state dict; none of them is documented.
_UNPICKLING_FAULTS = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    NotImplementedError,
    OverflowError,
    struct.error,
    MemoryError,
    ImportError,
    zipfile.BadZipFile,
)


def check_weight_file(path: Path, *networks: nn.Module) -> None:
    """Check, before any of it is in memory, that a weight file is not larger than its network.

    Args:
        path: The file.
        networks: What it may hold together, for instance on the meta device.

    Raises:
        InvalidModelDirectoryError: It is larger than all values of the networks in double precision, or, as
            safetensors, begins with a header that is.
    """
    tensors = [tensor for network in networks for tensor in network.state_dict().values()]
    header_bytes = _HEADER_BYTES + _HEADER_BYTES_PER_TENSOR * len(tensors)
    most_bytes = header_bytes + sum(8 * tensor.numel() for tensor in tensors)
    with reading_errors(path, InvalidModelDirectoryError), open_retrying(path) as stream:
        num_bytes = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        claimed_bytes = int.from_bytes(stream.read(8), "little")  # of a state dict this is beyond any size
    if num_bytes > most_bytes or header_bytes < claimed_bytes <= num_bytes:
        raise InvalidModelDirectoryError(
            f"The weight file has {num_bytes:,} bytes, and the network that the model specifies takes at most "
            f"{most_bytes:,}: nothing was loaded."
            if num_bytes > most_bytes
            else f"The header of the weight file has {claimed_bytes:,} bytes, and that of this network at most "
            f"{header_bytes:,}: nothing was loaded.",
            where=path,
            reason="other_weights",
        )


def read_safetensors(path: Path, error: type[DesignerError] = InvalidModelDirectoryError) -> dict[str, Tensor]:
    """All tensors of a safetensors file, copied into memory.

    Raises:
        error: The file cannot be read, is truncated, has trailing bytes, or its header is wrong.
    """
    import safetensors
    import safetensors.torch

    try:
        # From bytes, not from a memory map: the file may be on a mount that disappears.
        with open_retrying(path) as stream:
            tensors: dict[str, Tensor] = safetensors.torch.load(stream.read())
    except (safetensors.SafetensorError, ValueError, TypeError, KeyError, RuntimeError, OSError) as fault:
        raise error(
            "The weight file is not a valid safetensors file.", where=path, examples=[fault], reason="bad_weights"
        ) from fault
    return tensors


def write_safetensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors of any device and memory layout; floating-point tensors are stored as float32.

    Raises:
        OSError: The file cannot be written.
    """
    import safetensors.torch

    stored = {name: _as_stored(tensor) for name, tensor in tensors.items()}
    path.write_bytes(safetensors.torch.save(stored, metadata={"format": "pt"}))


def weights_fingerprint(tensors: Mapping[str, Tensor]) -> str:
    """Twelve hexadecimal digits by which people tell models apart: a hash of names and numbers, as they are stored."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(_as_stored(tensors[name]).reshape(-1).numpy()).data.cast("B"))
    return digest.hexdigest()[:_FINGERPRINT_DIGITS]


def read_state_dict(path: Path, error: type[DesignerError] = InvalidModelDirectoryError) -> dict[str, Tensor]:
    """The tensors of a state dict that `torch.save` wrote, in its zip format or the older one.

    Raises:
        error: The file is anything else, for instance a pickle with code. Nothing in it was run.
    """
    try:
        with open_retrying(path) as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's warnings about a file are either errors below or irrelevant
            is_zip = _check_zip(stream)
            _check_names(stream, is_zip=is_zip)
            content = torch.load(stream, map_location="cpu", weights_only=True)
            if not is_zip and stream.read(1):
                raise pickle.UnpicklingError("the file has bytes after its end")
    except (*_UNPICKLING_FAULTS, OSError) as fault:
        raise error(
            "The weight file is not a state dict that can be read safely; nothing in it was run.",
            where=path,
            examples=[str(fault).split("\n", maxsplit=1)[0]],
            advice="Save the model again with torch.save(model.state_dict(), path), or train it again.",
            reason="bad_weights",
        ) from fault
    if not isinstance(content, dict) or not all(_is_plain_tensor(item) for item in content.items()):
        raise error("The weight file contains more than named tensors.", where=path, reason="bad_weights")
    return {name: tensor.detach() for name, tensor in content.items()}


def check_tensors(
    tensors: Mapping[str, Tensor],
    expected: nn.Module,
    where: Path,
    error: type[DesignerError] = InvalidModelDirectoryError,
) -> None:
    """Check that tensors fit the state of `expected`, for instance a network on the meta device.

    Raises:
        error: A name is missing or unexpected, a shape or kind of dtype differs, or a weight is NaN or infinite.
    """
    state = expected.state_dict()
    differences = [f"{name}: missing, should be {list(state[name].shape)}" for name in state if name not in tensors]
    differences += [f"{name}: not part of the network" for name in tensors if name not in state]
    differences += [
        f"{name}: {list(tensor.shape)} of {tensor.dtype}, should be {list(state[name].shape)} of {state[name].dtype}"
        for name, tensor in tensors.items()
        if name in state and not _fits(tensor, state[name])
    ]
    if differences:
        raise error(
            "The weights do not fit the network that the model specifies.",
            where=where,
            examples=differences,
            reason="other_weights",
        )
    non_finite = [name for name, tensor in tensors.items() if not _is_finite(tensor)]
    if non_finite:
        raise error("The weights contain NaN or infinity.", where=where, examples=non_finite, reason="non_finite")


def network_with_tensors(
    on_meta: nn.Module, build: Callable[[], nn.Module], tensors: Mapping[str, Tensor]
) -> nn.Module:
    """A network with the given tensors, in evaluation mode on the CPU.

    Args:
        on_meta: The network on the meta device. It is returned if the tensors are its complete state, which saves the
            time to draw random weights.
        build: Builds the network on the CPU, for networks with buffers that are not in their weight files.
        tensors: Tensors that have passed `check_tensors`.
    """
    state = on_meta.state_dict()  # keeps its metadata, without which MNASNet does not load
    for name, tensor in tensors.items():
        state[name] = tensor.to(state[name].dtype)
    if all(name in state for name, _ in on_meta.named_buffers()):
        on_meta.load_state_dict(state, assign=True)
        return on_meta.eval()
    with torch.random.fork_rng(devices=[]):
        network = build()
    network.load_state_dict(state)
    return network.eval()


def _as_stored(tensor: Tensor) -> Tensor:
    dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to("cpu", dtype).clone(memory_format=torch.contiguous_format)


def _fits(tensor: Tensor, expected: Tensor) -> bool:
    is_same_kind = tensor.is_floating_point() == expected.is_floating_point() and not tensor.is_complex()
    return is_same_kind and tensor.shape == expected.shape


def _is_finite(tensor: Tensor) -> bool:
    # NumPy, because torch splits each tensor among all cores and waits for the slowest, which may be busy.
    values = tensor if tensor.dtype in _NUMPY_TYPES else tensor.float()
    return bool(np.isfinite(values.numpy()).all())


def _is_plain_tensor(item: tuple[Any, Any]) -> bool:
    name, value = item
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
    )


def _check_names(stream: BinaryIO, *, is_zip: bool) -> None:
    """Refuse pickles that name anything but tensors: torch's unpickler also makes byte arrays of any length."""
    stream.seek(0)
    if is_zip:
        archive = zipfile.ZipFile(stream)
        entries = [entry for entry in archive.infolist() if entry.filename.endswith("data.pkl")]
        if sum(entry.file_size for entry in entries) > _MAX_PICKLE_BYTES:
            raise pickle.UnpicklingError("its list of tensors is too long")
        pickles = [io.BytesIO(archive.read(entry)) for entry in entries]
    else:  # a magic number, a version, the system, the state dict and its keys, before the numbers
        pickles = [io.BytesIO(stream.read(_MAX_PICKLE_BYTES))] * 5
    for pickled in pickles:
        for opcode, argument, _ in pickletools.genops(pickled):
            is_known = opcode.name == "GLOBAL" and _TENSOR_NAME.fullmatch(str(argument)) is not None
            if opcode.name in _NAMING_OPCODES and not is_known:
                raise pickle.UnpicklingError(f"it names {shorten(str(argument), 60)}, which is not part of a tensor")
    stream.seek(0)


def _check_zip(stream: BinaryIO) -> bool:
    """True if the file is a zip; zips that torch.save does not write (trailing bytes, compression) are refused."""
    is_zip = stream.read(2) == b"PK"
    if is_zip:
        num_bytes = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, num_bytes - _END_OF_ZIP_BYTES))
        if not stream.read().startswith(_END_OF_ZIP):
            raise zipfile.BadZipFile("the file is truncated or has bytes after its end")
        entries = zipfile.ZipFile(stream).infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise zipfile.BadZipFile("an entry is compressed")
        if sum(entry.file_size for entry in entries) > num_bytes:
            raise zipfile.BadZipFile("entries share their bytes")
    stream.seek(0)
    return is_zip
