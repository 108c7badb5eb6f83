"""Folders of real images, and models old and new to score them with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models

from pytorch_designer.components.score_image_model import COMPONENT, ScoreImageModelParameters
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.models.architectures import Architecture
from pytorch_designer.models.saving import write_trained_model
from tests.images.digits import write_digits
from tests.models.legacy_model import write_legacy_model

CLASSES = ("2", "0", "1")
PREPROCESSING = Preprocessing(resize_size=32, crop_height=32, crop_width=32)


def score(model: Path, dataset: Path, output: Path) -> None:
    """Run Score Image Model."""
    COMPONENT.run({"trained_model": model, "dataset": dataset}, {"scored_dataset": output}, ScoreImageModelParameters())


@pytest.fixture(scope="session")
def network() -> nn.Module:
    """A small network with random weights, as it computes when it is scored."""
    torch.manual_seed(0)
    built: nn.Module = models.squeezenet1_1(weights=None, num_classes=3)
    return built.eval()


@pytest.fixture(scope="session")
def model(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model of the new layout, with `PREPROCESSING`."""
    root = tmp_path_factory.mktemp("model")
    write_trained_model(
        root,
        architecture=Architecture("squeezenet1_1"),
        state_dict=network.state_dict(),
        classes=CLASSES,
        preprocessing=PREPROCESSING,
    )
    return root


@pytest.fixture(scope="session")
def stack() -> nn.Sequential:
    """The network of an old model that started from ImageNet weights: a Linear after 1000 logits."""
    torch.manual_seed(0)
    return nn.Sequential(models.resnet18(weights=None), nn.Linear(1000, 3)).eval()


@pytest.fixture(scope="session")
def old_model(stack: nn.Sequential, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model of the old layout with the weights of `stack`; mean (.5, .4, .3), deviation (.5, .25, .125)."""
    state_dict = {f"model.{name}": tensor for name, tensor in stack[0].state_dict().items()}
    state_dict |= {f"out_linear_model.{name}": tensor for name, tensor in stack[1].state_dict().items()}
    root = tmp_path_factory.mktemp("old") / "model"
    return write_legacy_model(root, state_dict, classes=CLASSES, pretrained=True)


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """12 digits of 8 x 8 pixels in the class folders 0, 1 and 2."""
    write_digits(tmp_path / "digits", classes=3, per_class=4)
    return tmp_path / "digits"
