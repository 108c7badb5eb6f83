"""A run of a small network without a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.inference.compute import Compute
from pytorch_designer.models.heads import Head
from pytorch_designer.training.checkpoint import CheckpointPolicy, CheckpointStore
from pytorch_designer.training.checkpoint_checks import RunExtent
from pytorch_designer.training.history import EpochRecord
from pytorch_designer.training.loop import train
from pytorch_designer.training.recipe import Hyperparameters
from pytorch_designer.training.state import TrainingRun, TrainingState
from pytorch_designer.training.weight_plan import WeightPlan

PREPROCESSING = Preprocessing(crop_height=8, crop_width=8)
COMPUTE = Compute(
    device=torch.device("cpu"),
    precision="fp32",
    memory_format=torch.contiguous_format,
    num_threads=1,
    is_deterministic=True,
)
EXTENT = RunExtent(num_epochs=10, num_steps=1000, num_classes=3, num_validated=12)
FROM_SCRATCH = WeightPlan(are_given=False, stays_near=False, scales_convolutions=True, shrinks_head=True)
AWAY = WeightPlan(are_given=True, stays_near=False, scales_convolutions=False, shrinks_head=True)
NEAR = WeightPlan(are_given=True, stays_near=True, scales_convolutions=False, shrinks_head=True)
HYPERPARAMETERS = Hyperparameters(num_epochs=3, batch_size=8, learning_rate=0.05, random_seed=7, patience=3)


def small_network(seed: int = 0) -> nn.Module:
    """Convolution, batch norm, dropout and a head for three classes."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(36, 3)
    )


def norm_of(network: nn.Module) -> nn.BatchNorm2d:
    """The batch norm of `small_network`."""
    norm = network.get_submodule("1")
    assert isinstance(norm, nn.BatchNorm2d)
    return norm


def head_of(network: nn.Module) -> Head:
    """The last layer of `small_network`, or what a test has put in its place."""
    head = list(network.children())[-1]
    assert isinstance(head, nn.Linear | nn.Conv2d)
    return head


def same_tensors(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """True if two states have the same names and the same bits."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@dataclass
class RecordingDisplay:
    """Records its calls."""

    losses: list[float] = field(default_factory=list)
    num_images: list[int] = field(default_factory=list)
    records: list[EpochRecord] = field(default_factory=list)
    after_step: Callable[[int], None] = lambda num_steps: None

    def step_taken(self, *, epoch: int, step: int, num_steps: int, num_images: int, loss: float) -> None:
        assert 1 <= step <= num_steps
        assert epoch >= 1
        self.losses.append(loss)
        self.num_images.append(num_images)
        self.after_step(len(self.losses))

    def validated(self, *, epoch: int, num_images: int) -> None:
        assert epoch >= 0
        assert num_images >= 0

    def features_computed(self, *, num_images: int, num_all: int) -> None:
        assert 1 <= num_images <= num_all

    def epoch_ended(self, record: EpochRecord) -> None:
        self.records.append(record)


@dataclass
class SmallRun:
    """A run, its state, its checkpoints and its display."""

    run: TrainingRun
    state: TrainingState
    store: CheckpointStore
    checkpoint_seconds: float
    display: RecordingDisplay

    def train(self) -> str:
        return train(self.run, self.state, CheckpointPolicy(self.store, self.checkpoint_seconds))

    @property
    def network(self) -> nn.Module:
        network: nn.Module = self.run.predictor.network
        return network


BuildRun = Callable[..., SmallRun]
