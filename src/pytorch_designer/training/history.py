"""What a run has measured: a record an epoch, and the summary that the report and the ModelDirectory carry."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Metrics:
    """Exact metrics over a number of labelled images.

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


@dataclass(frozen=True)
class EpochRecord:
    """One pass over the training images and the validation after it.

    Attributes:
        epoch: From 1.
        training: Metrics of the training images as they were seen, that is while the weights changed.
        validation: Metrics of the validation images with the weights at the end of the epoch.
        learning_rate: Learning rate of the epoch's last step.
        images_per_second: Training images a second, validation not included.
        seconds: Duration of the epoch, validation included.
        is_best: Whether the epoch was the best one when it ended.
    """

    epoch: int
    training: Metrics
    validation: Metrics
    learning_rate: float
    images_per_second: float
    seconds: float
    is_best: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> EpochRecord:
        """The inverse of `to_dict`."""
        return EpochRecord(
            **{**data, "training": Metrics(**data["training"]), "validation": Metrics(**data["validation"])}
        )


@dataclass(frozen=True)
class BadFile:
    """An image file that was left out, within the documented tolerance."""

    port: str
    file: str
    reason: str


@dataclass(frozen=True)
class RunSummary:
    """Everything that the report shows.

    Attributes:
        history: All epochs, in order, at least one.
        best_epoch: Number (from 1) of the epoch whose weights are saved.
        stop_reason: One sentence: why training ended.
        classes: Class names by index.
        confusion: Images of the validation set at the best epoch, int64 [true class, predicted class].
        parameters: The component's parameters by name.
        environment: Versions, device, precision and the like, by label.
        data: Number of images and their size and the like, by label.
        bad_files: Files that were left out.
        fingerprint: Hash of everything that determines the result.
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
    bad_files: tuple[BadFile, ...] = field(default=())

    @property
    def best(self) -> EpochRecord:
        """The record of the epoch whose weights are saved."""
        return self.history[self.best_epoch - 1]
