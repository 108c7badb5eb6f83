"""How closely the running statistics of batch norm, which validation and scoring use, follow those of the batches.

    running = running + momentum * (batch - running)

Some networks were published with a small momentum (MNASNet 0.0003, MobileNetV3 0.01) for runs of a million steps. In a
run of a few hundred, the running statistics then stay near the values that they were given at the start, and a network
that has learnt well scores no better than chance (docs/decisions/0013-batch-norm.md). What is learnt does not depend on
it: training normalises by the batch.
"""

from __future__ import annotations

from torch import nn

LEAST_MOMENTUM = 0.1
"""An average over about ten batches: what torch and most networks have."""


def raise_momentum(network: nn.Module) -> None:
    """Give every batch norm a momentum of at least `LEAST_MOMENTUM`; one that takes the plain mean keeps it."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) and module.momentum is not None:
            module.momentum = max(module.momentum, LEAST_MOMENTUM)
