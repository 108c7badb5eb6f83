"""A hash of everything that determines the result of a run, so that a checkpoint is never continued by another run."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from pytorch_designer.storage.retrying import retrying

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from pytorch_designer.directories.image_directory import ImageDirectory

_MAX_SAMPLE = 256
_STAT_THREADS = 16


def run_fingerprint(
    *, facts: Mapping[str, Any], weights: Mapping[str, Tensor], training: ImageDirectory, validation: ImageDirectory
) -> str:
    """SHA-256, as hexadecimal text, of the run's inputs.

    The names, labels and order of the images count, and the sizes of some of their files, evenly spread; the bytes of
    the files do not, since reading them all would cost an epoch.

    Args:
        facts: JSON data: parameters, preprocessing, classes, versions, device, precision, number of threads.
        weights: The network's state before the first step, by name.
        training: Training images.
        validation: Validation images.
    """
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for dataset in (training, validation):
        digest.update(dataset.files.data)
        digest.update(dataset.files.offsets.data.cast("B"))
        digest.update(json.dumps(dataset.classes).encode())
        if dataset.labels is not None:
            digest.update(dataset.labels.tobytes())
        digest.update(json.dumps(_sampled_file_sizes(dataset)).encode())
    for name, tensor in weights.items():
        digest.update(name.encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def _sampled_file_sizes(dataset: ImageDirectory) -> list[int]:
    rows = np.unique(np.linspace(0, len(dataset) - 1, min(len(dataset), _MAX_SAMPLE)).round().astype(np.int64))
    parts = np.array_split(rows, min(_STAT_THREADS, len(rows)))
    with ThreadPoolExecutor(_STAT_THREADS) as threads:  # a cloud mount takes milliseconds for each
        return list(chain.from_iterable(threads.map(partial(_sizes_or_nothing, dataset), parts)))


def _sizes_or_nothing(dataset: ImageDirectory, rows: NDArray[np.int64]) -> list[int]:
    return [_size_or_nothing(dataset.path(row)) for row in rows.tolist()]


def _size_or_nothing(path: Path) -> int:
    try:
        return retrying(path.stat).st_size
    except OSError:  # a file that is gone is the loader's to name
        return -1


def _bytes(tensor: Tensor) -> memoryview:
    array: NDArray[Any] = tensor.detach().cpu().contiguous().reshape(-1).numpy()
    return array.data.cast("B")
