"""Deterministic steps are carried out once, without loss; random ones are recorded, or dropped for inference."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.image_writer import convert_to_image_directory
from pytorch_designer.directories.recorded_transforms import applied_transforms, recorded_transforms
from pytorch_designer.directories.transformation_directory import write_transformation_directory
from pytorch_designer.errors import (
    FailedToWriteOutputsError,
    InvalidDatasetError,
    InvalidTransformationDirectoryError,
)
from pytorch_designer.images.augmentation import apply_transforms
from pytorch_designer.images.decode import decode_image
from pytorch_designer.transformation.apply import AppliedTransformation, apply_transformation
from pytorch_designer.transforms.color import Grayscale
from pytorch_designer.transforms.erasing import RandomErasing
from pytorch_designer.transforms.flips import RandomHorizontalFlip
from pytorch_designer.transforms.sizes import CenterCrop, Pad, Resize
from pytorch_designer.transforms.transform import Transform
from tests.images.image_corpus import encode, exif, noise_pixels

if TYPE_CHECKING:
    from pytorch_designer.directories.image_directory import ImageDirectory

RESIZE, CROP, GRAY = Resize(size=(24,)), CenterCrop(size=(20, 20)), Grayscale()
FLIP, ERASE = RandomHorizontalFlip(), RandomErasing()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Class folders with images of several formats and sizes, one of them already 20 x 20."""
    root = tmp_path / "images"
    contents = {
        "cat/photo.jpg": encode(noise_pixels(30, 40), "JPEG"),
        "cat/turned.jpg": encode(noise_pixels(30, 40, seed=1), "JPEG", exif=exif(6)),
        "dog/small.png": encode(noise_pixels(10, 12, seed=2), "PNG"),
        "dog/square.jpg": encode(noise_pixels(20, 20, seed=3), "JPEG"),
    }
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def transform(
    source: Path, output: Path, *steps: Transform, is_for_training: bool = True
) -> tuple[AppliedTransformation, ImageDirectory]:
    transformation = output.parent / f"{output.name} steps"
    transformation.mkdir()
    pairs: list[tuple[str, Any]] = [(op, args) for op, args in (step.to_pair() for step in steps)]
    write_transformation_directory(transformation, pairs)
    done = apply_transformation(transformation, source, output, is_for_training=is_for_training)
    return done, open_image_directory(output)


def pixels(path: Path) -> torch.Tensor:
    return decode_image(path.read_bytes())


def test_every_file_is_what_the_steps_make_of_it(images: Path, tmp_path: Path) -> None:
    before = open_image_directory(images)
    _, after = transform(images, tmp_path / "out", RESIZE, CROP, GRAY)
    assert len(after) == 4
    for row in range(4):
        expected = apply_transforms(pixels(before.path(row)), (RESIZE, CROP, GRAY))
        assert torch.equal(pixels(after.path(row)), expected)


def test_changed_images_are_png_and_unchanged_ones_the_same_bytes(images: Path, tmp_path: Path) -> None:
    _, after = transform(images, tmp_path / "out", CROP)
    assert list(after.files) == ["image/0_0.png", "image/0_1.png", "image/1_2.png", "image/1_3.jpg"]
    assert after.path(3).read_bytes() == (images / "dog/square.jpg").read_bytes()
    assert after.path(0).read_bytes().startswith(b"\x89PNG")


def test_labels_classes_and_ids_are_kept(images: Path, tmp_path: Path) -> None:
    convert_to_image_directory(images, tmp_path / "typed")
    (tmp_path / "typed/images.lst").write_text(
        (tmp_path / "typed/images.lst").read_text().replace('"id": 2', '"id": 77')
    )
    _, after = transform(tmp_path / "typed", tmp_path / "out", RESIZE)
    assert after.classes == ("cat", "dog")
    assert after.labels is not None
    assert after.labels.tolist() == [0, 0, 1, 1]
    assert list(after.ids) == [0, 1, 77, 3]


def test_images_without_labels_stay_without(tmp_path: Path) -> None:
    (tmp_path / "flat").mkdir()
    for number in range(3):
        (tmp_path / "flat" / f"{number}.png").write_bytes(encode(noise_pixels(30, 30), "PNG"))
    _, after = transform(tmp_path / "flat", tmp_path / "out", CROP)
    assert after.labels is None
    assert len(after) == 3


def test_for_training_what_follows_the_first_random_step_is_recorded(images: Path, tmp_path: Path) -> None:
    done, after = transform(images, tmp_path / "out", RESIZE, FLIP, CROP, ERASE)
    assert (done.applied, done.recorded) == ((RESIZE,), (FLIP, CROP, ERASE))
    assert applied_transforms(after) == (RESIZE,)
    assert recorded_transforms(after) == (FLIP, CROP, ERASE)
    assert pixels(after.path(0)).shape == (3, 24, 32)


def test_for_inference_random_steps_are_dropped(images: Path, tmp_path: Path) -> None:
    done, after = transform(images, tmp_path / "out", RESIZE, FLIP, CROP, ERASE, is_for_training=False)
    assert (done.applied, done.recorded) == ((RESIZE, CROP), ())
    assert applied_transforms(after) == (RESIZE, CROP)
    assert after.transforms == ()
    assert pixels(after.path(0)).shape == (3, 20, 20)


def test_transformations_are_composed_in_order(images: Path, tmp_path: Path) -> None:
    transform(images, tmp_path / "one", RESIZE, FLIP)
    _, training = transform(tmp_path / "one", tmp_path / "two", CROP, ERASE)
    assert applied_transforms(training) == (RESIZE,)
    assert recorded_transforms(training) == (FLIP, CROP, ERASE)
    _, inference = transform(tmp_path / "two", tmp_path / "three", GRAY, ERASE, is_for_training=False)
    assert applied_transforms(inference) == (RESIZE, CROP, GRAY)
    assert recorded_transforms(inference) == ()
    expected = apply_transforms(pixels(images / "cat/photo.jpg"), (RESIZE, CROP, GRAY))
    assert torch.equal(pixels(inference.path(0)), expected)


def test_random_steps_alone_leave_every_file_as_it_is_unread(images: Path, tmp_path: Path) -> None:
    (images / "cat/broken.jpg").write_bytes(b"no image")
    _, after = transform(images, tmp_path / "out", FLIP, GRAY)
    before = open_image_directory(images)
    assert [path.read_bytes() for path in map(after.path, range(5))] == [
        path.read_bytes() for path in map(before.path, range(5))
    ]


@pytest.fixture
def half_may_be_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_BAD_IMAGE_TOLERANCE", "0.5")


@pytest.mark.usefixtures("half_may_be_bad")
def test_bad_files_within_the_tolerance_are_left_out_and_named(
    images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (images / "cat/broken.jpg").write_bytes(b"no image")
    with caplog.at_level(logging.WARNING):
        done, after = transform(images, tmp_path / "out", RESIZE)
    assert [bad.file for bad in done.bad_files] == ["cat/broken.jpg"]
    assert done.num_images == len(after) == 4
    assert list(after.ids) == [1, 2, 3, 4]
    assert caplog.messages[-2:] == [
        "Bad and left out: 1 of 5 images:",
        "  cat/broken.jpg: not an image: the file is text",
    ]


def test_bad_files_beyond_the_tolerance_are_an_error_and_no_output(images: Path, tmp_path: Path) -> None:
    (images / "dog/broken.jpg").write_bytes(b"no image")
    with pytest.raises(InvalidDatasetError, match=r"dog/broken\.jpg") as caught:
        transform(images, tmp_path / "out", RESIZE)
    assert caught.value.reason == "bad_images"
    assert not (tmp_path / "out").exists()


def test_all_bad_files_are_counted_and_named_as_the_user_knows_them(images: Path, tmp_path: Path) -> None:
    for number in range(40):  # more than there are threads
        (images / f"dog/broken{number:02}.jpg").write_bytes(b"no image")
    convert_to_image_directory(images, tmp_path / "typed")
    with pytest.raises(InvalidDatasetError) as caught:
        transform(tmp_path / "typed", tmp_path / "out", RESIZE)
    assert caught.value.what == "40 of the 44 images of input_image_directory cannot be used; 0 are tolerated."
    assert caught.value.examples[0] == "dog/broken00.jpg (image/1_2.jpg): not an image: the file is text"
    assert not (tmp_path / "out").exists()


def test_the_count_of_bad_files_is_bounded_in_time(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytorch_designer.transformation.apply.SWEEP_SECONDS", 0.0)
    content = (images / "dog/small.png").read_bytes()
    for number in range(300):
        (images / f"cat/{number:03}.png").write_bytes(content if number > 9 else b"no image")
    with pytest.raises(InvalidDatasetError, match=r"\d+ of the 304 images .* \(\d+ more were not checked\)"):
        transform(images, tmp_path / "out", RESIZE)


def test_image_that_a_step_cannot_take_is_a_bad_file(images: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidDatasetError, match=r"small\.png.*Pad.*does not take 12x10 pixels"):
        transform(images, tmp_path / "out", Pad(padding=(11, 11, 11, 11), padding_mode="reflect"))


def test_unusable_transformation_is_named_before_anything_is_written(images: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidTransformationDirectoryError):
        apply_transformation(tmp_path / "none", images, tmp_path / "out", is_for_training=True)
    assert not (tmp_path / "out").exists()


def test_unknown_recorded_transforms_are_a_fault_of_the_dataset(images: Path, tmp_path: Path) -> None:
    transform(images, tmp_path / "one", FLIP)
    meta = tmp_path / "one/_meta.yaml"
    meta.write_text(meta.read_text().replace("RandomHorizontalFlip", "Sharpen"))
    with pytest.raises(InvalidDatasetError, match="Sharpen"):
        transform(tmp_path / "one", tmp_path / "two", CROP)


def test_output_inside_the_input_is_refused(images: Path) -> None:
    with pytest.raises(FailedToWriteOutputsError):
        transform(images, images / "out", CROP)


def test_number_of_threads_of_torch_is_restored(images: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    transform(images, tmp_path / "out", RESIZE)
    assert torch.get_num_threads() == before
