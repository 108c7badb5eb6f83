"""One image, stored in all eight orientations, is one image everywhere (CASES 18, 21)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.images.loader import ImageLoader
from pytorch_designer.models.architectures import Architecture, build_network
from pytorch_designer.models.saving import write_trained_model
from pytorch_designer.serving.mlflow_model import _load_pyfunc
from tests.images.image_corpus import encode, exif, smooth_pixels
from tests.scoring.conftest import score

PREPROCESSING = Preprocessing(resize_size=36, crop_height=32, crop_width=30)
NETWORK = Architecture("shufflenet_v2_x0_5")
CLASSES = ("cat", "dog")
# How each orientation is stored, so that it is the same image once it is upright (Exif 2.32, tag 274).
STORED: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: upright.transpose(1, 0, 2)[::-1],
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: upright.transpose(1, 0, 2)[:, ::-1],
}


@pytest.fixture
def turned(tmp_path: Path) -> Path:
    folder = tmp_path / "images" / "cat"
    folder.mkdir(parents=True)
    upright = smooth_pixels(40, 56)
    for orientation, stored in STORED.items():
        pixels = np.ascontiguousarray(stored(upright))
        (folder / f"{orientation}.png").write_bytes(encode(Image.fromarray(pixels), "PNG", exif=exif(orientation)))
    return folder.parent


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    torch.manual_seed(0)
    write_trained_model(
        folder,
        architecture=NETWORK,
        state_dict=build_network(NETWORK, 2).state_dict(),
        classes=CLASSES,
        preprocessing=PREPROCESSING,
    )
    return folder


@pytest.mark.slow
def test_turned_files_are_the_same_image_in_training_scoring_and_serving(
    turned: Path, model: Path, tmp_path: Path
) -> None:
    dataset = open_image_directory(turned)
    with ImageLoader(dataset, PREPROCESSING, num_threads=2, tolerance=0.0, port="training_dataset") as loader:
        (batch,) = loader.batches(iter([np.arange(8)]))
    assert torch.equal(batch.images, batch.images[:1].expand_as(batch.images)), "training and validation"

    score(model, turned, tmp_path / "scored")
    scores = pd.read_parquet(tmp_path / "scored" / "_data.parquet").filter(like="Scored Probabilities").to_numpy()
    assert scores.shape == (8, 2)
    assert scores[0, 0] != scores[0, 1], "a network that sees something"
    assert np.array_equal(scores, np.repeat(scores[:1], 8, axis=0))

    request = pd.DataFrame({"image": [dataset.path(row).read_bytes() for row in range(8)]})
    served = _load_pyfunc(str(model)).predict(request).iloc[:, :2].to_numpy(dtype=np.float64)
    assert np.array_equal(served, np.repeat(served[:1], 8, axis=0))
    assert np.array_equal(served, scores)
