"""Batch norm layers of a network, which alone learn statistics of the images, and the convolutions before them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


@dataclass(frozen=True)
class NormalizedUse:
    """A use of a convolution in a forward pass, whose very output a batch norm takes.

    Attributes:
        name: Name of the convolution in the network.
        convolution: The convolution.
        norm: The batch norm.
        inputs: What the convolution is given, [n, c, h, w].
        output: Its output.
    """

    name: str
    convolution: nn.Conv2d
    norm: nn.BatchNorm2d
    inputs: Tensor
    output: Tensor


def batch_norms(network: nn.Module) -> list[BatchNorm]:
    """The batch norm layers of a network, in the order of its modules."""
    return [module for module in network.modules() if isinstance(module, BatchNorm)]


def normalized_convolutions(network: nn.Module) -> dict[str, tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """The convolutions that a batch norm of as many channels directly follows, with it, by the convolution's name.

    They are in the order of definition.
    """
    found = {}
    previous_name, previous = "", network
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            if isinstance(previous, nn.Conv2d) and previous.out_channels == module.num_features:
                found[previous_name] = (previous, module)
            previous_name, previous = name, module
        elif next(module.children(), None) is None:
            previous_name, previous = name, module
    return found


@contextmanager
def noted_uses(network: nn.Module, note: Callable[[NormalizedUse], None]) -> Iterator[None]:
    """Call `note` in the passes within this, where a batch norm takes the very output of the convolution before it.

    By definition alone it is not known: networks add a branch between the two, for instance.
    """
    begun: dict[nn.BatchNorm2d, NormalizedUse] = {}

    def begin(
        name: str, norm: nn.BatchNorm2d, convolution: nn.Conv2d, inputs: tuple[Tensor, ...], output: Tensor
    ) -> None:
        begun[norm] = NormalizedUse(name, convolution, norm, inputs[0], output)

    def end(norm: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
        use = begun.pop(norm, None)
        if use is not None and use.output is inputs[0]:
            note(use)

    hooks = []
    for name, (convolution, norm) in normalized_convolutions(network).items():
        hooks += [
            convolution.register_forward_hook(partial(begin, name, norm)),
            norm.register_forward_pre_hook(end),
        ]
    try:
        yield
    finally:
        begun.clear()
        for hook in hooks:
            hook.remove()
