"""Batch norm layers of a network, the only ones that learn statistics of the images."""

from __future__ import annotations

from torch import nn

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


def batch_norms(network: nn.Module) -> list[BatchNorm]:
    """The batch norm layers of a network, in the order of its modules."""
    return [module for module in network.modules() if isinstance(module, BatchNorm)]
