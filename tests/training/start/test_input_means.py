"""Mean inputs of convolutions, against patches that are cut out one by one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad, unfold

from pytorch_designer.images.order import epoch_order
from pytorch_designer.training.start.input_means import MOST_IMAGES, measure_input_means
from tests.training.small_run import NEAR, BuildRun, SmallRun


class Standardized(nn.Conv2d):
    """Standardizes its weights in the pass, so that its output is not linear in them."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, the name that nn.Conv2d gives it
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return conv2d(input, weight / weight.std((1, 2, 3), keepdim=True), self.bias, padding=self.padding)


class SamePadding(nn.Conv2d):
    """Pads by itself, as networks that come from TensorFlow do."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, the name that nn.Conv2d gives it
        return super().forward(pad(input, (0, 1, 0, 1)))


class Added(nn.Module):
    """Adds its input to the output of a convolution, before the batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> Tensor:
        output: Tensor = self.norm(self.convolution(images) + images)
        return output


def network_with(*layers: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    before = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
    return nn.Sequential(before, *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(3))


def run_of(build_run: BuildRun, network: nn.Module, **changes: Any) -> SmallRun:
    network(torch.zeros(2, 3, 8, 8))
    return build_run(network=network, plan=NEAR, **changes)


@pytest.mark.parametrize(
    ("convolution", "padding"),
    [
        (nn.Conv2d(4, 6, 3, padding=1), (1, 1, 1, 1)),
        (nn.Conv2d(4, 6, 3, stride=2, padding=1, bias=False), (1, 1, 1, 1)),
        (nn.Conv2d(4, 6, 1), (0, 0, 0, 0)),
        (nn.Conv2d(4, 6, 3, groups=2, padding=1), (1, 1, 1, 1)),
        (nn.Conv2d(4, 4, 3, groups=4, padding=2, dilation=2), (2, 2, 2, 2)),
        (SamePadding(4, 6, 2), (0, 1, 0, 1)),
    ],
    ids=["padded", "stride", "points", "groups", "depthwise", "own padding"],
)
def test_the_mean_patch_is_that_of_all_images_and_places(
    build_run: BuildRun, convolution: nn.Conv2d, padding: tuple[int, ...]
) -> None:
    network = network_with(convolution, nn.BatchNorm2d(convolution.out_channels))
    small = run_of(build_run, network)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    means = measure_input_means(small.run)

    training, predictor = small.run.training, small.run.predictor
    order = epoch_order(len(training), seed=small.run.hyperparameters.random_seed, epoch=0)
    assert len(training) <= MOST_IMAGES
    batch = next(iter(training.batches([order], epoch=None)))
    with torch.no_grad():
        features_nchw = pad(network.get_submodule("0")(predictor.prepare(batch.images)), padding)
    kernel, dilation = convolution.kernel_size, convolution.dilation
    patches = unfold(features_nchw, kernel, dilation=dilation, stride=convolution.stride).mean((0, 2))
    expected = patches.unflatten(0, (4, *kernel))
    if convolution.groups > 1:
        by_group = expected.unflatten(0, (convolution.groups, -1))
        expected = by_group.repeat_interleave(convolution.out_channels // convolution.groups, 0)
    else:
        expected = expected[None]
    assert list(means) == ["1"]
    torch.testing.assert_close(means["1"], expected)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def frozen(module: nn.Module) -> nn.Module:
    return module.requires_grad_(requires_grad=False)


@pytest.mark.parametrize(
    "layers",
    [
        (Standardized(4, 4, 3), nn.BatchNorm2d(4)),
        (frozen(nn.Conv2d(4, 4, 3)), nn.BatchNorm2d(4)),
        (nn.Conv2d(4, 4, 3), frozen(nn.BatchNorm2d(4))),
        (nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4, affine=False)),
        (nn.Conv2d(4, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)),
        (nn.Conv2d(4, 4, 3), nn.GroupNorm(2, 4)),
        (Added(),),
    ],
    ids=["standardized", "frozen", "frozen norm", "norm without bias", "ReLU between", "group norm", "branch"],
)
def test_convolutions_that_cannot_be_centered_have_none(build_run: BuildRun, layers: tuple[nn.Module, ...]) -> None:
    small = run_of(build_run, network_with(*layers))
    assert measure_input_means(small.run) == {}
    small.train()
    assert small.state.input_means == {}


def test_runs_that_do_not_stay_near_given_weights_have_none(build_run: BuildRun) -> None:
    small = build_run(num_epochs=1)
    small.train()
    assert small.state.input_means == {}
