"""Exact sums of classification metrics, independent of how the images are split into batches."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import cross_entropy

from pytorch_designer.training.history import Metrics

if TYPE_CHECKING:
    from torch import Tensor

_TOP = 5


@dataclass
class MetricSums:
    """Running sums over images; plain numbers, so that a checkpoint can hold them.

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
        losses_n = cross_entropy(logits_nk.double(), labels_n, reduction="none")
        # Summed in order, one image after the other, so that batch boundaries do not change the sum.
        for loss in losses_n.tolist():
            self.loss += loss
        top1, top5 = count_correct(logits_nk, labels_n).tolist()
        self.top1 += top1
        self.top5 += top5
        self.num_images += len(labels_n)

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
    """Images of a batch with their label at the top, and among the top five (or all, with fewer classes): int64 [2].

    The label's rank is the number of classes that score higher, plus those of lower index that score the same,
    so that ties are broken as argmax breaks them. NaN scores count as higher.
    """
    own_n1 = logits_nk.gather(1, labels_n[:, None])
    index_k = torch.arange(logits_nk.shape[1], device=logits_nk.device)
    is_ahead_nk = (logits_nk > own_n1) | ((logits_nk == own_n1) & (index_k < labels_n[:, None])) | logits_nk.isnan()
    rank_n = is_ahead_nk.sum(1)
    return torch.stack([(rank_n == 0).sum(), (rank_n < _TOP).sum()])
