"""Steps of several processes on CUDA GPUs: graphs around the sums. Needs a GPU."""

from __future__ import annotations

import statistics
import time

import pytest
import torch
from torch import Tensor, nn

from pytorch_designer.distributed.gradients import FlatGradients
from pytorch_designer.distributed.world import ONE_PROCESS, World
from pytorch_designer.inference.compute import Compute
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.training.recipe import build_optimizer
from pytorch_designer.training.state import copy_weights
from pytorch_designer.training.steps.gpu_steps import GpuStepper
from pytorch_designer.training.steps.step import ImmediateStepper, StepOutcome, StepRequest
from pytorch_designer.training.steps.steppers import open_stepper
from tests.distributed.worlds import run_world
from tests.training.small_run import same_tensors
from tests.training.steps.test_gpu_steps import batches, near_steps_of, predictor_of, resnet

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

SIZES = [16, 16, 16, 7, 16, 11, 16]


def _compute() -> Compute:
    made = Compute(torch.device("cuda", 0), "fp32", torch.channels_last, num_threads=1, is_deterministic=True)
    made.activate()
    return made


def _plain_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(2048, 5))


def _gradients(predictor: Predictor) -> FlatGradients:
    return FlatGradients([one for one in predictor.network.parameters() if one.requires_grad], ONE_PROCESS)


def _taken(stepper: GpuStepper | ImmediateStepper) -> list[StepOutcome]:
    outcomes: list[StepOutcome] = []
    for number, batch in enumerate(batches(SIZES, side=64)):
        request = StepRequest(1, number, 0.01, seed=number, num_images=len(batch.labels))
        outcomes += stepper.step(batch, request)
    return outcomes + stepper.synchronize()


@pytest.mark.parametrize("stays_near", [False, True])
@pytest.mark.parametrize("usual_sizes", [(), (16,), (16, 11)], ids=["launched", "captured", "both sizes captured"])
def test_a_world_of_one_gives_the_bits_of_the_single_graph(usual_sizes: tuple[int, ...], *, stays_near: bool) -> None:
    alone, split = predictor_of(resnet(), _compute()), predictor_of(resnet(), _compute())
    optimizers = [build_optimizer(predictor.network, 0.01) for predictor in (alone, split)]
    near_steps = [
        near_steps_of(predictor, optimizer) if stays_near else None
        for predictor, optimizer in zip((alone, split), optimizers, strict=True)
    ]
    expected = _taken(GpuStepper(alone, optimizers[0], usual_sizes=usual_sizes, near_steps=near_steps[0]))
    gradients = _gradients(split)
    found = _taken(
        GpuStepper(split, optimizers[1], usual_sizes=usual_sizes, near_steps=near_steps[1], gradients=gradients)
    )
    assert found == expected
    assert same_tensors(copy_weights(split.network), copy_weights(alone.network))


def test_a_world_of_one_has_the_speed_of_the_single_graph() -> None:
    size, side, num_steps = 32, 224, 50
    alone, split = predictor_of(resnet(), _compute(), side=side), predictor_of(resnet(), _compute(), side=side)
    steppers = [
        GpuStepper(alone, build_optimizer(alone.network, 0.01), usual_sizes=(size,)),
        GpuStepper(split, build_optimizer(split.network, 0.01), usual_sizes=(size,), gradients=_gradients(split)),
    ]
    [batch] = batches([size], side=side)
    ratios = []
    for number in range(6):
        seconds = []
        for stepper in steppers:
            started = time.perf_counter()
            for step in range(num_steps):
                stepper.step(batch, StepRequest(1, step, 0.01, seed=step, num_images=size))
            stepper.synchronize()
            seconds.append(time.perf_counter() - started)
        if number:  # the first round captures
            ratios.append(seconds[0] / seconds[1])
    assert statistics.median(ratios) >= 0.97, ratios


def test_a_loss_that_is_not_finite_changes_no_weight() -> None:
    predictor = predictor_of(_plain_network(), _compute())
    optimizer = build_optimizer(predictor.network, 0.01)
    stepper = GpuStepper(predictor, optimizer, usual_sizes=(8,), gradients=_gradients(predictor))
    [batch] = batches([8], side=64)
    stepper.step(batch, StepRequest(1, 0, 0.01, seed=0, num_images=8))
    stepper.synchronize()
    before = copy_weights(predictor.network)
    with torch.no_grad():
        predictor.network.get_parameter("0.bias").fill_(float("nan"))
    before["0.bias"] = copy_weights(predictor.network)["0.bias"]
    stepper.step(batch, StepRequest(1, 1, 0.01, seed=1, num_images=8))
    assert not stepper.synchronize()[-1].is_finite
    after = copy_weights(predictor.network)
    assert all(torch.equal(after[name], before[name]) for name in before if name != "0.bias")


def take_steps(world: World, sizes: list[int]) -> dict[str, Tensor]:
    """The weights after steps in each of which the processes have so many images of a batch, on one GPU."""
    predictor = predictor_of(_plain_network(), _compute())
    optimizer = build_optimizer(predictor.network, 0.01)
    stepper = open_stepper(predictor, optimizer, usual_sizes=set(sizes), world=world)
    start = sum(sizes[: world.rank])
    for number, batch in enumerate(batches([sum(sizes)] * 10, side=64)):
        part = slice(start, start + sizes[world.rank])
        own = type(batch)(batch.images[part], batch.labels[part], batch.indices[part])
        stepper.step(own, StepRequest(1, number, 0.01, seed=number, num_images=sum(sizes)))
    stepper.synchronize()
    return copy_weights(predictor.network)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [[8, 8], [16, 0]])
def test_two_processes_with_gloo_train_on_one_gpu_as_one_does(sizes: list[int]) -> None:
    first, second = run_world(2, take_steps, sizes)
    assert same_tensors(first, second)
    for name, expected in take_steps(ONE_PROCESS, [sum(sizes)]).items():
        assert (first[name] - expected).abs().max() <= 1e-4 * expected.abs().max()
