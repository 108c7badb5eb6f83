"""Steps on a CUDA GPU: the same as steps that are waited for, to the last bit. Needs a GPU."""

from __future__ import annotations

import math
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

from pytorch_designer.directories.image_directory import ImageDirectory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.errors import InterruptedRunError, ModuleOutOfMemoryError, NonFiniteLossError
from pytorch_designer.images.augmentation import Augmentation
from pytorch_designer.images.loader import Batch, ImageLoader
from pytorch_designer.inference.compute import ComputePlan
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.models.architectures import Architecture, build_network
from pytorch_designer.training.gpu_steps import GpuSteps
from pytorch_designer.training.loop import train
from pytorch_designer.training.optimizer import build_optimizer
from pytorch_designer.training.repeatability import settle_repeatability
from pytorch_designer.training.state import copy_weights
from pytorch_designer.training.step import ImmediateSteps, StepOutcome, StepRequest, Steps
from pytorch_designer.transforms.registrations import parse_transforms
from tests.campaigns.families import FAMILIES

from .small_run import PREPROCESSING, BuildRun, SmallRun, same_tensors, small_network

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

NUM_CLASSES = 5


@pytest.fixture(params=["fp32", "bf16"])
def plan(request: pytest.FixtureRequest) -> ComputePlan:
    made = ComputePlan(
        device=torch.device("cuda", 0),
        precision=request.param,
        memory_format=torch.channels_last,
        num_threads=1,
        is_deterministic=True,
    )
    made.activate()
    return made


def batches(sizes: list[int], side: int) -> list[Batch]:
    generator = torch.Generator().manual_seed(0)
    made = []
    for size in sizes:
        images = torch.randint(0, 256, (size, 3, side, side), generator=generator, dtype=torch.uint8)
        labels = torch.randint(0, NUM_CLASSES, (size,), generator=generator)
        made.append(Batch(images.contiguous(memory_format=torch.channels_last), labels, np.arange(size)))
    return made


def resnet() -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = torchvision.models.resnet18(num_classes=NUM_CLASSES)
    network.fc = nn.Sequential(nn.Dropout(0.3), network.fc)  # type: ignore[arg-type]
    return network


def predictor_of(network: nn.Module, plan: ComputePlan, side: int = 64) -> Predictor:
    return Predictor(network, Preprocessing(crop_height=side, crop_width=side), plan)


def taken(steps: Steps, on: list[Batch], learning_rate: float = 0.01) -> list[StepOutcome]:
    outcomes: list[StepOutcome] = []
    for number, batch in enumerate(on):
        outcomes += steps.take(batch, StepRequest(1, number, learning_rate * (1 - number / len(on)), seed=number))
    return outcomes + steps.settle()


@pytest.mark.parametrize("usual_sizes", [(), (16,), (16, 11)], ids=["launched", "captured", "both sizes captured"])
def test_weights_and_losses_are_those_of_steps_that_are_waited_for(
    plan: ComputePlan, usual_sizes: tuple[int, ...]
) -> None:
    on = batches([16, 16, 16, 7, 16, 11, 16, 11, 16], side=64)
    waited, ahead = predictor_of(resnet(), plan), predictor_of(resnet(), plan)
    expected = taken(ImmediateSteps(waited, build_optimizer(waited.network, 0.01)), on)
    optimizer = build_optimizer(ahead.network, 0.01)
    found = taken(GpuSteps(ahead, optimizer, usual_sizes=usual_sizes), on)
    assert found == expected
    assert [outcome.request.step for outcome in found] == list(range(9))
    assert same_tensors(copy_weights(ahead.network), copy_weights(waited.network))


@pytest.mark.parametrize("name", FAMILIES)
def test_captured_steps_of_every_family_repeat(name: str, plan: ComputePlan) -> None:
    side = 200 if name in {"alexnet", "vgg11_bn"} else 224  # at 200 pixels these pool to sizes that do not divide
    on = batches([8] * 4, side)

    def trained_weights() -> dict[str, Tensor]:
        torch.manual_seed(0)
        predictor = predictor_of(build_network(Architecture(name), NUM_CLASSES), plan, side)
        taken(GpuSteps(predictor, build_optimizer(predictor.network, 0.01), usual_sizes=[8]), on)
        return copy_weights(predictor.network)

    assert same_tensors(trained_weights(), trained_weights())


@pytest.mark.filterwarnings("ignore:.*does not have a deterministic implementation")
def test_a_network_that_cannot_repeat_is_trained_and_it_is_said(
    plan: ComputePlan, caplog: pytest.LogCaptureFixture
) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveMaxPool2d(3), nn.Flatten(), nn.Linear(72, NUM_CLASSES))
    predictor = predictor_of(network, plan)
    settle_repeatability(predictor, normalizes_lone_image=True)
    assert "adaptive_max_pool2d_backward_cuda does not have a deterministic implementation" in caplog.text
    steps = GpuSteps(predictor, build_optimizer(predictor.network, 0.01), usual_sizes=[16])
    assert all(outcome.is_finite for outcome in taken(steps, batches([16] * 3, side=64)))


def test_a_network_that_cannot_be_captured_is_trained_all_the_same(plan: ComputePlan) -> None:
    class Looks(nn.Module):
        """Asks for a number on the GPU in its forward pass, which no graph can hold."""

        def __init__(self) -> None:
            super().__init__()
            self.network = resnet()

        def forward(self, images: Tensor) -> Tensor:
            scale = 1.0 if images.mean().item() > -100 else 2.0
            logits: Tensor = self.network(images) * scale
            return logits

    on = batches([16] * 5, side=64)
    plain, looking = predictor_of(resnet(), plan), predictor_of(Looks(), plan)
    expected = taken(GpuSteps(plain, build_optimizer(plain.network, 0.01)), on)
    found = taken(GpuSteps(looking, build_optimizer(looking.network, 0.01), usual_sizes=[16]), on)
    assert [outcome.loss for outcome in found] == pytest.approx([outcome.loss for outcome in expected], rel=1e-3)


def test_a_network_that_computes_parts_again_is_not_captured(plan: ComputePlan) -> None:
    torch.manual_seed(0)
    network = torchvision.models.densenet121(num_classes=NUM_CLASSES, memory_efficient=True, drop_rate=0.1)
    predictor = predictor_of(network, plan)
    steps = GpuSteps(predictor, build_optimizer(predictor.network, 0.01), usual_sizes=[16])
    assert all(outcome.is_finite for outcome in taken(steps, batches([16] * 3, side=64)))


@pytest.mark.parametrize("usual_sizes", [(), (8,)], ids=["launched", "captured"])
def test_after_a_loss_that_is_not_finite_no_weight_changes(plan: ComputePlan, usual_sizes: tuple[int, ...]) -> None:
    on = batches([8] * 6, side=64)
    before, after = predictor_of(resnet(), plan), predictor_of(resnet(), plan)
    taken(GpuSteps(before, build_optimizer(before.network, 0.01), usual_sizes=usual_sizes), on[:2], 0.02)
    steps = GpuSteps(after, build_optimizer(after.network, 0.01), usual_sizes=usual_sizes)
    outcomes = taken(steps, on[:2], 0.02)
    with torch.no_grad():
        kept = after.network.fc[1].bias[0].item()  # type: ignore[index, union-attr]
        after.network.fc[1].bias[0] = math.nan  # type: ignore[index, union-attr]
    outcomes += taken(steps, on[2:])
    with torch.no_grad():
        after.network.fc[1].bias[0] = kept  # type: ignore[index, union-attr]
    assert [outcome.is_finite for outcome in outcomes] == [True, True, False, False, False, False]
    for one, other in zip(before.network.parameters(), after.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_batch_that_does_not_fit_is_named(plan: ComputePlan) -> None:
    class Greedy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(1, NUM_CLASSES)

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.linear(images.new_empty((2**44,))[: len(images), None])
            return logits

    greedy = predictor_of(Greedy(), plan)
    steps = GpuSteps(greedy, build_optimizer(greedy.network, 0.01), usual_sizes=[8])
    with pytest.raises(ModuleOutOfMemoryError, match="batch of 8 images"):
        taken(steps, batches([8], side=64))


def test_a_huge_learning_rate_stops_the_run_and_names_the_step(build_run: BuildRun, plan: ComputePlan) -> None:
    small = build_run(plan=plan, learning_rate=1e30, num_epochs=3)
    with pytest.raises(NonFiniteLossError, match=r"step [2-4] of epoch 1|validation loss"):
        train(small.run, small.state)


@pytest.mark.parametrize("stop_after", [1, 2, 5, 7, 11])
def test_a_run_that_was_stopped_continues_bit_for_bit(
    build_run: BuildRun, plan: ComputePlan, tmp_path: Path, stop_after: int
) -> None:
    whole = build_run(plan=plan)
    train(whole.run, whole.state)
    first = build_run(plan=plan, output=tmp_path / "stopped")

    def stop(num_steps: int) -> None:
        if num_steps == stop_after:
            first.run.stop_request.request(signal.SIGTERM)

    first.display.after_step = stop
    with pytest.raises(InterruptedRunError):
        train(first.run, first.state)
    second = build_run(plan=plan, network=small_network(seed=99), output=tmp_path / "stopped")
    assert second.run.checkpoints.restore(second.state)
    train(second.run, second.state)
    assert first.display.losses + second.display.losses == whole.display.losses
    assert same_tensors(copy_weights(second.network), copy_weights(whole.network))
    assert _measured(second) == _measured(whole)


def test_random_steps_are_done_on_the_gpu_and_repeat(
    plan: ComputePlan, build_run: BuildRun, datasets: dict[str, ImageDirectory], tmp_path: Path
) -> None:
    transforms = parse_transforms([("RandomHorizontalFlip", {}), ("ColorJitter", {"brightness": 0.4, "hue": 0.1})])
    augmentation = Augmentation((), transforms, PREPROCESSING, (8, 8), seed=7)
    assert augmentation.can_draw_batches()

    def trained(output: str, num_threads: int) -> SmallRun:
        with ImageLoader(
            datasets["training"],
            PREPROCESSING,
            augmentation=augmentation,
            draws_later=True,
            num_threads=num_threads,
            pins_memory=True,
            tolerance=0.0,
            port="training_dataset",
        ) as loader:
            small = build_run(plan=plan, training=loader, batch_augmentation=augmentation, output=tmp_path / output)
            train(small.run, small.state)
        return small

    first, second = trained("first", 1), trained("second", 5)
    plain = build_run(plan=plan, output=tmp_path / "plain")
    train(plain.run, plain.state)
    assert same_tensors(copy_weights(first.network), copy_weights(second.network))
    assert not same_tensors(copy_weights(first.network), copy_weights(plain.network))


def _measured(small: SmallRun) -> list[object]:
    return [(record.training, record.validation, record.is_best) for record in small.state.history]
