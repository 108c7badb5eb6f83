"""A small trained model, images, and MLflow's server with that model."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.models.architectures import Architecture, build_network
from pytorch_designer.models.saving import write_trained_model
from tests.serving.scoring_server import ScoringServer, scoring_server

SQUEEZENET = Architecture("squeezenet1_1")
CLASSES = ("cat", 'a, "b"\nc', "owl")
PREPROCESSING = Preprocessing(
    resize_size=40, crop_height=32, crop_width=36, mean=(0.5, 0.25, 0.125), std=(0.5, 0.4, 0.3)
)


def pixels(seed: int, height: int = 40, width: int = 48) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(seed: int, image_format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels(seed)).save(buffer, image_format)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return build_network(SQUEEZENET, len(CLASSES)).eval()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, network: torch.nn.Module) -> Path:
    root = tmp_path_factory.mktemp("model")
    write_trained_model(
        root,
        architecture=SQUEEZENET,
        state_dict=network.state_dict(),
        classes=CLASSES,
        preprocessing=PREPROCESSING,
    )
    return root


@pytest.fixture(scope="session")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScoringServer]:
    """A process for all tests of the module: starting one takes ten seconds."""
    with scoring_server(model, tmp_path_factory.mktemp("server")) as running:
        yield running
