"""Metrics of a run: their sums over batches, a record per epoch, and the summary for the report."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy

from pytorch_designer.reporting.classification import balanced_accuracy

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

_TOP = 5


@dataclass(frozen=True)
class Metrics:
    """Exact metrics over a number of labeled images.

    Attributes:
        loss: Mean cross-entropy in nats.
        top1: Share (0 to 1) of images whose highest-scored class is their label.
        top5: Share of images whose label is among the five highest-scored classes; 1 with fewer than six classes.
        num_images: Images counted.
    """

    loss: float
    top1: float
    top5: float
    num_images: int


@dataclass
class MetricSums:
    """Running sums of metrics, independent of how the images are split into batches.

    They are plain numbers, so that a checkpoint can hold them.

    Attributes:
        loss: Sum of the cross-entropy of each image, in nats.
        top1: Images whose highest-scored class is their label.
        top5: Images whose label is among the five highest-scored classes.
        num_images: Images counted.
    """

    loss: float = 0.0
    top1: int = 0
    top5: int = 0
    num_images: int = 0

    def add(self, logits_nk: Tensor, labels_n: Tensor) -> None:
        """Count a batch: float logits [n, k] and int64 labels [n] on one device."""
        self.add_images(image_losses(logits_nk, labels_n), label_ranks(logits_nk, labels_n))

    def add_images(self, losses_n: Tensor, ranks_n: Tensor) -> None:
        """Count images by their `image_losses` and `label_ranks`."""
        # Summed in order, one image after the other, so that batch boundaries do not change the sum.
        for loss in losses_n.tolist():
            self.loss += loss
        top1, top5 = _count_hits(ranks_n).tolist()
        self.top1 += top1
        self.top5 += top5
        self.num_images += len(losses_n)

    def add_batch(self, *, loss: float, top1: int, top5: int, num_images: int) -> None:
        """Count a batch whose mean loss and correct images are known."""
        self.loss += loss * num_images
        self.top1 += top1
        self.top5 += top5
        self.num_images += num_images

    def metrics(self) -> Metrics:
        """The means; NaN when no image was counted."""
        if self.num_images == 0:
            return Metrics(math.nan, math.nan, math.nan, 0)
        return Metrics(
            loss=self.loss / self.num_images,
            top1=self.top1 / self.num_images,
            top5=self.top5 / self.num_images,
            num_images=self.num_images,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a checkpoint."""
        return asdict(self)


def count_correct(logits_nk: Tensor, labels_n: Tensor) -> Tensor:
    """Top-1 and top-5 counts of a batch, int64 [2]; with fewer than six classes every image is among the top five."""
    return _count_hits(label_ranks(logits_nk, labels_n))


def image_losses(logits_nk: Tensor, labels_n: Tensor) -> Tensor:
    """Cross-entropy of each image in nats, float64 [n]."""
    return cross_entropy(logits_nk.double(), labels_n, reduction="none")


def label_ranks(logits_nk: Tensor, labels_n: Tensor) -> Tensor:
    """Number of classes that score higher than the label, plus those of lower index that score the same, int64 [n].

    Ties are thus broken as argmax breaks them. NaN scores count as higher.
    """
    own_n1 = logits_nk.gather(1, labels_n[:, None])
    index_k = torch.arange(logits_nk.shape[1], device=logits_nk.device)
    is_ahead_nk = (logits_nk > own_n1) | ((logits_nk == own_n1) & (index_k < labels_n[:, None])) | logits_nk.isnan()
    return is_ahead_nk.sum(1)


def _count_hits(ranks_n: Tensor) -> Tensor:
    return torch.stack([(ranks_n == 0).sum(), (ranks_n < _TOP).sum()])


@dataclass(frozen=True)
class EpochRecord:
    """One pass over the training images and the validation after it.

    Epoch 0 is a validation alone, of the model before training, where its head was computed in closed form.

    Attributes:
        epoch: From 1, or 0.
        training: Metrics of the training images as they were seen, that is while the weights changed; of no image in
            epoch 0.
        validation: Metrics of the validation images with the weights at the end of the epoch.
        learning_rate: Learning rate of the epoch's last step; 0 in epoch 0.
        images_per_second: Training images per second, validation not included; NaN in epoch 0.
        seconds: Duration of the epoch, validation included.
        is_best: Whether the epoch was the best one when it ended.
        balanced_accuracy: Mean recall (0 to 1) of the classes of the validation images; NaN if it was not recorded.
    """

    epoch: int
    training: Metrics
    validation: Metrics
    learning_rate: float
    images_per_second: float
    seconds: float
    is_best: bool
    balanced_accuracy: float = math.nan

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> EpochRecord:
        """The inverse of `to_dict`."""
        return EpochRecord(
            **{**data, "training": Metrics(**data["training"]), "validation": Metrics(**data["validation"])}
        )

    def tracked_metrics(self) -> dict[str, float]:
        """Metrics that a tracker records per epoch, by name; of epoch 0 those of the validation alone."""
        of_validation = {
            "validation_loss": self.validation.loss,
            "validation_top1": self.validation.top1,
            "validation_top5": self.validation.top5,
            "validation_balanced_accuracy": self.balanced_accuracy,
        }
        if not self.epoch:
            return of_validation
        return {
            "train_loss": self.training.loss,
            "train_top1": self.training.top1,
            "train_top5": self.training.top5,
            **of_validation,
            "learning_rate": self.learning_rate,
            "images_per_second": self.images_per_second,
        }


def record_of(history: Sequence[EpochRecord], epoch: int) -> EpochRecord:
    """The record of an epoch by its number; the history begins with epoch 0 or 1."""
    return history[epoch - history[0].epoch]


@dataclass(frozen=True)
class BadFileRecord:
    """An image file that was left out, within the documented tolerance."""

    port: str
    file: str
    reason: str


@dataclass(frozen=True)
class DatasetRecord:
    """A dataset of a run.

    Attributes:
        name: "Training" or "Validation".
        num_images: Images, bad files included.
        class_sizes: Images of each class, by index.
        sizes: Sizes of the files in pixels, as a text; "" where none could be read.
    """

    name: str
    num_images: int
    class_sizes: tuple[int, ...]
    sizes: str


@dataclass(frozen=True)
class RunSummary:
    """The result of a run, as the report shows it.

    Attributes:
        history: All epochs, in order, at least one that was trained; epoch 0 first, where there is one.
        best_epoch: Number of the epoch whose weights are saved; 0: those before training.
        stop_reason: One sentence: why training ended.
        classes: Class names by index.
        confusion: Images of the validation set at the best epoch, int64 [true class, predicted class].
        parameters: The component's parameters by name.
        environment: Versions, device, precision and the like, by label.
        data: Number of images and their size and the like, by label.
        bad_files: Files that were left out.
        fingerprint: Hash of everything that determines the result.
        datasets: The training and the validation images; () where an earlier release did not record them.
        num_processes: Processes that trained together, which is part of what determines the result.
        normalizes_by_batches: Whether batch norm took its statistics from the batches of training.
        has_bounded_steps: Whether the run stayed near given weights, by steps of bounded length.
    """

    history: tuple[EpochRecord, ...]
    best_epoch: int
    stop_reason: str
    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    parameters: dict[str, int | float]
    environment: dict[str, str]
    data: dict[str, str]
    fingerprint: str
    bad_files: tuple[BadFileRecord, ...] = field(default=())
    datasets: tuple[DatasetRecord, ...] = field(default=())
    num_processes: int = 1
    normalizes_by_batches: bool = False
    has_bounded_steps: bool = False

    @property
    def best(self) -> EpochRecord:
        """The record of the epoch whose weights are saved."""
        return record_of(self.history, self.best_epoch)

    @property
    def trained(self) -> tuple[EpochRecord, ...]:
        """The epochs without epoch 0."""
        return tuple(record for record in self.history if record.epoch)

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall (0 to 1) of the classes of the validation set at the best epoch."""
        return balanced_accuracy(self.confusion)

    def tracked_metrics(self) -> dict[str, float]:
        """Metrics that a tracker records of the whole run, by name."""
        return {
            "best_epoch": self.best_epoch,
            "best_validation_top1": self.best.validation.top1,
            "best_validation_loss": self.best.validation.loss,
            "best_validation_balanced_accuracy": self.balanced_accuracy,
            "bad_files": len(self.bad_files),
        }
