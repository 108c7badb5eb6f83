"""Assets that the old designer wrote (tests/data/old_designer): they score as they did there, and evaluate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torchvision import models

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.scores.scored_dataset import open_scored_dataset
from pytorch_designer.directories.transformation_directory import open_transformation_directory
from tests.models.legacy_model import deterministic_weights
from tests.scoring.conftest import score

pytestmark = pytest.mark.slow

OLD = Path(__file__).parents[1] / "data" / "old_designer"
CLASSES = ("china", "flower", "three")
FLOAT32_ROUNDING = 2e-5  # of 20 layers that other builds of torch sum in another order
JPEG_ROUNDING = 5e-3  # rows 0 to 3: two libjpeg builds may round pixels differently


class OldNetwork(nn.Module):
    """The names that the old designer gave to its tensors."""

    def __init__(self, *, is_stacked: bool) -> None:
        super().__init__()
        self.model = models.resnet18(weights=None, num_classes=1000 if is_stacked else 3)
        if is_stacked:
            self.out_linear_model = nn.Linear(1000, 3)


@pytest.fixture(params=["resnet18", "resnet18_stacked"])
def old_model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A trained model of the old designer, its weights made again."""
    name: str = request.param
    shutil.copytree(OLD / name, tmp_path / name)
    network = OldNetwork(is_stacked=name == "resnet18_stacked")
    torch.save(deterministic_weights(network.state_dict()), tmp_path / name / "model")
    return tmp_path / name


def test_an_old_model_scores_an_old_dataset_as_the_old_designer_did(old_model: Path, tmp_path: Path) -> None:
    expected = json.loads((OLD / "scores.json").read_text())[old_model.name]

    score(old_model, OLD / "image_directory", tmp_path / "scored")

    scored = pd.read_parquet(tmp_path / "scored/_data.parquet")
    assert set(scored.columns) == {*expected, "file"}
    for column in ("id", "category", "Scored Labels"):
        assert scored[column].tolist() == expected[column]
    for name in CLASSES:
        column = f"Scored Probabilities_{name}"
        deviation = np.abs(scored[column].to_numpy() - np.array(expected[column]))
        assert deviation[:4].max() < JPEG_ROUNDING
        assert deviation[4:].max() < FLOAT32_ROUNDING


def test_an_old_image_directory_is_listed_with_its_labels() -> None:
    dataset = open_image_directory(OLD / "image_directory")
    assert dataset.classes == CLASSES
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 2
    assert dataset.files[7] == "image/1_7.webp"


def test_old_scores_are_read_for_evaluation() -> None:
    scored = open_scored_dataset(OLD / "scored")
    expected = json.loads((OLD / "scores.json").read_text())["resnet18"]
    assert scored.class_names == CLASSES
    assert scored.labels is not None
    assert scored.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 2
    assert scored.probabilities[:, 1].tolist() == expected["Scored Probabilities_flower"]


def test_every_transform_that_the_old_designer_wrote_is_known() -> None:
    steps = open_transformation_directory(OLD / "transformation_directory")
    assert [step.op for step in steps] == [
        "Resize",
        "CenterCrop",
        "Pad",
        "ColorJitter",
        "RandomResizedCrop",
        "RandomCrop",
        "RandomHorizontalFlip",
        "RandomVerticalFlip",
        "RandomRotation",
        "RandomAffine",
        "RandomPerspective",
    ]
