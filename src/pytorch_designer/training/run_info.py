"""Run metadata: what the header, the report and the tracker show, and the fingerprints of a run and its data.

The fingerprint of a run is a hash of everything that determines the result, so that a checkpoint is never continued by
another run (docs/decisions/0011-resume.md).
"""

from __future__ import annotations

import hashlib
import json
import platform
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torchvision

from pytorch_designer import __version__
from pytorch_designer.images.preprocess import MAX_SAMPLE, sample_sizes
from pytorch_designer.models.weights import weights_fingerprint
from pytorch_designer.storage.retrying import retrying
from pytorch_designer.tracking.tracker import TrackedDataset
from pytorch_designer.training.history import DatasetRecord
from pytorch_designer.training.recipe import RECIPE_VERSION
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor, nn
    from typing_extensions import Buffer

    from pytorch_designer.directories.image_directory import ImageDirectory
    from pytorch_designer.images.loader import ImageLoader
    from pytorch_designer.inference.compute import Compute
    from pytorch_designer.training.datasets import LabeledDatasets
    from pytorch_designer.training.inputs import TrainingInputs
    from pytorch_designer.training.recipe import Hyperparameters

_STAT_THREADS = 16


def model_info(inputs: TrainingInputs, network: nn.Module) -> dict[str, str]:
    """The network and the origin of its weights, by label."""
    model, origin = inputs.model, _origin(inputs)
    num_parameters = sum(parameter.numel() for parameter in network.parameters())
    return {"Model": f"{model.architecture.name}, {origin}, {num_parameters / 1e6:.1f} million parameters"}


def weights_info(weights: Mapping[str, Tensor]) -> dict[str, str]:
    """Identification of the trained weights, by label; scored datasets name it too."""
    return {"Weights": weights_fingerprint(weights)}


def data_info(inputs: TrainingInputs, training: ImageLoader, validation: ImageLoader) -> dict[str, str]:
    """The images, their size and their transforms, by label."""
    preprocessing, datasets = inputs.preprocessing, inputs.datasets
    transforms = {"Transforms": ", ".join(str(transform) for transform in preprocessing.transforms)}
    transforms["Augmentation"] = "" if inputs.augmentation is None else inputs.augmentation.describe()
    num_training, num_classes = len(datasets.training), len(datasets.training.classes)
    least, most = int(datasets.training.class_sizes.min()), int(datasets.training.class_sizes.max())
    per_class = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    classes = f"{count(num_classes, 'class', 'classes')}, {per_class} per class"
    return {
        "Training": f"{count(num_training, 'image')} in {classes} ({training.cache.describe()})",
        "Validation": f"{count(len(datasets.validation), 'image')} ({validation.cache.describe()})",
        "Image size": preprocessing.describe_size(),
    } | {label: text for label, text in transforms.items() if text}


def dataset_records(datasets: LabeledDatasets) -> tuple[DatasetRecord, DatasetRecord]:
    """The training and the validation images, for the report; the headers of at most 256 files of each are read."""
    training, num_classes = datasets.training, len(datasets.training.classes)
    validation_sizes = np.bincount(datasets.validation_labels, minlength=num_classes)
    return (
        DatasetRecord("Training", len(training), tuple(training.class_sizes.tolist()), _file_sizes(training)),
        DatasetRecord(
            "Validation",
            len(datasets.validation),
            tuple(validation_sizes.tolist()),
            _file_sizes(datasets.validation),
        ),
    )


def _file_sizes(dataset: ImageDirectory) -> str:
    sizes = sample_sizes(dataset)
    if not sizes:
        return ""
    heights, widths = zip(*sizes, strict=True)
    if len(sizes) == 1:
        text = f"{widths[0]:,} x {heights[0]:,} pixels"
    else:
        text = f"{min(widths):,} to {max(widths):,} pixels wide, {min(heights):,} to {max(heights):,} high"
    return text if len(dataset) <= MAX_SAMPLE else f"{text} (of {MAX_SAMPLE} files)"


def fingerprinted_settings(
    inputs: TrainingInputs, hyperparameters: Hyperparameters, compute: Compute
) -> dict[str, Any]:
    """Everything except the images and the weights that determines the result, as JSON data."""
    training, validation = inputs.datasets.training, inputs.datasets.validation
    return {
        "recipe": RECIPE_VERSION,
        "versions": [__version__, torch.__version__, torchvision.__version__],
        "parameters": hyperparameters.to_dict(),
        "preprocessing": inputs.preprocessing.to_dict(),
        "architecture": [inputs.model.architecture.name, dict(inputs.model.architecture.init_params)],
        "transforms": [list(transform) for transform in training.transforms],
        "applied_transforms": [
            [list(transform) for transform in dataset.applied_transforms] for dataset in (training, validation)
        ],
        "compute": [compute.device.type, compute.precision, str(compute.memory_format), compute.num_threads],
    }


def tracked_parameters(
    inputs: TrainingInputs, hyperparameters: Hyperparameters, compute: Compute
) -> dict[str, str | int | float]:
    """MLflow's parameters, by name: what runs are compared by."""
    datasets, sizes = inputs.datasets, inputs.preprocessing
    return {
        **hyperparameters.to_dict(),
        "model_name": inputs.model.architecture.name,
        "weights": _origin(inputs),
        "device": str(compute.device),
        "precision": compute.precision,
        "image_size": f"{sizes.crop_height}x{sizes.crop_width}",
        "num_classes": len(datasets.training.classes),
        "num_training_images": len(datasets.training),
        "num_validation_images": len(datasets.validation),
    }


def tracked_tags(inputs: TrainingInputs, compute: Compute) -> dict[str, str]:
    """MLflow's tags, by name: what else is worth knowing of a run."""
    training, validation = inputs.datasets.training, inputs.datasets.validation
    return {
        "version.pytorch_designer": __version__,
        "version.torch": str(torch.__version__),
        "version.torchvision": str(torchvision.__version__),
        "version.python": platform.python_version(),
        "compute": compute.describe(),
        "data.classes": ", ".join(training.classes),
        "data.training": str(training.source),
        "data.validation": str(validation.source),
        "data.training_fingerprint": data_fingerprint(training),
        "data.validation_fingerprint": data_fingerprint(validation),
    }


def tracked_datasets(inputs: TrainingInputs, tags: Mapping[str, str]) -> list[TrackedDataset]:
    """The images of a run as MLflow's inputs, with the fingerprints among its `tracked_tags`."""
    datasets = {"training": inputs.datasets.training, "validation": inputs.datasets.validation}
    return [
        TrackedDataset(
            name=dataset.source.name or str(dataset.source),
            source=str(dataset.source.absolute()),
            context=context,
            num_images=len(dataset),
            num_classes=len(dataset.classes),
            fingerprint=tags[f"data.{context}_fingerprint"],
        )
        for context, dataset in datasets.items()
    ]


def data_fingerprint(dataset: ImageDirectory) -> str:
    """SHA-256 of the names, labels and classes of the images and of some sizes; see `run_fingerprint`."""
    digest = hashlib.sha256()
    for part in _identity(dataset):
        digest.update(part)
    return digest.hexdigest()


def run_fingerprint(
    *, settings: Mapping[str, Any], weights: Mapping[str, Tensor], training: ImageDirectory, validation: ImageDirectory
) -> str:
    """SHA-256, as hexadecimal text, of the run's inputs.

    The names, labels and order of the images count, and the sizes of some of their files, evenly spread. The bytes of
    the files do not, because reading them all would take as long as an epoch.

    Args:
        settings: JSON data; see `fingerprinted_settings`.
        weights: The network's state before the first step, by name.
        training: Training images.
        validation: Validation images.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for dataset in (training, validation):
        for part in _identity(dataset):
            digest.update(part)
    for name, tensor in weights.items():
        digest.update(name.encode())
        digest.update(_bytes(tensor))
    return digest.hexdigest()


def run_description(settings: Mapping[str, Any], inputs: TrainingInputs) -> dict[str, str]:
    """What `run_fingerprint` hashes, by a name for users: text that differs where the runs of two processes do."""
    shown = {
        **settings,
        "names, labels or sizes of the training images": data_fingerprint(inputs.datasets.training),
        "names, labels or sizes of the validation images": data_fingerprint(inputs.datasets.validation),
    }
    return {name.replace("_", " "): json.dumps(value, sort_keys=True) for name, value in shown.items()}


def _origin(inputs: TrainingInputs) -> str:
    if inputs.model.classes is not None:
        return "fine-tuned from a trained model"
    return "pretrained weights" if inputs.model.has_weights else "from scratch"


def _identity(dataset: ImageDirectory) -> Iterator[Buffer]:
    """Identity of a dataset, for a hash."""
    yield dataset.files.data
    yield dataset.files.offsets.data.cast("B")
    yield json.dumps(dataset.classes).encode()
    if dataset.labels is not None:
        yield dataset.labels.tobytes()
    yield json.dumps(_sampled_file_sizes(dataset)).encode()


def _sampled_file_sizes(dataset: ImageDirectory) -> list[int]:
    rows = np.unique(np.linspace(0, len(dataset) - 1, min(len(dataset), MAX_SAMPLE)).round().astype(np.int64))
    parts = np.array_split(rows, min(_STAT_THREADS, len(rows)))
    with ThreadPoolExecutor(_STAT_THREADS) as threads:  # a cloud mount takes milliseconds for each
        return list(chain.from_iterable(threads.map(partial(_sizes_or_nothing, dataset), parts)))


def _sizes_or_nothing(dataset: ImageDirectory, rows: NDArray[np.int64]) -> list[int]:
    return [_size_or_nothing(dataset.path(row)) for row in rows.tolist()]


def _size_or_nothing(path: Path) -> int:
    try:
        return retrying(path.stat).st_size
    except OSError:  # the loader names a file that is gone
        return -1


def _bytes(tensor: Tensor) -> memoryview:
    array: NDArray[Any] = tensor.detach().cpu().contiguous().reshape(-1).numpy()
    return array.data.cast("B")
