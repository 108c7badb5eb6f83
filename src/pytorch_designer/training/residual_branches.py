"""Where the residual branches of a network end: found in the graph of a forward pass, whatever the network's classes.

    x ---------------------------------------------- + ---      an addition of two paths, the longer of which
    |                                                |          ends with a batch norm: that one is found
    +-- conv -- norm -- relu -- conv -- batch norm --+

Multiplications on the way, as those of stochastic depth, are passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from torch.autograd.graph import Node

if TYPE_CHECKING:
    from torch import Tensor

_ADDITION = "AddBackward"
_BATCH_NORM = "BatchNorm"
_PASSED_OVER = ("MulBackward", "DivBackward", "NativeDropoutBackward", "ToCopyBackward")

_Depths: TypeAlias = dict[Node, int]


def last_norm_weights(output: Tensor) -> list[Tensor]:
    """The weights of the batch norms with which residual branches end, each once.

    Args:
        output: Of a forward pass in training mode, with its graph.
    """
    depths = _depths(output)
    found: dict[Tensor, None] = {}
    for node in depths:
        inputs = _inputs(node) if _ADDITION in node.name() else []
        if len(inputs) == 2:
            weight = _norm_weight(max(inputs, key=depths.__getitem__))
            if weight is not None:
                found[weight] = None
    return list(found)


def _depths(output: Tensor) -> _Depths:
    """All operations behind a tensor, each with the number of operations on the longest way to it."""
    depths: _Depths = {}
    waiting = [] if output.grad_fn is None else [output.grad_fn]
    while waiting:
        node = waiting[-1]
        missing = [before for before in _inputs(node) if before not in depths]
        if missing:
            waiting += missing
        else:
            waiting.pop()
            depths[node] = 1 + max((depths[before] for before in _inputs(node)), default=0)
    return depths


def _norm_weight(node: Node) -> Tensor | None:
    """The weight of the batch norm that this is; None for other operations, and norms without weights."""
    while any(name in node.name() for name in _PASSED_OVER):
        node = _inputs(node)[0]
    if _BATCH_NORM not in node.name():
        return None
    weights = [before.variable for before in _inputs(node) if hasattr(before, "variable")]
    return weights[0] if weights else None


def _inputs(node: Node) -> list[Node]:
    return [before for before, _ in node.next_functions if before is not None]
