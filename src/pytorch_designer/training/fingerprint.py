"""A hash of everything that determines the result of a run, so that a checkpoint is never continued by another run."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from pytorch_designer.directories.image_directory import ImageDirectory


def run_fingerprint(
    *, facts: Mapping[str, Any], network: nn.Module, training: ImageDirectory, validation: ImageDirectory
) -> str:
    """SHA-256, as hexadecimal text, of the run's inputs.

    The names, labels and order of the images count, not the bytes of the image files, which are not read for this.

    Args:
        facts: JSON data: parameters, preprocessing, classes, versions, device, precision, number of threads.
        network: The network before the first step; its weights count.
        training: Training images.
        validation: Validation images.
    """
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for dataset in (training, validation):
        for file in dataset.files:
            digest.update(file.encode("utf-8", "surrogateescape") + b"\0")
        digest.update(json.dumps(dataset.classes).encode())
        if dataset.labels is not None:
            digest.update(dataset.labels.tobytes())
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def _bytes(tensor: Tensor) -> memoryview:
    array: NDArray[Any] = tensor.detach().cpu().contiguous().reshape(-1).numpy()
    return array.data.cast("B")
