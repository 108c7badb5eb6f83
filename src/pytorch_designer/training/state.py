"""Where a run is: everything that changes while it trains, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from pytorch_designer.training.metrics import MetricSums

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pytorch_designer.training.history import EpochRecord


@dataclass(frozen=True)
class BestEpoch:
    """The best epoch so far.

    Attributes:
        epoch: Its number, from 1.
        weights: An exact copy of the network's state at its end, on the CPU.
        confusion: Validation images at its end, int64 [true class, predicted class].
    """

    epoch: int
    weights: dict[str, Tensor]
    confusion: Tensor


@dataclass
class TrainingState:
    """The position of a run.

    Attributes:
        network: The network that learns.
        optimizer: Its optimizer, which holds the momentum.
        history: The epochs that are complete.
        step: Steps done in the epoch that is under way.
        sums: Training metrics of the epoch under way.
        seconds: Training time spent in the epoch under way before this process, for the report alone.
        best: The best epoch so far, None before the first finite validation loss.
    """

    network: nn.Module
    optimizer: torch.optim.SGD
    history: list[EpochRecord] = field(default_factory=list)
    step: int = 0
    sums: MetricSums = field(default_factory=MetricSums)
    seconds: float = 0.0
    best: BestEpoch | None = None

    @property
    def epoch(self) -> int:
        """Number of the epoch under way, from 1."""
        return len(self.history) + 1

    def end_epoch(self, record: EpochRecord) -> None:
        """Close the epoch under way with its record."""
        self.history.append(record)
        self.step = 0
        self.sums = MetricSums()
        self.seconds = 0.0


def copy_weights(network: nn.Module) -> dict[str, Tensor]:
    """An exact copy of the network's parameters and buffers, on the CPU, in the standard layout."""
    return {
        name: torch.empty(tensor.shape, dtype=tensor.dtype).copy_(tensor.detach())
        for name, tensor in network.state_dict().items()
    }
