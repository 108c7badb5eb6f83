"""`pytorch-designer find-learning-rate` on real images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import run, succeed
from tests.images.digits import write_digits

SMALL = ("--model-name", "shufflenet_v2_x0_5", "--pretrained", "False", "--steps", "30")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_digits(tmp_path / "photos", classes=3, per_class=20)
    return tmp_path


@pytest.mark.slow
def test_a_table_and_a_page_that_repeat_by_seed_and_nothing_else(photos: Path) -> None:
    log = succeed("find-learning-rate", "photos", *SMALL, cwd=photos)

    assert "54 images in 3 classes" in log
    assert "learning rate      loss" in log
    assert {path.name for path in photos.iterdir()} == {"photos", "learning_rate"}
    first = (photos / "learning_rate/curve.csv").read_bytes()
    assert "no model is written" not in log
    suggestion = json.loads((photos / "learning_rate/suggestion.json").read_text())
    assert suggestion["reason"] in log

    refused = run("find-learning-rate", "photos", *SMALL, cwd=photos)
    assert refused.returncode == 1
    assert "not empty" in refused.stderr
    assert "--overwrite" in refused.stderr
    succeed("find-learning-rate", "photos", *SMALL, "--overwrite", cwd=photos)
    assert (photos / "learning_rate/curve.csv").read_bytes() == first


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("missing",), "InvalidDatasetError (0018)"),
        (("photos/0",), "NotLabeledDatasetError (0024)"),
        (("photos", "--model-name", "resnet_18"), "resnet18"),
        (("photos", "--steps", "1"), "GreaterThanOrEqualToError (0005)"),
        (("photos", "--steps", "many"), "ParameterParsingError"),
        (("photos", "--model", "missing"), "InvalidModelDirectoryError (0159)"),
        (("photos", "--output", "photos"), "The output is the same folder as the images."),
        (("photos", "--overwrite", "--output", "mine"), "notes.txt"),
    ],
)
def test_mistakes_are_named(photos: Path, arguments: tuple[str, ...], error: str) -> None:
    (photos / "mine").mkdir()
    (photos / "mine" / "notes.txt").write_text("mine")
    done = run("find-learning-rate", *arguments, cwd=photos)
    assert done.returncode == 1
    assert error in done.stderr
    assert "Traceback" not in done.stderr
    assert (photos / "mine" / "notes.txt").read_text() == "mine"


@pytest.mark.slow
def test_options_of_training_alone_are_refused(photos: Path) -> None:
    done = run("find-learning-rate", "photos", "--learning-rate", "0.1", cwd=photos)
    assert done.returncode == 2
    assert "there is no option --learning-rate" in done.stderr
