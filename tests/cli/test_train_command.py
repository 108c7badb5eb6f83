"""`pytorch-designer train` on a plain folder of real images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import run, succeed
from tests.images.digits import write_digits

SMALL = ("--model-name", "shufflenet_v2_x0_5", "--pretrained", "False", "--epochs", "1")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_digits(tmp_path / "photos", classes=3, per_class=20)
    return tmp_path


@pytest.mark.slow
def test_folder_is_split_and_trained_on_without_being_copied(photos: Path) -> None:
    log = succeed("train", "photos", *SMALL, "--fraction", "0.8", cwd=photos)
    assert "48 images in 3 classes" in log
    assert "same images" not in log
    best = json.loads((photos / "trained/report/metrics.json").read_text())
    assert best["validation"]["num_images"] == 12
    assert {path.name for path in photos.iterdir()} == {"photos", "trained"}


@pytest.mark.slow
def test_validation_images_can_be_given(photos: Path) -> None:
    write_digits(photos / "others", classes=3, per_class=5, skip=20)
    log = succeed("train", "photos", *SMALL, "--validation", "others", "--output", "model", cwd=photos)
    assert "60 images in 3 classes" in log
    assert (photos / "model/_meta.yaml").is_file()


@pytest.mark.slow
def test_same_images_for_both_are_warned_of(photos: Path) -> None:
    assert "use the same images" in succeed("train", "photos", *SMALL, "--validation", "photos", cwd=photos)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("missing",), "InvalidDatasetError (0018)"),
        (("photos/0",), "NotLabeledDatasetError (0024)"),
        pytest.param(("photos", "--model-name", "resnet_18"), "resnet18", marks=pytest.mark.slow),
        (("photos", "--fraction", "1"), "LessThanOrEqualToError (0007)"),
        (("photos", "--epochs", "0"), "GreaterThanOrEqualToError (0005)"),
    ],
)
def test_mistakes_are_named(photos: Path, arguments: tuple[str, ...], error: str) -> None:
    done = run("train", *arguments, cwd=photos)
    assert done.returncode == 1
    assert error in done.stderr
