"""Ends of residual branches, found in the graphs of networks whose classes are known here."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import Tensor, nn

from pytorch_designer.training.residual_branches import last_norm_weights


def found_in(network: nn.Module, side: int = 64) -> set[str]:
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    weights = last_norm_weights(network.train()(torch.zeros(2, 3, side, side)))
    assert len({id(weight) for weight in weights}) == len(weights)
    return {names[id(weight)] for weight in weights}


def blocks_of(network: nn.Module, kind: type[nn.Module], last: str) -> set[str]:
    return {f"{name}.{last}.weight" for name, module in network.named_modules() if isinstance(module, kind)}


def test_each_block_of_a_resnet_has_one() -> None:
    basic, deep = torchvision.models.resnet18(), torchvision.models.resnet50()
    assert found_in(basic) == blocks_of(basic, torchvision.models.resnet.BasicBlock, "bn2")
    assert found_in(deep) == blocks_of(deep, torchvision.models.resnet.Bottleneck, "bn3")


def test_regnet_has_one_in_each_block() -> None:
    network = torchvision.models.regnet_y_400mf()
    assert found_in(network) == blocks_of(network, torchvision.models.regnet.ResBottleneckBlock, "f.c.1")


def test_only_those_blocks_of_a_mobilenet_that_add_have_one() -> None:
    network = torchvision.models.mobilenet_v2()
    adding = {
        f"{name}.conv.3.weight" for name, module in network.named_modules() if getattr(module, "use_res_connect", False)
    }
    assert len(adding) == 10
    assert found_in(network) == adding


def test_dropping_whole_branches_hides_none() -> None:
    torch.manual_seed(0)
    assert len(found_in(torchvision.models.efficientnet_b0())) == 9


@pytest.mark.parametrize("name", ["densenet121", "shufflenet_v2_x0_5", "vgg11_bn", "alexnet", "vit_b_16"])
def test_networks_without_residual_batch_norms_have_none(name: str) -> None:
    assert found_in(torchvision.models.get_model(name), side=224 if name.startswith("vit") else 64) == set()


def test_a_sum_of_two_norms_counts_the_longer_path_and_a_norm_without_weights_counts_as_none() -> None:
    class Sum(nn.Module):
        def __init__(self, *, has_weights: bool) -> None:
            super().__init__()
            self.long = nn.Sequential(
                nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, affine=has_weights)
            )
            self.short = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))

        def forward(self, images: Tensor) -> Tensor:
            total: Tensor = self.short(images) + self.long(images)
            return total + 1

    assert found_in(Sum(has_weights=True)) == {"long.3.weight"}
    assert found_in(Sum(has_weights=False)) == set()


def test_an_output_without_a_graph_has_none() -> None:
    assert last_norm_weights(torch.zeros(2, 3)) == []
