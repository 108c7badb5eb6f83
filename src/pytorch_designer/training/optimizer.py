"""SGD with Nesterov momentum, and weight decay on weights alone (docs/decisions/0004-optimizer.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import nn

MOMENTUM = 0.9
WEIGHT_DECAY = 1e-4


def build_optimizer(network: nn.Module, learning_rate: float) -> torch.optim.SGD:
    """SGD over the parameters that need gradients.

    Parameters with two or more dimensions (convolution and linear weights) decay; norms and biases do not.
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


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Use `learning_rate` for the next step."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate


def start_momentum(optimizer: torch.optim.SGD) -> None:
    """Give every parameter the momentum zero that has none yet, which changes no step: the first one adds to nothing.

    Without it the first step of all would be another operation than those after it.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state[parameter]
            if state.get("momentum_buffer") is None:
                state["momentum_buffer"] = torch.zeros_like(parameter, requires_grad=False)
