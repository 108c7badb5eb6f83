"""Convolutions before batch norms, in networks of all families."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from pytorch_designer.models.architectures import Architecture, build_network, build_on_meta
from pytorch_designer.models.batch_norm import normalized_convolutions, noted_uses

if TYPE_CHECKING:
    from torch import Tensor

    from pytorch_designer.models.batch_norm import NormalizedUse


def built_on_meta(name: str) -> nn.Module:
    return build_on_meta(lambda: build_network(Architecture(name), 4)).eval()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "densenet121",
        "efficientnet_b0",
        "googlenet",
        "inception_v3",
        "mnasnet0_5",
        "mobilenet_v3_small",
        "regnet_y_400mf",
        "resnet50",
        "shufflenet_v2_x0_5",
        "vgg11_bn",
    ],
)
def test_batch_norm_gets_what_the_convolution_gives(name: str) -> None:
    network = built_on_meta(name)
    given: list[tuple[nn.Module, Tensor]] = []
    followed: set[tuple[nn.Module, nn.Module]] = set()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda module, inputs, output: given.append((module, output)))
        elif isinstance(module, nn.BatchNorm2d):
            module.register_forward_pre_hook(
                lambda norm, inputs: followed.update((source, norm) for source, output in given if output is inputs[0])
            )
    network(torch.empty(2, 3, 96, 96, device="meta"))
    found = normalized_convolutions(network)
    assert len(found) > 5
    assert set(found.values()) == followed


@pytest.mark.parametrize("name", ["alexnet", "squeezenet1_1", "convnext_tiny"])
def test_networks_without_batch_norm_have_none(name: str) -> None:
    assert not normalized_convolutions(built_on_meta(name))


class Branched(nn.Module):
    """Adds a branch between its second convolution and the batch norm that is defined after it."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 3, 1)
        self.first_norm = nn.BatchNorm2d(3)
        self.second = nn.Conv2d(3, 3, 1)
        self.second_norm = nn.BatchNorm2d(3)

    def forward(self, images: Tensor) -> Tensor:
        first: Tensor = self.first_norm(self.first(images))
        second: Tensor = self.second_norm(self.second(first) + first)
        return second


def test_uses_are_noted_where_the_norm_takes_the_very_output() -> None:
    network = Branched()
    images = torch.rand(2, 3, 4, 4)
    noted: list[NormalizedUse] = []

    with noted_uses(network, noted.append):
        network(images)
        network(images)
    network(images)

    assert [(use.name, use.convolution, use.norm) for use in noted] == [
        ("first", network.first, network.first_norm)
    ] * 2
    assert noted[0].inputs is images
    assert torch.equal(noted[0].output, network.first(images))
