"""A model that the tests of the Python API share: trained once, in this process, on four digits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

import pytorch_designer
from pytorch_designer import TrainedRun
from tests.images.digits import write_digits


@dataclass(frozen=True)
class Trained:
    """Images with splits, and the run on them."""

    images: Path
    run: TrainedRun

    @property
    def test_images(self) -> Path:
        return self.images / "test"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    for name, skip, number in (("train", 0, 20), ("valid", 20, 6), ("test", 30, 6)):
        write_digits(folder / "photos" / name, classes=4, per_class=number, skip=skip)
    run = pytorch_designer.train(
        folder / "photos",
        model_name="shufflenet_v2_x0_5",
        pretrained=False,
        epochs=2,
        output=folder / "model",
        device="cpu",
        num_threads=1,
    )
    return Trained(folder / "photos", run)
