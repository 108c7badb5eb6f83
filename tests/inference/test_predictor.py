"""Batches in turn have the logits that each of them has alone. On a GPU they are computed ahead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.inference.compute import choose_compute
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.settings import Settings

PREPROCESSING = Preprocessing(crop_height=8, crop_width=8)
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))]


def predictor_on(device: str) -> Predictor:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 5))
    compute = choose_compute(Settings.model_validate({"device": device}), height=8, width=8)
    compute.activate()
    return Predictor(network, PREPROCESSING, compute)


def batches() -> list[tuple[str, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (f"of {size}", torch.randint(0, 256, (size, 3, 8, 8), dtype=torch.uint8, generator=generator))
        for size in (4, 4, 1, 3)
    ]


@pytest.mark.parametrize("device", DEVICES)
def test_each_batch_comes_once_in_order_with_its_own_logits(device: str) -> None:
    predictor = predictor_on(device)
    found = list(predictor.logits_in_turn(iter(batches()), lambda batch: batch[1]))
    assert [batch[0] for batch, _ in found] == ["of 4", "of 4", "of 1", "of 3"]
    for (_, images), logits in found:
        assert logits.device.type == "cpu"
        assert torch.equal(logits, predictor.logits(images))


@pytest.mark.parametrize("device", DEVICES)
def test_no_batch_gives_no_logits(device: str) -> None:
    assert list(predictor_on(device).logits_in_turn(iter(batches()[:0]), lambda batch: batch[1])) == []


@pytest.mark.parametrize("device", DEVICES)
def test_errors_of_a_forward_pass_get_the_callers_name(device: str) -> None:
    @contextmanager
    def naming(images: Tensor) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise InvalidDatasetError(f"{len(images)} images of the wrong size.", where="dataset") from error

    too_large = [("large", torch.zeros(2, 3, 9, 9, dtype=torch.uint8))]
    with pytest.raises(InvalidDatasetError, match="2 images of the wrong size"):
        list(predictor_on(device).logits_in_turn(batches() + too_large, lambda batch: batch[1], errors=naming))
