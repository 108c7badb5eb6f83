"""State of the processes of a run: equal weights in all, and what differs between them.

Weights and momentum are equal after every step. Buffers are not: batch norm averages the statistics of the images that
a process sees. Before each validation they are made equal; checkpoints hold those of every process.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from pytorch_designer.models.batch_norm import batch_norms

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pytorch_designer.distributed.world import World
    from pytorch_designer.training.state import TrainingState


def share_state(world: World, state: TrainingState) -> None:
    """Give all processes the state of the first one, after it may have been restored from a checkpoint.

    Each process takes its own buffers. The weights of the best epoch stay in the first process, which saves them.
    """
    if world.size == 1:
        return
    share_weights(world, state.network)
    parameters = dict(state.network.named_parameters())
    momenta = {name: state.optimizer.state.get(parameter, {}) for name, parameter in parameters.items()}
    names = world.broadcast([name for name, momentum in momenta.items() if momentum.get("momentum_buffer") is not None])
    for name in names:
        parameter = parameters[name]
        state.optimizer.state[parameter].setdefault("momentum_buffer", torch.empty_like(parameter, requires_grad=False))
    world.broadcast_tensors(state.optimizer.state[parameters[name]]["momentum_buffer"] for name in names)
    best = None if state.best is None else replace(state.best, weights={})
    state.history, state.step, state.sums, state.seconds, shared_best, state.tracked_run = world.broadcast(
        (state.history, state.step, state.sums, state.seconds, best, state.tracked_run)
    )
    state.best = state.best if world.is_first else shared_best
    state.input_means = world.broadcast(state.input_means)
    state.buffers_of_others = world.broadcast(state.buffers_of_others)
    if state.buffers_of_others and not world.is_first:
        _set_buffers(state.network, state.buffers_of_others[world.rank - 1])


def share_weights(world: World, network: nn.Module) -> None:
    """Give all processes the weights and buffers of the first one."""
    world.broadcast_tensors(network.state_dict().values())


def gather_buffers(world: World, state: TrainingState) -> None:
    """Note in the state the buffers of the other processes, for a checkpoint."""
    if world.size > 1:
        state.buffers_of_others = world.gather(_buffers(state.network))[1:]


def average_statistics(world: World, network: nn.Module, num_images: int) -> None:
    """Make the buffers of all processes equal: the mean of batch norm's statistics, else those of the first process.

    Args:
        world: The processes.
        network: Its buffers are changed.
        num_images: Images that this process has taken its statistics from: the weight of these in the mean. Where it
            is 0 in all processes, they count alike.
    """
    if world.size == 1:
        return
    num_all = sum(world.gather(num_images))
    share = num_images / num_all if num_all else 1 / world.size
    statistics = _statistics(network)
    with torch.no_grad():
        pending = [world.start_sum(tensor.mul_(share)) for tensor in statistics]
        for exchange in pending:
            exchange.wait()
    averaged = {id(tensor) for tensor in statistics}
    world.broadcast_tensors(tensor for tensor in network.buffers() if id(tensor) not in averaged)


def _statistics(network: nn.Module) -> list[Tensor]:
    """Running means and variances of all batch norms, each once."""
    found = [
        tensor
        for norm in batch_norms(network)
        for tensor in (norm.running_mean, norm.running_var)
        if tensor is not None
    ]
    return list({id(tensor): tensor for tensor in found}.values())


def _buffers(network: nn.Module) -> dict[str, Tensor]:
    """Copies of the buffers that a network saves, by name, on the CPU."""
    saved = network.state_dict()
    return {name: saved[name].detach().cpu().clone() for name, _ in network.named_buffers() if name in saved}


def _set_buffers(network: nn.Module, values: dict[str, Tensor]) -> None:
    own = dict(network.named_buffers())
    with torch.no_grad():
        for name, value in values.items():
            own[name].copy_(value)
