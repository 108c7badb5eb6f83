"""Which epoch is the best one, and when to stop (docs/decisions/0001-best-epoch.md and 0002-patience.md)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytorch_designer.training.history import EpochRecord, Metrics


def is_better(candidate: Metrics, best: Metrics | None) -> bool:
    """Whether an epoch's validation metrics beat the best so far.

    The higher top-1 accuracy wins; with equal accuracy the lower loss; with both equal the earlier epoch stays.
    A loss that is not finite never wins, whatever the accuracy says.
    """
    if not math.isfinite(candidate.loss):
        return False
    return best is None or (candidate.top1, -candidate.loss) > (best.top1, -best.loss)


def epochs_without_improvement(history: Sequence[EpochRecord]) -> int:
    """Epochs since the lowest validation loss so far; an equal loss is no improvement, a NaN never is one."""
    lowest = math.inf
    since = 0
    for record in history:
        if record.validation.loss < lowest:
            lowest = record.validation.loss
            since = 0
        else:
            since += 1
    return since


def stop_reason(history: Sequence[EpochRecord], *, num_epochs: int, patience: int) -> str | None:
    """One sentence that says why training ends after the epochs of `history`, or None when it goes on."""
    if len(history) >= num_epochs:
        return f"All {num_epochs} epochs were trained." if num_epochs > 1 else "The one epoch was trained."
    if epochs_without_improvement(history) >= patience:
        epochs = f"{patience} epochs in a row" if patience > 1 else "an epoch"
        return f"Stopped after epoch {len(history)}: {epochs} without a lower validation loss (patience)."
    return None
