"""`pytorch-designer train` on a plain folder of real images."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from tests.commands import run, start, succeed
from tests.images.digits import write_digits

pytestmark = pytest.mark.slow

SMALL = ("--model-name", "shufflenet_v2_x0_5", "--pretrained", "False", "--epochs", "1")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_digits(tmp_path / "photos", classes=3, per_class=20)
    return tmp_path


def test_folder_is_split_and_trained_on_without_being_copied(photos: Path) -> None:
    log = succeed("train", "photos", *SMALL, "--fraction", "0.8", cwd=photos)
    assert "48 images in 3 classes" in log
    assert "same images" not in log
    best = json.loads((photos / "trained/report/metrics.json").read_text())
    assert best["validation"]["num_images"] == 12
    assert {path.name for path in photos.iterdir()} == {"photos", "trained"}


def test_validation_images_can_be_given(photos: Path) -> None:
    write_digits(photos / "others", classes=3, per_class=5, skip=20)
    log = succeed("train", "photos", *SMALL, "--validation", "others", "--output", "model", cwd=photos)
    assert "60 images in 3 classes" in log
    assert (photos / "model/_meta.yaml").is_file()


def test_same_images_for_both_are_warned_of(photos: Path) -> None:
    assert "use the same images" in succeed("train", "photos", *SMALL, "--validation", "photos", cwd=photos)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("missing",), "InvalidDatasetError (0018)"),
        (("photos/0",), "NotLabeledDatasetError (0024)"),
        (("photos", "--model-name", "resnet_18"), "resnet18"),
        (("photos", "--fraction", "1"), "LessThanOrEqualToError (0007)"),
        (("photos", "--epochs", "0"), "GreaterThanOrEqualToError (0005)"),
        (("photos", "--learning-rate", "0"), "must be greater than zero"),
        (("photos", "--model", "missing"), "InvalidModelDirectoryError (0159)"),
        (("photos", "--validation", "missing"), "InvalidDatasetError (0018)"),
        (("photos", "--output", "photos"), "The output is the same folder as the images."),
        (("photos", "--overwrite", "--output", "photos/0"), "The output is inside the images"),
        (("photos", "--overwrite", "--output", "mine"), "The output folder is not empty"),
    ],
)
def test_mistakes_are_named(photos: Path, arguments: tuple[str, ...], error: str) -> None:
    (photos / "mine").mkdir()
    (photos / "mine" / "notes.txt").write_text("mine")
    done = run("train", *arguments, cwd=photos)
    assert done.returncode == 1
    assert error in done.stderr
    assert (photos / "mine" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("options", [("--model-name", "resnet18"), ("--pretrained", "false")])
def test_a_model_comes_with_its_network_and_weights(photos: Path, options: tuple[str, ...]) -> None:
    done = run("train", "photos", "--model", "model", *options, cwd=photos)
    assert done.returncode == 2
    assert f"so that {options[0]} cannot be given" in done.stderr


def test_weights_that_cannot_be_had_are_advised_on_in_the_words_of_the_command(photos: Path) -> None:
    (photos / "mirror").mkdir()
    variables = {"PYTORCH_DESIGNER_WEIGHTS_MIRROR": str(photos / "mirror"), "TORCH_HOME": str(photos / "torch")}
    done = run("train", "photos", cwd=photos, **variables)
    assert done.returncode == 1
    assert "or train from scratch with `--pretrained False`." in done.stderr


def weights(model: Path) -> bytes:
    return (model / "model.safetensors").read_bytes()


def test_a_trained_model_is_fine_tuned_then_replaced_and_never_by_accident(photos: Path) -> None:
    succeed("train", "photos", *SMALL, cwd=photos)
    first = weights(photos / "trained")
    log = succeed("train", "photos", "--model", "trained", "--epochs", "1", "--output", "further", cwd=photos)
    assert "fine-tuned from a trained model" in log

    refused = run("train", "photos", *SMALL, "--epochs", "2", cwd=photos)
    assert refused.returncode == 1
    assert "not empty" in refused.stderr
    assert weights(photos / "trained") == first
    assert "nothing is left to do" in succeed("train", "photos", *SMALL, cwd=photos)

    log = succeed("train", "photos", *SMALL, "--random-seed", "2", "--overwrite", cwd=photos)
    assert "validation accuracy" in log
    assert weights(photos / "trained") != first
    (photos / "trained" / "notes.txt").write_text("mine")
    refused = run("train", "photos", *SMALL, "--overwrite", cwd=photos)
    assert refused.returncode == 1
    assert "notes.txt" in refused.stderr


def test_augmentation_is_what_the_components_do_with_their_defaults(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos")
    write_photos(tmp_path / "others", offset=40)
    common = ("--epochs", "1", "--validation", "others", "--model", "start")
    arguments = ("--model-name", "shufflenet_v2_x0_5", "--pretrained", "false", "--untrained-model", "start")
    succeed("image-model", *arguments, cwd=tmp_path)
    plain = succeed("train", "photos", *common, "--output", "plain", cwd=tmp_path)
    augmented = succeed("train", "photos", *common, "--augment", "--output", "augmented", cwd=tmp_path)
    assert "Augmentation" not in plain
    assert "RandomHorizontalFlip" in augmented

    succeed("init-image-transformation", "--output-image-transformation", "list", cwd=tmp_path)
    ports = ("--input-image-transformation", "list", "--input-image-directory", "photos", "--mode", "For training")
    succeed("apply-image-transformation", *ports, "--output-image-directory", "transformed", cwd=tmp_path)
    applied = succeed("train", "transformed", *common, "--output", "applied", cwd=tmp_path)
    assert line_of(applied, "Image size") == line_of(augmented, "Image size")
    assert line_of(applied, "Augmentation") == line_of(augmented, "Augmentation")


def test_splits_are_used_as_they_are_and_the_next_steps_work_as_printed(tmp_path: Path) -> None:
    for name, skip in (("train", 0), ("valid", 20), ("test", 40)):
        write_digits(tmp_path / "my pets" / name, classes=3, per_class=20 if name == "train" else 5, skip=skip)
    log = succeed("train", "my pets", *SMALL, "--output", "a model", cwd=tmp_path)
    splits = "training on my pets/train, validating with my pets/valid, testing with my pets/test at the end"
    assert splits in log
    assert "60 images in 3 classes, 20 per class" in log
    metrics = json.loads((tmp_path / "a model/report/metrics.json").read_text())
    assert metrics["validation"]["num_images"] == 15
    evaluation = json.loads((tmp_path / "a model/test/evaluation/metrics.json").read_text())
    assert evaluation["scored_dataset"]["num_images"] == 15

    page = (tmp_path / "a model" / "NEXT_STEPS.md").read_text()
    commands = re.findall(r"```console\n(.*?)\n```", page)
    assert all(command in log for command in commands)
    ours = [shlex.split(command)[1:] for command in commands if command.startswith("pytorch-designer")]
    assert [arguments[0] for arguments in ours] == ["score-image-model", "evaluate-model", "train"]
    for arguments in ours:
        succeed(*arguments, *(("--epochs", "1") if arguments[0] == "train" else ()), cwd=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "my pets",
        "a model",
        "a model_scores",
        "a model_evaluation",
        "a model_further",
    }
    assert "nothing is left to do" in succeed("train", "my pets", *SMALL, "--output", "a model", cwd=tmp_path)


def test_a_split_without_labels_is_scored_and_one_for_validation_is_not_needed(tmp_path: Path) -> None:
    write_digits(tmp_path / "data" / "train", classes=2, per_class=20)
    write_digits(tmp_path / "made", classes=1, per_class=6, skip=30)
    (tmp_path / "made" / "0").rename(tmp_path / "data" / "test")
    log = succeed("train", "data", *SMALL, cwd=tmp_path)
    assert "training on data/train, validating with a part of it, testing with data/test at the end" in log
    assert "have no labels: they are scored, and not evaluated" in log
    assert (tmp_path / "trained/test/scores/_meta.yaml").is_file()
    assert not (tmp_path / "trained/test/evaluation").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_stopped_run_that_overwrites_continues_without_the_option(photos: Path) -> None:
    arguments = ("train", "photos", *SMALL[:-1], "1000", "--patience", "1000", "--overwrite")
    with start(*arguments, cwd=photos, PYTORCH_DESIGNER_CHECKPOINT_SECONDS="0") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if " 2/1000 " in line:
                process.terminate()
                break
        error = process.stderr.read() if process.stderr else ""
    assert process.returncode == 143
    assert "Run the same command again, without --overwrite" in error
    assert (photos / "trained/.checkpoint").is_dir()
    done = succeed("train", "photos", *SMALL, "--overwrite", cwd=photos)
    assert "Continuing" not in done
    assert "checkpoint of a run with other" not in done


def line_of(log: str, label: str) -> str:
    [found] = [line.partition(label)[2] for line in log.splitlines() if f"  {label}" in line]
    return found


def write_photos(folder: Path, *, offset: int = 0) -> None:
    """Crops of scikit-learn's two photographs, as JPEGs in two classes."""
    for name, photo in zip(("china", "flower"), load_sample_images().images, strict=True):
        (folder / name).mkdir(parents=True)
        for number in range(6):
            left = offset + 50 * number
            crop = np.ascontiguousarray(photo[40:300, left : left + 280])
            Image.fromarray(crop).save(folder / name / f"{number}.jpg")
