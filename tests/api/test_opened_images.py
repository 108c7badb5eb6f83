"""`pytorch_designer.open_images`: datasets as sequences of arrays."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

import pytorch_designer
from pytorch_designer.errors import InvalidDatasetError, ParameterParsingError
from tests.images.digits import write_digits


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_digits(tmp_path / "photos", classes=3, per_class=4)
    return tmp_path / "photos"


def test_images_are_arrays_with_labels(photos: Path) -> None:
    images = pytorch_designer.open_images(photos)
    assert (len(images), images.classes) == (12, ("0", "1", "2"))
    assert images.counts == {"0": 4, "1": 4, "2": 4}
    assert images.labels is not None
    assert images.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    pixels, label, name = images[5]
    assert (pixels.shape, pixels.dtype.name, label, name) == ((8, 8, 3), "uint8", "1", "1/001.png")
    assert images[-1].name == images[np.int64(11)].name == "2/003.png"
    assert [image.label for image in images] == ["0"] * 4 + ["1"] * 4 + ["2"] * 4
    assert [image.name for image in images[::5]] == ["0/000.png", "1/001.png", "2/002.png"]
    with pytest.raises(IndexError, match="there is no image 12"):
        images[12]


@pytest.mark.parametrize("kind", ["zip", "gztar"])
def test_archives_are_open_until_they_are_closed(photos: Path, kind: str) -> None:
    archive = Path(shutil.make_archive(str(photos.with_name("archive")), kind, photos))
    before = signal.getsignal(signal.SIGTERM)
    with pytorch_designer.open_images(archive) as images:
        assert signal.getsignal(signal.SIGTERM) is before
        assert images.source == archive
        assert images[0].pixels.shape == (8, 8, 3)
        folder = images._images.root
    assert not folder.exists()
    images = pytorch_designer.open_images(archive)
    part, folder = images[:2], images._images.root
    del images
    assert part[1].name == "0/001.png"
    del part
    assert not folder.exists()


def test_file_that_is_no_image_is_named_when_it_is_read(photos: Path) -> None:
    (photos / "0" / "000.png").write_text("no image")
    images = pytorch_designer.open_images(photos)
    with pytest.raises(InvalidDatasetError, match="Image 0 cannot be read") as caught:
        images[0]
    assert caught.value.where is not None
    assert caught.value.where.endswith("0/000.png")
    assert images[1].label == "0"
    assert "Class folders" in images._repr_html_()


def test_names_of_files_and_classes_are_escaped(photos: Path) -> None:
    (photos / "0").rename(photos / "<script>alert(1)")
    page = pytorch_designer.open_images(photos)._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_images_without_labels_have_none(photos: Path) -> None:
    images = pytorch_designer.open_images(photos / "0")
    assert images.labels is None
    assert images[0].label is None
    assert images.counts == {}
    assert "<img" in images._repr_html_()


def test_layout_is_an_argument(tmp_path: Path) -> None:
    write_digits(tmp_path / "photos" / "train", classes=2, per_class=3)
    write_digits(tmp_path / "photos" / "test", classes=2, per_class=2)
    with pytest.raises(InvalidDatasetError) as caught:
        pytorch_designer.open_images(tmp_path / "photos")
    assert "PYTORCH_DESIGNER" not in str(caught.value)
    assert caught.value.examples[0] == f"pytorch_designer.train({str(tmp_path / 'photos')!r})"
    images = pytorch_designer.open_images(tmp_path / "photos", layout="class-folders")
    assert images.counts == {"test": 4, "train": 6}
    with pytest.raises(ParameterParsingError, match="The argument layout has the value 'folders'"):
        pytorch_designer.open_images(tmp_path, layout="folders")  # type: ignore[arg-type]  # the mistake
