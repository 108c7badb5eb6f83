"""What a run does with given weights, decided by its model, its images and its steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.model_directory import open_model_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.inference.compute import Compute
from pytorch_designer.models.architectures import build_network, find_architecture
from pytorch_designer.models.saving import write_trained_model
from pytorch_designer.training.datasets import check_datasets
from pytorch_designer.training.inputs import load_inputs
from pytorch_designer.training.recipe import Hyperparameters
from pytorch_designer.training.training_run import prepare_job

COMPUTE = Compute(torch.device("cpu"), "fp32", torch.contiguous_format, 1, is_deterministic=True)
SIDE = 32


def write_images(folder: Path, classes: str, per_class: int) -> None:
    for value, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            Image.fromarray(np.full((SIDE, SIDE, 3), 20 * value, np.uint8)).save(folder / name / f"{number}.png")


@pytest.mark.parametrize(
    ("architecture", "classes", "sizes", "stays_near"),
    [
        ("shufflenet_v2_x0_5", "ab", (200, 16, 6), False),
        ("shufflenet_v2_x0_5", "ab", (199, 16, 6), True),
        ("shufflenet_v2_x0_5", "ab", (200, 15, 6), True),
        ("shufflenet_v2_x0_5", "ab", (200, 16, 5), True),  # 125 steps
        ("shufflenet_v2_x0_5", "ab", (2, 16, 1501), False),
        ("shufflenet_v2_x0_5", "xy", (200, 16, 6), True),  # the classes, and so the classifier, of the model
        ("squeezenet1_1", "ab", (200, 16, 6), True),  # no batch norm
    ],
)
def test_many_images_of_new_classes_make_a_run_leave_weights_before_batch_norm(
    tmp_path: Path, architecture: str, classes: str, sizes: tuple[int, int, int], stays_near: bool
) -> None:
    per_class, batch_size, num_epochs = sizes
    write_images(tmp_path / "training", classes, per_class)
    write_images(tmp_path / "validation", classes, 2)
    (tmp_path / "model").mkdir()
    found = find_architecture(architecture)
    write_trained_model(
        tmp_path / "model",
        architecture=found,
        state_dict=build_network(found, 2).state_dict(),
        classes=("x", "y"),
        preprocessing=Preprocessing(resize_size=SIDE, crop_height=SIDE, crop_width=SIDE),
    )
    inputs = load_inputs(
        open_model_directory(tmp_path / "model"),
        check_datasets(open_image_directory(tmp_path / "training"), open_image_directory(tmp_path / "validation")),
        random_seed=1,
    )

    parameters = Hyperparameters(num_epochs, batch_size, 0.001, 1, 1)
    job = prepare_job(inputs, parameters, COMPUTE)
    assert job.predictor.keeps_statistics is job.plan.stays_near is stays_near
    assert job.plan.shrinks_head is (architecture != "squeezenet1_1")
    assert job.plan.scales_convolutions is (classes == "ab" and architecture != "squeezenet1_1")
    published = replace(inputs, model=replace(inputs.model, classes=None))
    assert prepare_job(published, parameters, COMPUTE).predictor.keeps_statistics is (num_epochs < 1500)
