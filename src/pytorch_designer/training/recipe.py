"""Recipe: what is learned, at which learning rate, which epoch is kept, and when training stops.

Optimizer and schedule: docs/decisions/0004-optimizer.md. Best epoch: 0001-best-epoch.md. Patience: 0002-patience.md.
Given weights: `weight_plan`. The start of a classifier: 0041-closed-form-head.md. Batch norm:
0042-batch-norm-statistics.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from pytorch_designer.training.history import EpochRecord, Metrics

MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4

HELD_SHARE = 0.5
"""Share of a run's steps that are taken at the initial learning rate."""

RECIPE_VERSION = 11
"""Grows when the same settings come to give other weights: checkpoints of before are then not continued."""


@dataclass(frozen=True)
class Hyperparameters:
    """The five parameters of Train PyTorch Model, already validated.

    Attributes:
        num_epochs: Passes over the training images, at least 1.
        batch_size: Images per step, at least 1.
        learning_rate: Learning rate of the first step, positive.
        random_seed: Any whole number, of any size and sign.
        patience: Epochs without a lower validation loss after which training stops, at least 1.
    """

    num_epochs: int
    batch_size: int
    learning_rate: float
    random_seed: int
    patience: int

    def to_dict(self) -> dict[str, int | float]:
        """The parameters by the names that the component gives them."""
        return {
            "epochs": self.num_epochs,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "random_seed": self.random_seed,
            "patience": self.patience,
        }


def build_optimizer(network: nn.Module, learning_rate: float) -> torch.optim.SGD:
    """SGD with Nesterov momentum over the parameters that need gradients.

    Parameters with two or more dimensions (convolution and linear weights) decay; norms and biases do not.

    Args:
        network: Its parameters are learned.
        learning_rate: Of the first step.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in parameters if parameter.ndim >= 2], "weight_decay": WEIGHT_DECAY},
        {"params": [parameter for parameter in parameters if parameter.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(
        [group for group in groups if group["params"]],
        lr=learning_rate,
        momentum=MOMENTUM,
        nesterov=True,
        fused=parameters[0].device.type in {"cpu", "cuda"},
    )


def learning_rate_at(
    step: int, *, num_steps: int, initial: float, num_processes: int = 1, num_warm_up: int = 1
) -> float:
    """The learning rate of a step: held at first, then lowered linearly to zero.

    A step of n processes sees n times as many images, and there are as many times fewer steps: it may be n times as
    large, once the first weights have settled (arXiv 1706.02677, sections 2.1 and 2.2).

    Args:
        step: Steps taken before this one, from 0 to num_steps - 1.
        num_steps: Steps of the whole run, if it is not stopped early.
        initial: Learning rate of step 0.
        num_processes: Processes that train together.
        num_warm_up: Steps of the first epoch, within which the rate grows linearly to `initial * num_processes`.

    Returns:
        With one process `initial` in the first half of the run, then initial * 2 * (1 - step / num_steps), which is
        positive for every step.
    """
    growth = 1.0 + (num_processes - 1) * min(1.0, step / num_warm_up)
    return initial * growth * min(1.0, (1.0 - step / num_steps) / (1.0 - HELD_SHARE))


def is_better(candidate: Metrics, best: Metrics | None) -> bool:
    """True if an epoch's validation metrics beat the best so far.

    The higher top-1 accuracy wins; with equal accuracy the lower loss; with both equal the earlier epoch stays.
    A loss that is not finite never wins, whatever the accuracy.
    """
    if not math.isfinite(candidate.loss):
        return False
    return best is None or (candidate.top1, -candidate.loss) > (best.top1, -best.loss)


def epochs_without_improvement(history: Sequence[EpochRecord]) -> int:
    """Epochs since the lowest validation loss so far; neither an equal loss nor NaN is an improvement.

    Epoch 0 does not count: a longer run does not continue from it.
    """
    lowest = math.inf
    since = 0
    for record in history:
        if record.epoch == 0:
            continue
        if record.validation.loss < lowest:
            lowest = record.validation.loss
            since = 0
        else:
            since += 1
    return since


def stop_reason(history: Sequence[EpochRecord], *, num_epochs: int, patience: int) -> str | None:
    """One sentence that says why training ends after the epochs of `history`, or None when it goes on."""
    num_trained = history[-1].epoch if history else 0
    if num_trained >= num_epochs:
        return _all_trained(num_epochs, patience)
    if epochs_without_improvement(history) >= patience:
        epochs = f"{patience} epochs in a row" if patience > 1 else "an epoch"
        return f"Stopped after epoch {num_trained}: {epochs} without a lower validation loss (patience)."
    return None


def _all_trained(num_epochs: int, patience: int) -> str:
    if num_epochs == 1:
        return "The one epoch was trained."
    trained = f"All {num_epochs} epochs were trained"
    # The first epoch always counts as an improvement: the earliest stop is `patience` epochs after it.
    could_stop = patience + 1 < num_epochs
    return f"{trained}." if could_stop else f"{trained}, which are too few to stop early with a patience of {patience}."
