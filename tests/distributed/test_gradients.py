"""Gradients in flat buckets: sums over processes, whatever part of a batch each has."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pytorch_designer.distributed.gradients import FlatGradients
from pytorch_designer.distributed.world import ONE_PROCESS, World
from pytorch_designer.errors import UnsupportedEnvironmentError

from .worlds import run_world

pytestmark = pytest.mark.slow


def network(*, is_channels_last: bool = False) -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5))
    return made.to(memory_format=torch.channels_last) if is_channels_last else made


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(12, 3, 8, 8, generator=generator), torch.randint(0, 5, (12,), generator=generator)


def summed(world: World, sizes: list[int], bucket_bytes: int, overlaps: bool) -> tuple[list[Tensor], list[float]]:
    """The gradients of a batch of which each process has some images, and sums of its metrics."""
    trained = network(is_channels_last=True)
    gradients = FlatGradients(list(trained.parameters()), world, bucket_bytes=bucket_bytes)
    start = sum(sizes[: world.rank])
    images, labels = (whole[start : start + sizes[world.rank]] for whole in batch())
    for _ in range(2):  # the second step is as the first
        gradients.clear()
        gradients.metrics.copy_(torch.tensor([0.5, world.rank, 1.0]))
        if len(images):
            loss = nn.functional.cross_entropy(trained(images), labels)
            share = torch.tensor(len(images) / sum(sizes))
            if overlaps:
                with gradients.overlapping():
                    loss.backward(share)
            else:
                loss.backward(share)
        gradients.finish()
    found = [parameter.grad for parameter in trained.parameters() if parameter.grad is not None]
    strides = [parameter.stride() for parameter in trained.parameters()]
    assert [gradient.stride() for gradient in found] == strides
    return [gradient.clone() for gradient in found], gradients.metrics.tolist()


def expected() -> list[Tensor]:
    trained = network()
    images, labels = batch()
    nn.functional.cross_entropy(trained(images), labels).backward()
    return [parameter.grad for parameter in trained.parameters() if parameter.grad is not None]


@pytest.mark.parametrize(
    ("sizes", "bucket_bytes", "overlaps"),
    [([6, 6], 1 << 20, True), ([6, 6], 64, True), ([12, 0], 64, True), ([5, 4, 3], 500, True), ([1, 0, 11], 64, False)],
)
def test_sums_over_processes_are_the_gradients_of_the_whole_batch(
    sizes: list[int], bucket_bytes: int, overlaps: bool
) -> None:
    found = run_world(len(sizes), summed, sizes, bucket_bytes, overlaps)
    for gradients, metrics in found:
        assert metrics == [0.5 * len(sizes), sum(range(len(sizes))), len(sizes)]
        for one, other, first in zip(gradients, expected(), found[0][0], strict=True):
            assert (one - other).abs().max() <= 2e-6 * other.abs().max()
            assert torch.equal(one, first), "equal in all processes, to the last bit"


def test_one_process_alone_has_the_bits_of_plain_gradients() -> None:
    gradients, _ = summed(ONE_PROCESS, [12], 64, True)
    trained = network(is_channels_last=True)
    images, labels = batch()
    nn.functional.cross_entropy(trained(images), labels).backward()
    plain = [parameter.grad for parameter in trained.parameters()]
    assert all(other is not None and torch.equal(one, other) for one, other in zip(gradients, plain, strict=True))


def test_parameters_of_different_types_are_in_different_buckets() -> None:
    mixed = nn.ParameterList([torch.ones(3), torch.ones(2, dtype=torch.float64), torch.ones(4)])
    gradients = FlatGradients(list(mixed), ONE_PROCESS)
    gradients.clear()
    with gradients.overlapping():
        sum(parameter.sum().double() for parameter in mixed).backward()
    gradients.finish()
    assert [parameter.grad.tolist() for parameter in mixed if parameter.grad is not None] == [
        [1.0] * 3,
        [1.0] * 2,
        [1.0] * 4,
    ]


def test_a_parameter_that_was_left_out_must_stay_unused() -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    gradients = FlatGradients([used], ONE_PROCESS, left_out=[unused])
    gradients.clear()
    used.sum().backward()
    with pytest.raises(UnsupportedEnvironmentError, match="in some steps only"):
        (used * unused).sum().backward()
