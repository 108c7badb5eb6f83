"""Scores are those that the network computes, in the dataset's order, and bad files keep their rows."""

from __future__ import annotations

import copy
import csv
import json
import logging
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.image_writer import ImageRow, convert_to_image_directory, write_image_directory
from pytorch_designer.directories.model_directory import open_trained_model_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.directories.scores.scored_dataset import open_scored_dataset
from pytorch_designer.directories.scores.thumbnail_file import load_thumbnails
from pytorch_designer.errors import (
    FailedToWriteOutputsError,
    InvalidDatasetError,
    InvalidModelDirectoryError,
    ModuleOutOfMemoryError,
)
from pytorch_designer.images.augmentation import apply_transforms
from pytorch_designer.images.decode import decode_image
from pytorch_designer.inference import forward_memory
from pytorch_designer.inference.compute import choose_model_compute
from pytorch_designer.inference.single_pixel import multiply_single_pixels
from pytorch_designer.models.architectures import Architecture
from pytorch_designer.models.loading import load_model
from pytorch_designer.models.saving import write_trained_model, write_untrained_model
from pytorch_designer.models.weights import weights_fingerprint
from pytorch_designer.settings import settings
from pytorch_designer.transforms.registrations import parse_transforms
from tests.images.digits import write_digits
from tests.scoring.conftest import CLASSES, score

pytestmark = pytest.mark.slow

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OLD_MEAN, OLD_STD = (0.5, 0.4, 0.3), (0.5, 0.25, 0.125)


def old_input(path: Path, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """An RGB file after torchvision's ToTensor and Normalize, which the old designer used."""
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB")))
    tensor = pixels.permute(2, 0, 1).to(torch.float32).div(255)
    return tensor.sub(torch.tensor(mean)[:, None, None]).div(torch.tensor(std)[:, None, None])


def probabilities_of(network: nn.Module, images: list[Tensor]) -> Tensor:
    with torch.inference_mode():
        logits: Tensor = network(torch.stack(images))
    return logits.double().softmax(dim=1)


def table_of(output: Path) -> pd.DataFrame:
    table: pd.DataFrame = pd.read_parquet(output / "_data.parquet")
    return table


def test_scores_are_the_softmax_of_the_network_in_the_order_of_the_dataset(
    network: nn.Module, model: Path, tmp_path: Path
) -> None:
    write_digits(tmp_path / "digits", classes=3, per_class=4)
    for path in (tmp_path / "digits").rglob("*.png"):  # of the model's size, so that nothing is resized
        with Image.open(path) as image:
            image.resize((32, 32)).save(path)
    score(model, tmp_path / "digits", tmp_path / "scored")
    table = table_of(tmp_path / "scored")
    assert list(table.columns) == [
        "id", "file", "category",
        "Scored Probabilities_2", "Scored Probabilities_0", "Scored Probabilities_1", "Scored Labels",
    ]  # fmt: skip
    dataset = open_image_directory(tmp_path / "digits")
    images = [old_input(dataset.path(row), IMAGENET_MEAN, IMAGENET_STD) for row in range(12)]
    as_drawn = probabilities_of(network, images).numpy()
    as_scored = copy.deepcopy(network)
    multiply_single_pixels(as_scored)
    expected = probabilities_of(as_scored, images).numpy()
    scores = table[[f"Scored Probabilities_{name}" for name in CLASSES]].to_numpy()
    assert np.array_equal(scores, expected)
    np.testing.assert_allclose(scores, as_drawn, rtol=1e-5)  # the same products, in another order
    assert table["Scored Labels"].tolist() == [CLASSES[index] for index in expected.argmax(axis=1)]
    assert table["category"].tolist() == ["0"] * 4 + ["1"] * 4 + ["2"] * 4
    assert table["id"].tolist() == list(range(12))
    assert table["file"].tolist() == [f"{label}/{number:03}.png" for label in range(3) for number in range(4)]


def test_csv_says_the_same(model: Path, digits: Path, tmp_path: Path) -> None:
    score(model, digits, tmp_path / "scored")
    from_csv = pd.read_csv(tmp_path / "scored/_data.csv", dtype={"category": str, "Scored Labels": str})
    pd.testing.assert_frame_equal(from_csv, table_of(tmp_path / "scored"), check_dtype=False, rtol=1e-14)


def test_raw_images_score_as_the_transformed_ones_do(network: nn.Module, digits: Path, tmp_path: Path) -> None:
    recipe = (("Pad", {"padding": 3}), ("Resize", {"size": 40}))
    steps = parse_transforms(recipe)
    (tmp_path / "model").mkdir()
    write_trained_model(
        tmp_path / "model",
        architecture=Architecture("squeezenet1_1"),
        state_dict=network.state_dict(),
        classes=CLASSES,
        preprocessing=Preprocessing(crop_height=32, crop_width=32, transforms=steps),
    )
    (tmp_path / "transformed").mkdir()
    raw = open_image_directory(digits)
    for row in range(len(raw)):
        pixels = apply_transforms(decode_image(raw.path(row).read_bytes()), steps).permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(tmp_path / f"{row}.png")
    rows = [ImageRow(tmp_path / f"{row}.png", 0, row) for row in range(len(raw))]
    write_image_directory(tmp_path / "transformed", rows, ("0",), applied_transforms=recipe)
    for name, dataset in (("raw", digits), ("same", tmp_path / "transformed")):
        score(tmp_path / "model", dataset, tmp_path / f"scored_{name}")
    of_raw, of_transformed = (open_scored_dataset(tmp_path / f"scored_{name}") for name in ("raw", "same"))
    assert np.array_equal(of_raw.probabilities, of_transformed.probabilities)


def test_old_model_scores_each_image_at_its_size_exactly_as_it_did(
    stack: nn.Sequential, old_model: Path, tmp_path: Path
) -> None:
    sizes = [(40, 40), (40, 40), (33, 57), (40, 40), (70, 31)]
    (tmp_path / "images").mkdir()
    for number, size in enumerate(sizes):
        pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
    score(old_model, tmp_path / "images", tmp_path / "scored")
    inputs = [old_input(tmp_path / "images" / f"{number}.png", OLD_MEAN, OLD_STD) for number in range(5)]
    expected = [probabilities_of(stack, batch) for batch in (inputs[:2], inputs[2:3], inputs[3:4], inputs[4:])]
    scored = open_scored_dataset(tmp_path / "scored")
    assert scored.class_names == CLASSES
    assert np.array_equal(scored.probabilities, torch.cat(expected).numpy())


def test_old_model_is_computed_in_single_precision_whatever_the_image_size(
    old_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytorch_designer.inference.compute.cpu_computes_bf16", lambda: True)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda **_: True)
    assert choose_model_compute(load_model(open_trained_model_directory(old_model)), settings()).precision == "fp32"


def test_plain_folder_of_any_images_has_no_label_column(model: Path, tmp_path: Path) -> None:
    for name, size in (("a.jpg", (300, 200)), ("b/c.png", (9, 50)), ("b/d.bmp", (32, 32))):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, 77).save(tmp_path / "images" / name)
    score(model, tmp_path / "images", tmp_path / "scored")
    assert table_of(tmp_path / "scored")["Scored Labels"].notna().sum() == 3
    assert list(table_of(tmp_path / "scored").columns) == [
        "id", "file", "Scored Probabilities_2", "Scored Probabilities_0", "Scored Probabilities_1", "Scored Labels",
    ]  # fmt: skip


def test_text_ids_and_labels_that_the_model_does_not_know_are_kept(
    model: Path, digits: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "pytorch_designer")
    (tmp_path / "typed").mkdir()
    rows = [
        ImageRow(digits / "0/000.png", 0, "x"),
        ImageRow(digits / "1/001.png", None, "y"),
        ImageRow(digits / "1/002.png", 2, "z"),
    ]
    write_image_directory(tmp_path / "typed", rows, ("zebra", "unused", "1"))
    score(model, tmp_path / "typed", tmp_path / "scored")
    table = table_of(tmp_path / "scored")
    assert table["id"].tolist() == ["x", "y", "z"]
    assert table["category"].tolist() == ["zebra", None, "1"]
    assert caplog.messages == [
        "1 of the classes of the dataset are unknown to the model and cannot be predicted: zebra"
    ]


def test_bad_files_keep_their_rows_without_scores_and_change_no_other(
    model: Path, digits: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    score(model, digits, tmp_path / "before")
    (digits / "0/001.png").write_bytes(b"")
    (digits / "2/003.png").write_bytes((digits / "2/003.png").read_bytes()[:60])
    caplog.set_level(logging.WARNING, "pytorch_designer")
    score(model, digits, tmp_path / "scored")
    before, after = table_of(tmp_path / "before"), table_of(tmp_path / "scored")
    is_bad = after["Scored Labels"].isna()
    assert after.index[is_bad].tolist() == [1, 11]
    assert after[is_bad].filter(like="Scored").isna().all(axis=None)
    assert after["category"].tolist() == before["category"].tolist()
    scores = [name for name in after.columns if name.startswith("Scored Probabilities")]
    assert np.allclose(after.loc[~is_bad, scores], before.loc[~is_bad, scores], rtol=0, atol=1e-6)
    with (tmp_path / "scored/_unscored.csv").open(newline="") as stream:
        listed = list(csv.reader(stream))
    assert [row[:2] for row in listed] == [["id", "file"], ["1", "0/001.png"], ["11", "2/003.png"]]
    assert listed[1][2] == "the file is empty"
    assert any(message.startswith("2 of 12 images could not be scored") for message in caplog.messages)


def test_images_are_named_as_the_user_named_them(
    model: Path, digits: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (digits / "1/002.png").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "digits.zip", "w") as archive:
        for path in sorted(digits.rglob("*.png")):
            archive.write(path, path.relative_to(digits.parent))
    convert_to_image_directory(digits, tmp_path / "typed")
    caplog.set_level(logging.WARNING, "pytorch_designer")
    members = [f"digits/{label}/{number:03}.png" for label in range(3) for number in range(4)]
    for source, files, shown in (
        ("digits.zip", members, "digits/1/002.png"),
        ("typed", [member.removeprefix("digits/") for member in members], "1/002.png (image/1_6.png)"),
    ):
        caplog.clear()
        score(model, tmp_path / source, tmp_path / f"scored {source}")
        assert table_of(tmp_path / f"scored {source}")["file"].tolist() == files
        with (tmp_path / f"scored {source}/_unscored.csv").open(newline="") as stream:
            assert list(csv.reader(stream))[1] == ["6", files[6], "the file is empty"]
        assert caplog.messages[-1] == f"  {shown}: the file is empty"


def test_nothing_is_written_when_all_files_are_bad(model: Path, old_model: Path, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for number in range(3):
        (tmp_path / "images" / f"{number}.png").write_bytes(b"no image")
    for name, trained_model in (("new", model), ("old", old_model)):
        with pytest.raises(InvalidDatasetError) as caught:
            score(trained_model, tmp_path / "images", tmp_path / name)
        assert caught.value.reason == "bad_images"
        assert len(caught.value.examples) == 3
        assert "TOLERANCE" not in caught.value.advice, "nothing is to be tolerated when nothing is left"
        assert not (tmp_path / name).exists()


def test_untrained_model_is_named(digits: Path, tmp_path: Path) -> None:
    (tmp_path / "untrained").mkdir()
    write_untrained_model(tmp_path / "untrained", Architecture("squeezenet1_1"), False)
    with pytest.raises(InvalidModelDirectoryError) as caught:
        score(tmp_path / "untrained", digits, tmp_path / "scored")
    assert caught.value.reason == "untrained"
    assert not (tmp_path / "scored").exists()


@pytest.mark.parametrize("are_images_good", [True, False])
def test_unusable_weights_are_named_although_images_are_read_meanwhile(
    model: Path, digits: Path, tmp_path: Path, are_images_good: bool
) -> None:
    broken, images = shutil.copytree(model, tmp_path / "model"), shutil.copytree(digits, tmp_path / "images")
    (broken / "model.safetensors").write_bytes(b"no weights")
    if not are_images_good:
        for file in images.rglob("*.png"):
            file.write_bytes(b"no image")
    with pytest.raises(InvalidModelDirectoryError if are_images_good else InvalidDatasetError) as caught:
        score(broken, images, tmp_path / "scored")
    assert caught.value.reason == ("bad_weights" if are_images_good else "bad_images")
    assert not (tmp_path / "scored").exists()


def test_a_model_for_too_large_images_is_refused_before_any_is_read(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large, images = shutil.copytree(model, tmp_path / "model"), tmp_path / "images"
    spec = large / "model_spec.yaml"
    spec.write_text(re.sub(r"(resize_size|crop_\w+): \d+", r"\1: 2048", spec.read_text()))
    images.mkdir()
    (images / "1.png").write_bytes(b"no image")
    monkeypatch.setattr(forward_memory, "available_memory_bytes", lambda: 1 << 20)
    with pytest.raises(ModuleOutOfMemoryError, match="A layer of this model"):
        score(large, images, tmp_path / "scored")


@pytest.mark.parametrize("inside", ["digits", "digits/scored"])
def test_output_inside_the_dataset_is_refused(model: Path, digits: Path, inside: str) -> None:
    with pytest.raises(FailedToWriteOutputsError, match=r"(inside|the same folder as) the dataset"):
        score(model, digits, digits.parent / inside)


def test_images_annotated_for_another_task_are_scored_without_labels(model: Path, digits: Path, tmp_path: Path) -> None:
    (tmp_path / "typed").mkdir()
    write_image_directory(tmp_path / "typed", [ImageRow(digits / "0/000.png", 0, 1)], ("a",))
    schema = json.loads((tmp_path / "typed/_schema.json").read_text())
    schema["columnAttributes"][2]["properties"]["annotation_type"] = "COCO_object_detection"
    (tmp_path / "typed/_schema.json").write_text(json.dumps(schema))
    score(model, tmp_path / "typed", tmp_path / "scored")
    assert "category" not in table_of(tmp_path / "scored")


def test_the_model_is_named_and_images_that_are_worth_a_look_are_copied(
    network: nn.Module, model: Path, digits: Path, tmp_path: Path
) -> None:
    score(model, digits, tmp_path / "scored")

    dataset = open_scored_dataset(tmp_path / "scored")
    assert dataset.scored_by == f"squeezenet1_1 (weights {weights_fingerprint(network.state_dict())})"
    copies = load_thumbnails(tmp_path / "scored")
    assert copies
    assert set(copies) <= set(range(len(dataset)))


def test_images_without_labels_are_copied_too(model: Path, digits: Path, tmp_path: Path) -> None:
    (tmp_path / "unlabeled").mkdir()
    for number, path in enumerate(sorted(digits.rglob("*.png"))):
        shutil.copy(path, tmp_path / "unlabeled" / f"{number}.png")
    score(model, tmp_path / "unlabeled", tmp_path / "scored")

    assert open_scored_dataset(tmp_path / "scored").labels is None
    assert load_thumbnails(tmp_path / "scored")


def test_no_image_is_copied_on_request(
    model: Path, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_REPORT_IMAGES", "off")
    score(model, digits, tmp_path / "scored")

    assert not (tmp_path / "scored" / "_thumbnails.json").exists()
