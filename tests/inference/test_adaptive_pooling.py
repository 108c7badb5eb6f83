from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from pytorch_designer.inference.adaptive_pooling import pool_in_fixed_order


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ((2, 2), 7),
        ((9, 5), (6, 6)),
        ((7, 7), 7),
        ((14, 21), (7, 7)),
        ((5, 8), 1),
        ((5, 8), (None, 3)),
        ((1, 3), (2, 2)),
    ],
)
def test_averages_and_gradients_are_those_of_torch(source: tuple[int, int], target: Any) -> None:
    images = torch.randn(2, 3, *source, generator=torch.Generator().manual_seed(0))
    plain, fixed = images.clone().requires_grad_(), images.clone().requires_grad_()
    expected, pool = nn.AdaptiveAvgPool2d(target), nn.Sequential(nn.AdaptiveAvgPool2d(target))
    pool_in_fixed_order(pool)
    weights = torch.randn(expected(plain).shape, generator=torch.Generator().manual_seed(1))
    (expected(plain) * weights).sum().backward()
    (pool(fixed) * weights).sum().backward()
    torch.testing.assert_close(pool(fixed), expected(plain))
    torch.testing.assert_close(fixed.grad, plain.grad)


def test_bf16_stays_bf16_and_averages_are_not_rounded_before_they_are_there() -> None:
    images = torch.rand(1, 4, 10, 10, generator=torch.Generator().manual_seed(0)).bfloat16()
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(7))
    expected = pool(images.float())
    pool_in_fixed_order(pool)
    with torch.autocast("cpu", torch.bfloat16):
        found = pool(images)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, rtol=2**-8, atol=0)


def test_a_network_keeps_its_parameters_and_what_it_computes() -> None:
    torch.manual_seed(0)
    network = torchvision.models.alexnet(num_classes=4).eval()
    images = torch.randn(2, 3, 96, 96)
    before, names = network(images), list(network.state_dict())
    pool_in_fixed_order(network)
    assert list(network.state_dict()) == names
    torch.testing.assert_close(network(images), before)
