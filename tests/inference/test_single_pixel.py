from __future__ import annotations

import copy

import pytest
import torch
import torchvision
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from pytorch_designer.inference.single_pixel import multiply_single_pixels, overlap


def draw(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_learns_the_same(network: nn.Module, images_nchw: torch.Tensor) -> None:
    multiplied = copy.deepcopy(network)
    multiply_single_pixels(multiplied)
    outputs, multiplied_outputs = network(images_nchw), multiplied(images_nchw)
    torch.testing.assert_close(multiplied_outputs, outputs)
    outputs.square().sum().backward()
    multiplied_outputs.square().sum().backward()
    expected = {name: parameter.grad for name, parameter in network.named_parameters()}
    assert {name: parameter.grad for name, parameter in multiplied.named_parameters()}.keys() == expected.keys()
    for name, parameter in multiplied.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], msg=name)


@pytest.mark.parametrize(
    ("size", "kernel", "padding", "pixels"),
    [(1, 3, 1, slice(0, 1)), (2, 3, 1, slice(0, 2)), (2, 1, 0, slice(0, 1)), (3, 7, 3, slice(0, 3)), (1, 2, 2, None)],
)
def test_a_kernel_meets_the_pixels_behind_its_padding(
    size: int, kernel: int, padding: int, pixels: slice | None
) -> None:
    assert overlap(size, kernel, padding) == pixels


@pytest.mark.slow
@given(
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    kernel=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    stride=st.integers(1, 3),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    bias=st.booleans(),
)
def test_outputs_and_gradients_are_those_of_a_convolution(
    sizes: tuple[int, int], kernel: tuple[int, int], stride: int, padding: tuple[int, int], bias: bool
) -> None:
    assume(all(size + 2 * pad >= taps for size, pad, taps in zip(sizes, padding, kernel, strict=True)))
    torch.manual_seed(0)
    assert_learns_the_same(nn.Conv2d(3, 4, kernel, stride, padding, bias=bias).double(), draw(2, 3, *sizes))


def small_resnet() -> nn.Module:
    torch.manual_seed(1)
    network: nn.Module = torchvision.models.resnet18(num_classes=4)
    return network.double()


@pytest.mark.slow
@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 8), (64, 40)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_network_learns_the_same(height: int, width: int, memory_format: torch.memory_format) -> None:
    network = small_resnet().to(memory_format=memory_format)
    assert_learns_the_same(network, draw(5, 3, height, width).contiguous(memory_format=memory_format))


def test_the_weights_that_only_meet_padding_have_the_gradient_zero() -> None:
    convolution = nn.Conv2d(2, 2, 3, padding=1).double()
    multiply_single_pixels(convolution)
    convolution(draw(4, 2, 1, 1)).square().sum().backward()
    gradient = convolution.weight.grad
    assert gradient is not None
    assert gradient[:, :, 1, 1].count_nonzero() == gradient.count_nonzero() == 4


@pytest.mark.slow
def test_weights_keep_their_names_and_a_copy_has_its_own() -> None:
    network = small_resnet()
    names = list(network.state_dict())
    multiply_single_pixels(network)
    twin = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert list(twin.state_dict()) == names
    images_nchw = torch.ones(2, 3, 32, 32, dtype=torch.float64)
    assert twin(images_nchw).count_nonzero() == 0
    assert network(images_nchw).count_nonzero() > 0


def test_convolutions_of_another_kind_are_left_alone() -> None:
    class Other(nn.Conv2d):
        pass

    network = nn.Sequential(
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 4, 3, padding="same"),
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 3, dilation=2),
        nn.Conv1d(4, 4, 3),
        Other(4, 4, 3),
    )
    kinds = [type(module) for module in network]
    multiply_single_pixels(network)
    assert [type(module) for module in network] == kinds


def test_a_map_smaller_than_the_kernel_is_still_refused() -> None:
    convolution = nn.Conv2d(3, 4, 5, padding=1)
    multiply_single_pixels(convolution)
    with pytest.raises(RuntimeError, match="Kernel size"):
        convolution(torch.ones(1, 3, 1, 1))
