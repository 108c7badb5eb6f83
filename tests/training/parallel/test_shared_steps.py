"""Steps of several processes against those of one with the whole batch, and against DDP."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from pytorch_designer.distributed.world import ONE_PROCESS, World
from pytorch_designer.images.loader import Batch
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.training.recipe import build_optimizer
from pytorch_designer.training.state import copy_weights
from pytorch_designer.training.steps.step import StepRequest
from pytorch_designer.training.steps.steppers import open_stepper
from tests.distributed.worlds import run_world
from tests.training.small_run import COMPUTE, PREPROCESSING

pytestmark = pytest.mark.slow

NUM_STEPS = 20
LEARNING_RATE = 0.01


class _Network(nn.Module):
    """Convolutions without batch norm, and a layer that is never used."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 3)
        )
        self.unused = nn.Linear(4, 4)

    def forward(self, images_nchw: Tensor) -> Tensor:
        logits_nk: Tensor = self.layers(images_nchw)
        return logits_nk


def batches(num_images: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    shape = (num_images, 3, 8, 8)
    return [
        Batch(
            torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8),
            torch.randint(0, 3, (num_images,), generator=generator),
            np.arange(num_images),
        )
        for _ in range(NUM_STEPS)
    ]


def take_steps(world: World, sizes: list[int]) -> dict[str, Tensor]:
    """The weights after all steps, in each of which the processes have so many images."""
    predictor = Predictor(_Network(), PREPROCESSING, COMPUTE)
    stepper = open_stepper(predictor, build_optimizer(predictor.network, LEARNING_RATE), usual_sizes=(), world=world)
    for number, batch in enumerate(batches(sum(sizes))):
        own = _part(batch, sizes, world.rank)
        [outcome] = stepper.step(own, StepRequest(1, number, LEARNING_RATE, seed=number, num_images=sum(sizes)))
        assert outcome.num_images == sum(sizes)
    return copy_weights(predictor.network)


def take_steps_with_ddp(world: World, sizes: list[int]) -> dict[str, Tensor]:
    """The same with torch's own way, which divides by the number of processes."""
    predictor = Predictor(_Network(), PREPROCESSING, COMPUTE)
    network = copy.deepcopy(predictor.network)
    optimizer = build_optimizer(network, LEARNING_RATE)
    parallel = DistributedDataParallel(network, find_unused_parameters=True)
    for batch in batches(sum(sizes)):
        own = _part(batch, sizes, world.rank)
        cross_entropy(parallel(predictor.prepare(own.images)), own.labels).backward()
        network.get_submodule("unused").zero_grad()
        optimizer.step()
        optimizer.zero_grad()
    return copy_weights(network)


def _part(batch: Batch, sizes: list[int], rank: int) -> Batch:
    part = slice(sum(sizes[:rank]), sum(sizes[: rank + 1]))
    return Batch(batch.images[part], batch.labels[part], batch.indices[part])


def _differences(found: dict[str, Tensor], expected: dict[str, Tensor]) -> float:
    return max(float((found[name] - tensor).abs().max() / tensor.abs().max()) for name, tensor in expected.items())


@pytest.mark.parametrize("sizes", [[8, 8], [9, 7], [6, 0, 10]])
def test_several_processes_follow_one_with_the_whole_batch(sizes: list[int]) -> None:
    found = run_world(len(sizes), take_steps, sizes)
    expected = take_steps(ONE_PROCESS, [sum(sizes)])
    assert _differences(found[0], expected) < 1e-4
    assert all(torch.equal(found[0][name], other[name]) for other in found[1:] for name in expected)
    assert torch.equal(found[0]["unused.weight"], expected["unused.weight"]), "not even decayed"


def test_ddp_follows_within_the_same() -> None:
    found, oracle = run_world(2, take_steps, [8, 8]), run_world(2, take_steps_with_ddp, [8, 8])
    assert _differences(found[0], oracle[0]) < 1e-4
