"""Steps on a CUDA GPU give the same as immediate steps, to the last bit. Needs a GPU."""

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
from pytorch_designer.inference.compute import Compute
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.models.architectures import Architecture, build_network
from pytorch_designer.models.batch_norm import normalized_convolutions
from pytorch_designer.training.recipe import build_optimizer
from pytorch_designer.training.repeatability import check_repeatability
from pytorch_designer.training.state import copy_weights
from pytorch_designer.training.steps.gpu_steps import GpuStepper
from pytorch_designer.training.steps.near_steps import CenteredConvolutions, NearSteps
from pytorch_designer.training.steps.step import ImmediateStepper, StepOutcome, Stepper, StepRequest
from pytorch_designer.transforms.registrations import parse_transforms
from tests.campaigns.families import FAMILIES
from tests.inference.test_deterministic_operations import NOT_REPEATING
from tests.training.small_run import PREPROCESSING, BuildRun, SmallRun, same_tensors, small_network

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

NUM_CLASSES = 5


@pytest.fixture(params=["fp32", "bf16"])
def compute(request: pytest.FixtureRequest) -> Compute:
    made = Compute(
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
    network.set_submodule("fc", nn.Sequential(nn.Dropout(0.3), network.get_submodule("fc")))
    return network


def predictor_of(network: nn.Module, compute: Compute, side: int = 64) -> Predictor:
    return Predictor(network, Preprocessing(crop_height=side, crop_width=side), compute)


def taken(stepper: Stepper, on: list[Batch], learning_rate: float = 0.01) -> list[StepOutcome]:
    outcomes: list[StepOutcome] = []
    for number, batch in enumerate(on):
        outcomes += stepper.step(batch, StepRequest(1, number, learning_rate * (1 - number / len(on)), seed=number))
    return outcomes + stepper.synchronize()


def near_steps_of(predictor: Predictor, optimizer: torch.optim.SGD) -> NearSteps:
    network = predictor.network
    pairs = normalized_convolutions(network)
    means = {name: convolution.weight[:1].detach().cpu() for name, (convolution, _) in pairs.items()}
    return NearSteps(optimizer, 0.01, CenteredConvolutions(network, means))


@pytest.mark.parametrize("stays_near", [False, True])
@pytest.mark.parametrize("usual_sizes", [(), (16,), (16, 11)], ids=["launched", "captured", "both sizes captured"])
def test_weights_and_losses_are_those_of_steps_that_are_waited_for(
    compute: Compute, usual_sizes: tuple[int, ...], *, stays_near: bool
) -> None:
    on = batches([16, 16, 16, 7, 16, 11, 16, 11, 16], side=64)
    waited, ahead = predictor_of(resnet(), compute), predictor_of(resnet(), compute)
    optimizers = [build_optimizer(predictor.network, 0.01) for predictor in (waited, ahead)]
    near_steps = [
        near_steps_of(predictor, optimizer) if stays_near else None
        for predictor, optimizer in zip((waited, ahead), optimizers, strict=True)
    ]
    expected = taken(ImmediateStepper(waited, optimizers[0], near_steps=near_steps[0]), on)
    found = taken(GpuStepper(ahead, optimizers[1], usual_sizes=usual_sizes, near_steps=near_steps[1]), on)
    assert found == expected
    assert [outcome.request.step for outcome in found] == list(range(9))
    assert same_tensors(copy_weights(ahead.network), copy_weights(waited.network))


@pytest.mark.parametrize("name", sorted(FAMILIES.keys() - NOT_REPEATING))
def test_captured_steps_of_every_family_repeat(name: str, compute: Compute) -> None:
    side = 224
    on = batches([8] * 4, side)

    def trained_weights() -> dict[str, Tensor]:
        torch.manual_seed(0)
        predictor = predictor_of(build_network(Architecture(name), NUM_CLASSES), compute, side)
        taken(GpuStepper(predictor, build_optimizer(predictor.network, 0.01), usual_sizes=[8]), on)
        return copy_weights(predictor.network)

    assert same_tensors(trained_weights(), trained_weights())


@pytest.mark.filterwarnings("ignore:.*does not have a deterministic implementation")
def test_a_network_that_cannot_repeat_is_trained_and_it_is_said(
    compute: Compute, caplog: pytest.LogCaptureFixture
) -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.AdaptiveMaxPool2d(3), nn.Flatten(), nn.Linear(72, NUM_CLASSES))
    predictor = predictor_of(network, compute)
    check_repeatability(predictor)
    assert "adaptive_max_pool2d_backward_cuda does not have a deterministic implementation" in caplog.text
    stepper = GpuStepper(predictor, build_optimizer(predictor.network, 0.01), usual_sizes=[16])
    assert all(outcome.is_finite for outcome in taken(stepper, batches([16] * 3, side=64)))


def test_a_network_that_cannot_be_captured_is_trained_all_the_same(compute: Compute) -> None:
    class Synchronizing(nn.Module):
        """Reads a number from the GPU in its forward pass, which no graph can hold."""

        def __init__(self) -> None:
            super().__init__()
            self.network = resnet()

        def forward(self, images: Tensor) -> Tensor:
            scale = 1.0 if images.mean().item() > -100 else 2.0
            logits: Tensor = self.network(images) * scale
            return logits

    on = batches([16] * 5, side=64)
    plain, synchronizing = predictor_of(resnet(), compute), predictor_of(Synchronizing(), compute)
    expected = taken(GpuStepper(plain, build_optimizer(plain.network, 0.01)), on)
    found = taken(GpuStepper(synchronizing, build_optimizer(synchronizing.network, 0.01), usual_sizes=[16]), on)
    assert [outcome.loss for outcome in found] == pytest.approx([outcome.loss for outcome in expected], rel=1e-3)


def test_a_network_that_computes_parts_again_is_not_captured(compute: Compute) -> None:
    torch.manual_seed(0)
    network = torchvision.models.densenet121(num_classes=NUM_CLASSES, memory_efficient=True, drop_rate=0.1)
    predictor = predictor_of(network, compute)
    stepper = GpuStepper(predictor, build_optimizer(predictor.network, 0.01), usual_sizes=[16])
    assert all(outcome.is_finite for outcome in taken(stepper, batches([16] * 3, side=64)))


@pytest.mark.parametrize("usual_sizes", [(), (8,)], ids=["launched", "captured"])
def test_after_a_loss_that_is_not_finite_no_weight_changes(compute: Compute, usual_sizes: tuple[int, ...]) -> None:
    on = batches([8] * 6, side=64)
    before, after = predictor_of(resnet(), compute), predictor_of(resnet(), compute)
    taken(GpuStepper(before, build_optimizer(before.network, 0.01), usual_sizes=usual_sizes), on[:2], 0.02)
    stepper = GpuStepper(after, build_optimizer(after.network, 0.01), usual_sizes=usual_sizes)
    outcomes = taken(stepper, on[:2], 0.02)
    with torch.no_grad():
        bias = after.network.get_parameter("fc.1.bias")
        kept = bias[0].item()
        bias[0] = math.nan
    outcomes += taken(stepper, on[2:])
    with torch.no_grad():
        bias[0] = kept
    assert [outcome.is_finite for outcome in outcomes] == [True, True, False, False, False, False]
    for one, other in zip(before.network.parameters(), after.network.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_batch_that_does_not_fit_is_named(compute: Compute) -> None:
    class Greedy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(1, NUM_CLASSES)

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.linear(images.new_empty((2**44,))[: len(images), None])
            return logits

    greedy = predictor_of(Greedy(), compute)
    stepper = GpuStepper(greedy, build_optimizer(greedy.network, 0.01), usual_sizes=[8])
    with pytest.raises(ModuleOutOfMemoryError, match="batch of 8 images"):
        taken(stepper, batches([8], side=64))


def test_a_huge_learning_rate_stops_the_run_and_names_the_step(build_run: BuildRun, compute: Compute) -> None:
    small = build_run(compute=compute, learning_rate=1e30, num_epochs=3)
    with pytest.raises(NonFiniteLossError, match=r"step [2-4] of epoch 1|validation loss"):
        small.train()


@pytest.mark.parametrize("stop_after", [1, 2, 5, 7, 11])
def test_a_run_that_was_stopped_continues_bit_for_bit(
    build_run: BuildRun, compute: Compute, tmp_path: Path, stop_after: int
) -> None:
    whole = build_run(compute=compute)
    whole.train()
    first = build_run(compute=compute, output=tmp_path / "stopped")

    def stop(num_steps: int) -> None:
        if num_steps == stop_after:
            first.run.stop_request.request(signal.SIGTERM)

    first.display.after_step = stop
    with pytest.raises(InterruptedRunError):
        first.train()
    second = build_run(compute=compute, network=small_network(seed=99), output=tmp_path / "stopped")
    assert second.store.restore(second.state)
    second.train()
    assert first.display.losses + second.display.losses == whole.display.losses
    assert same_tensors(copy_weights(second.network), copy_weights(whole.network))
    assert _measured(second) == _measured(whole)


def test_random_steps_are_done_on_the_gpu_and_repeat(
    compute: Compute, build_run: BuildRun, datasets: dict[str, ImageDirectory], tmp_path: Path
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
            small = build_run(
                compute=compute, training=loader, batch_augmentation=augmentation, output=tmp_path / output
            )
            small.train()
        return small

    first, second = trained("first", 1), trained("second", 5)
    plain = build_run(compute=compute, output=tmp_path / "plain")
    plain.train()
    assert same_tensors(copy_weights(first.network), copy_weights(second.network))
    assert not same_tensors(copy_weights(first.network), copy_weights(plain.network))


def _measured(small: SmallRun) -> list[object]:
    return [(record.training, record.validation, record.is_best) for record in small.state.history]
