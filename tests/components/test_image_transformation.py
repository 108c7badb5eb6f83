"""Init and Apply Image Transformation through their real command lines, up to a model that agrees with them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from pytorch_designer.components.init_image_transformation import COMPONENT as INIT
from pytorch_designer.components.init_image_transformation import InitImageTransformationParameters, chosen_transforms
from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.serving.mlflow_model import _load_pyfunc
from pytorch_designer.transforms.registrations import parse_transforms
from tests.commands import run, succeed
from tests.images.digits import write_digits

pytestmark = pytest.mark.slow

CARRIED = [["Resize", {"size": [36]}], ["CenterCrop", {"size": [32, 32]}], ["Grayscale", {"num_output_channels": 3}]]


def apply(mode: str, source: str, output: str, cwd: Path) -> str:
    return succeed(
        "apply-image-transformation",
        *("--input-image-transformation", "steps", "--input-image-directory", source),
        *("--mode", mode, "--output-image-directory", output),
        cwd=cwd,
    )


def train(training: str, validation: str, output: str, cwd: Path, **environment: str) -> Path:
    succeed(
        "train-pytorch-model",
        *("--untrained-model", "untrained", "--training-dataset", training, "--validation-dataset", validation),
        *("--epochs", "1", "--learning-rate", "0.05", "--trained-model", output),
        cwd=cwd,
        **environment,
    )
    return cwd / output


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with digits, as they are (`raw_...`) and transformed, and with `trained`, a network after an epoch."""
    top = tmp_path_factory.mktemp("transformation")
    write_digits(top / "raw_training", classes=3, per_class=16)
    write_digits(top / "raw_validation", classes=3, per_class=6, skip=16)
    succeed(
        "init-image-transformation",
        *("--size", "36", "--crop-size", "32", "--color-jitter", "true", "--grayscale", "True"),
        *("--random-rotation", "True", "--random-rotation-degrees", "15", "--output-image-transformation", "steps"),
        cwd=top,
    )
    apply("For training", "raw_training", "training", top)
    apply("For inference", "raw_validation", "validation", top)
    succeed(
        "image-model",
        *("--model-name", "shufflenet_v2_x0_5", "--pretrained", "False", "--untrained-model", "untrained"),
        cwd=top,
    )
    train("training", "validation", "trained", top)
    return top


def scores(dataset: str, cwd: Path) -> pd.DataFrame:
    output = f"scored_{dataset}"
    succeed(
        "score-image-model", "--trained-model=trained", f"--dataset={dataset}", f"--scored-dataset={output}", cwd=cwd
    )
    table: pd.DataFrame = pd.read_parquet(cwd / output / "_data.parquet")
    return table


def test_each_mode_applies_and_records_what_it_should(workspace: Path) -> None:
    training, validation = (open_image_directory(workspace / name) for name in ("training", "validation"))
    assert [list(pair) for pair in training.applied_transforms] == CARRIED[:2]
    assert [op for op, _ in training.transforms] == [
        "ColorJitter",
        "Grayscale",
        "RandomHorizontalFlip",
        "RandomRotation",
    ]
    assert [list(pair) for pair in validation.applied_transforms] == CARRIED
    assert validation.transforms == ()
    assert training.classes == validation.classes == ("0", "1", "2")


def test_model_carries_the_deterministic_transforms_and_their_size(workspace: Path) -> None:
    spec = yaml.safe_load((workspace / "trained/model_spec.yaml").read_text())
    carried = spec["inputs"][0]["pre_processor"]["init_params"]
    assert carried["transforms"] == CARRIED
    assert (carried["resize_size"], carried["crop_height"], carried["crop_width"]) == (32, 32, 32)


def test_raw_and_transformed_images_get_the_same_scores_bit_for_bit(workspace: Path) -> None:
    raw, transformed = scores("raw_validation", workspace), scores("validation", workspace)
    columns = [name for name in raw.columns if name.startswith("Scored Probabilities")]
    assert len(columns) == 3
    np.testing.assert_array_equal(raw[columns].to_numpy(), transformed[columns].to_numpy())
    reported = json.loads((workspace / "trained/report/metrics.json").read_text())["validation"]
    assert np.mean(raw["Scored Labels"] == raw["category"]) == pytest.approx(reported["top1"])
    served = _load_pyfunc(str(workspace / "trained")).predict(raw_images(workspace))
    np.testing.assert_array_equal(served[columns].to_numpy(), raw[columns].to_numpy())


def raw_images(workspace: Path) -> pd.DataFrame:
    dataset = open_image_directory(workspace / "raw_validation")
    table: pd.DataFrame = pd.DataFrame({"image": [dataset.path(row).read_bytes() for row in range(len(dataset))]})
    return table


def test_one_thread_without_memory_and_raw_validation_images_train_the_same_model(workspace: Path) -> None:
    options = {"PYTORCH_DESIGNER_READ_THREADS": "1", "PYTORCH_DESIGNER_CACHE_BYTES": "0"}
    again = train("training", "raw_validation", "again", workspace, **options)
    before = workspace / "trained"
    assert (again / "model.safetensors").read_bytes() == (before / "model.safetensors").read_bytes()
    metrics = [json.loads((folder / "report/metrics.json").read_text())["validation"] for folder in (again, before)]
    assert metrics[0] == metrics[1]


def test_unknown_recorded_transform_ends_training_by_name(workspace: Path, tmp_path: Path) -> None:
    shutil.copytree(workspace / "training", tmp_path / "odd")
    meta = tmp_path / "odd/_meta.yaml"
    meta.write_text(meta.read_text().replace("RandomRotation", "Sharpen"))
    done = run(
        "train-pytorch-model",
        *("--untrained-model", "untrained", "--training-dataset", tmp_path / "odd"),
        *("--validation-dataset", "validation", "--trained-model", tmp_path / "out"),
        cwd=workspace,
    )
    assert done.returncode == 1
    assert "InvalidDatasetError (0018)" in done.stderr
    assert "transform 4: Sharpen is not one of the known transforms" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--mode", "for training"], "ParameterParsingError (0002)"),
        (["--input-image-transformation", "validation"], "InvalidTransformationDirectoryError (0158)"),
        (["--input-image-directory", "nowhere"], "InvalidDatasetError (0018)"),
    ],
)
def test_faults_are_named(workspace: Path, tmp_path: Path, arguments: list[str], error: str) -> None:
    options = {
        "--input-image-transformation": "steps",
        "--input-image-directory": "raw_training",
        "--mode": "For training",
    }
    options[arguments[0]] = arguments[1]
    words = [word for option in options.items() for word in option]
    done = run("apply-image-transformation", *words, "--output-image-directory", tmp_path / "out", cwd=workspace)
    assert done.returncode == 1
    assert error in done.stderr


# docs/formats.md: in the order in which they apply, with the old designer's defaults and ranges; autocontrast, blur
# and the policies are new.
DOCUMENTED: list[tuple[str, Any, Any, Any]] = [
    ("resize", True, None, None),
    ("size", 256, 1, None),
    ("center_crop", True, None, None),
    ("crop_size", 224, 1, None),
    ("pad", False, None, None),
    ("padding", 0, 0, None),
    ("color_jitter", False, None, None),
    ("grayscale", False, None, None),
    ("random_resized_crop", False, None, None),
    ("random_size", 256, 1, None),
    ("random_crop", False, None, None),
    ("random_crop_size", 224, 1, None),
    ("random_horizontal_flip", True, None, None),
    ("random_vertical_flip", False, None, None),
    ("random_rotation", False, None, None),
    ("random_rotation_degrees", 0, 0, 180),
    ("random_affine", False, None, None),
    ("random_affine_degrees", 0, 0, 180),
    ("random_grayscale", False, None, None),
    ("random_autocontrast", False, None, None),
    ("random_perspective", False, None, None),
    ("gaussian_blur", False, None, None),
    ("gaussian_blur_kernel_size", 9, 1, 99),
    ("gaussian_blur_sigma", 2.0, 0.1, 100.0),
    ("rand_augment", False, None, None),
    ("rand_augment_num_ops", 2, 1, 14),
    ("rand_augment_magnitude", 9, 0, 30),
    ("trivial_augment_wide", False, None, None),
    ("random_erasing", False, None, None),
]


def test_parameters_are_the_documented_ones() -> None:
    specs = [(spec.name, spec.default, spec.minimum, spec.maximum) for spec in INIT.parameter_specs]
    assert specs == DOCUMENTED


def test_defaults_are_resize_center_crop_and_flip() -> None:
    assert list(chosen_transforms(InitImageTransformationParameters())) == [
        ("Resize", {"size": 256}),
        ("CenterCrop", {"size": 224}),
        ("RandomHorizontalFlip", {}),
    ]


def test_all_transforms_come_in_the_order_of_the_parameters_and_are_usable() -> None:
    values: dict[str, Any] = {name: True for name, default, _, _ in DOCUMENTED if isinstance(default, bool)}
    values |= {"padding": 3, "random_affine_degrees": 20, "gaussian_blur_sigma": 1.5}
    pairs = list(chosen_transforms(InitImageTransformationParameters(**values)))
    assert [op for op, _ in pairs] == [
        *("Resize", "CenterCrop", "Pad", "ColorJitter", "Grayscale", "RandomResizedCrop", "RandomCrop"),
        *("RandomHorizontalFlip", "RandomVerticalFlip", "RandomRotation", "RandomAffine"),
        *("RandomGrayscale", "RandomAutocontrast", "RandomPerspective", "GaussianBlur"),
        *("RandAugment", "TrivialAugmentWide", "RandomErasing"),
    ]
    assert dict(pairs)["Pad"] == {"padding": 3}
    assert dict(pairs)["RandomAffine"] == {"degrees": 20}
    assert dict(pairs)["GaussianBlur"] == {"kernel_size": 9, "sigma": [0.1, 1.5]}
    assert dict(pairs)["RandAugment"] == {"num_ops": 2, "magnitude": 9}
    assert len(parse_transforms(pairs)) == 18


def test_parameters_that_do_not_fit_a_transform_are_named(tmp_path: Path) -> None:
    even = ("--gaussian-blur", "True", "--gaussian-blur-kernel-size", "4")
    done = run("init-image-transformation", *even, "--output-image-transformation", "steps", cwd=tmp_path)
    assert done.returncode == 1
    assert "ParameterParsingError (0002)" in done.stderr
    assert "gaussian_blur" in done.stderr
    assert "odd number" in done.stderr
    assert not (tmp_path / "steps").exists()


def test_nothing_chosen_is_an_empty_transformation(tmp_path: Path) -> None:
    off = ("--resize", "False", "--center-crop", "false", "--random-horizontal-flip", "FALSE")
    succeed("init-image-transformation", *off, "--output-image-transformation", "steps", cwd=tmp_path)
    assert json.loads((tmp_path / "steps/_transforms.json").read_text()) == []
