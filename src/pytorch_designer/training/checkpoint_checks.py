"""Checks that the content of a checkpoint is what a run writes, whatever its hash says.

A file that somebody edited, or that another program wrote, may have any content. The checks come before the state of
the run is touched.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any

import torch

from pytorch_designer.models.batch_norm import normalized_convolutions
from pytorch_designer.training.history import EpochRecord, Metrics, MetricSums
from pytorch_designer.training.start.input_means import like_patch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeGuard

    from torch import Tensor, nn

    from pytorch_designer.training.state import TrainingState

NETWORK, MOMENTUM, BEST, OUTCOMES, CONFUSION = "network.", "momentum.", "best.", "outcomes.", "confusion"
"""Names of the tensors of a checkpoint; all but the last are the beginnings of names."""

INPUT_MEANS = "input_means."
"""Beginning of the names of the mean inputs of convolutions."""

OTHERS = "others."
"""Beginning of the names of buffers of the other processes; their rank follows."""

_HEADER_BYTES_PER_TENSOR = 512
_HEADER_BYTES = 1 << 16
_OUTCOME_TYPES = {
    "labels": torch.int64,
    "predicted": torch.int32,
    "confidence": torch.float64,
    "label_probability": torch.float64,
}
_BYTES_PER_OUTCOME = sum(dtype.itemsize for dtype in _OUTCOME_TYPES.values())
_ROUNDING = 1e-9  # by which a softmax of float64 may exceed 1
_MAX_COUNT = 2**53  # beyond which a float is not exact


@dataclass(frozen=True)
class RunExtent:
    """Bounds of a run's position.

    Attributes:
        num_epochs: Epochs of the whole run.
        num_steps: Steps of one epoch.
        num_classes: Number of classes.
        num_validated: Number of validation images.
        num_processes: Number of processes that train together.
    """

    num_epochs: int
    num_steps: int
    num_classes: int
    num_validated: int
    num_processes: int = 1


def max_tensor_bytes(state: TrainingState, extent: RunExtent) -> int:
    """The size of the file of tensors that the largest checkpoint of the run has: a bound for what is read."""
    tensors = state.network.state_dict().values()
    num_bytes: int = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    header = _HEADER_BYTES + 3 * _HEADER_BYTES_PER_TENSOR * len(tensors)
    outcomes = _BYTES_PER_OUTCOME * extent.num_validated
    buffers = [tensor for _, tensor in state.network.named_buffers()]
    num_others = extent.num_processes - 1
    num_bytes_of_others = num_others * sum(tensor.numel() * tensor.element_size() for tensor in buffers)
    header += num_others * _HEADER_BYTES_PER_TENSOR * len(buffers)
    means = _input_means(state.network).values()
    num_bytes += sum(mean.numel() * mean.element_size() for mean in means)
    return 3 * num_bytes + num_bytes_of_others + 8 * extent.num_classes * extent.num_classes + outcomes + header


def check_num_processes(content: Mapping[str, Any]) -> int:
    """The number of processes that wrote a checkpoint.

    Raises:
        ValueError: It is not a number of processes.
    """
    num_processes = content.get("processes", 1)  # checkpoints of earlier releases have none
    if not _is_count(num_processes) or num_processes < 1:
        raise ValueError("the number of processes is not one")
    return num_processes


def check_position(content: Mapping[str, Any], extent: RunExtent) -> None:
    """Check the position of a checkpoint.

    Raises:
        ValueError: It is not one that the run can have.
    """
    records = content.get("history")
    if not isinstance(records, list):
        raise ValueError("the history is not one of this run")
    for record in records:
        _check_fields(record, EpochRecord)
    epochs = [record["epoch"] for record in records]
    first = 0 if epochs[:1] == [0] else 1  # epoch 0: before training
    if epochs != list(range(first, first + len(epochs))):
        raise ValueError("the epochs are not numbered one after the other")
    if epochs and epochs[-1] > extent.num_epochs:
        raise ValueError("the history is not one of this run")
    _check_fields(content.get("sums"), MetricSums)
    step, best_epoch, seconds = content.get("step"), content.get("best_epoch"), content.get("seconds")
    if not _is_count(step) or step > extent.num_steps:
        raise ValueError("the step is not one of an epoch")
    if not isinstance(seconds, float) or not 0 <= seconds < math.inf:
        raise ValueError("the seconds are not a duration")
    if best_epoch is not None and (not _is_count(best_epoch) or best_epoch not in epochs):
        raise ValueError("the best epoch is not one of the history")


def check_tensors(
    content: Mapping[str, Any], tensors: Mapping[str, Tensor], state: TrainingState, extent: RunExtent
) -> None:
    """Check the tensors of a checkpoint against the network of the run.

    Raises:
        ValueError: Their names, shapes or types are not those that the run writes.
    """
    weights, parameters = state.network.state_dict(), dict(state.network.named_parameters())
    expected = {NETWORK + name: tensor for name, tensor in weights.items()}
    num_classes = extent.num_classes
    if content["best_epoch"] is not None:
        expected |= {BEST + name: tensor for name, tensor in weights.items()}
        expected[CONFUSION] = torch.empty(num_classes, num_classes, dtype=torch.int64, device="meta")
        if any(name.startswith(OUTCOMES) for name in tensors):  # checkpoints of earlier releases have none
            expected |= {
                OUTCOMES + name: torch.empty(extent.num_validated, dtype=dtype, device="meta")
                for name, dtype in _OUTCOME_TYPES.items()
            }
    optional: dict[str, Tensor] = {MOMENTUM + name: tensor for name, tensor in parameters.items()}
    optional |= {INPUT_MEANS + name: mean for name, mean in _input_means(state.network).items()}
    buffers = {name: weights[name] for name, _ in state.network.named_buffers() if name in weights}
    ranks = range(1, extent.num_processes)
    optional |= {f"{OTHERS}{rank}.{name}": tensor for rank in ranks for name, tensor in buffers.items()}
    if not expected.keys() <= tensors.keys() <= (expected | optional).keys():
        raise ValueError("the tensors are not those of this network")
    for name, tensor in tensors.items():
        wanted = (expected | optional)[name]
        if (tensor.shape, tensor.dtype) != (wanted.shape, wanted.dtype):
            raise ValueError(f"the tensor {name} has another shape or type than in this network")
    if CONFUSION in tensors and bool((tensors[CONFUSION] < 0).any()):
        raise ValueError("the confusion matrix counts fewer than no images")
    if OUTCOMES + "labels" in tensors:
        _check_outcomes({name: tensors[OUTCOMES + name] for name in _OUTCOME_TYPES}, num_classes)


def _input_means(network: nn.Module) -> dict[str, Tensor]:
    """Tensors of the shapes of the mean inputs that a checkpoint may hold."""
    pairs = normalized_convolutions(network)
    return {name: like_patch(convolution, convolution.weight) for name, (convolution, _) in pairs.items()}


def _check_outcomes(outcomes: Mapping[str, Tensor], num_classes: int) -> None:
    predicted, labels = outcomes["predicted"], outcomes["labels"]
    if any(bool(((classes < -1) | (classes >= num_classes)).any()) for classes in (predicted, labels)):
        raise ValueError("an image is of a class that is none")
    for values in (outcomes["confidence"], outcomes["label_probability"]):
        is_probability = (values >= 0) & (values <= 1 + _ROUNDING)
        if not bool((is_probability | (values.isnan() & ((predicted == -1) | (labels == -1)))).all()):
            raise ValueError("a number that is no probability stands for one")


def _check_fields(record: object, kind: type) -> None:
    """Check that `record` has the plain data of a dataclass of `history`."""
    known = {field.name: field for field in fields(kind)}
    required = {name for name, field in known.items() if field.default is MISSING}
    if not isinstance(record, dict) or not required <= record.keys() <= known.keys():
        raise ValueError(f"a record does not have the fields of {kind.__name__}")
    for name, value in record.items():
        if known[name].type == Metrics.__name__:
            _check_fields(value, Metrics)
        elif not _IS_OF_TYPE[str(known[name].type)](value):
            raise ValueError(f"{name} is not a value that a run has")
    if kind is Metrics and not all(_is_share(record[name]) for name in ("top1", "top5")):
        raise ValueError("an accuracy is not between 0 and 1")


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT


def _is_float(value: object) -> bool:
    return isinstance(value, float)


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_share(value: float) -> bool:
    return math.isnan(value) or 0 <= value <= 1


_IS_OF_TYPE = {"int": _is_count, "float": _is_float, "bool": _is_bool}
