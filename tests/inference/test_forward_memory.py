"""Images that are too large for the machine are refused before anything is computed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.errors import ModuleOutOfMemoryError
from pytorch_designer.images import budgets
from pytorch_designer.inference import forward_memory
from pytorch_designer.inference.compute import Compute
from pytorch_designer.inference.forward_memory import check_forward_memory, largest_layer

GIB = 2**30
COMPUTE = Compute(torch.device("cpu"), "fp32", torch.contiguous_format, 1, is_deterministic=True)


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)
    )


def check(side: int, *, num_images: int = 1, compute: Compute = COMPUTE) -> None:
    sizing = Preprocessing(resize_size=side, crop_height=side, crop_width=side)
    check_forward_memory(network(), sizing, compute, num_images, where="the model", advice="Use smaller images.")


@pytest.fixture(autouse=True)
def _four_gibibytes(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (budgets, forward_memory):
        monkeypatch.setattr(module, "available_memory_bytes", lambda: 4 * GIB)


def test_the_largest_layer_is_found_without_computing() -> None:
    net = network()
    net[1].eval()
    modes = [module.training for module in net.modules()]
    assert largest_layer(net, 100_000, 100_000) == 16 * 100_000 * 100_000  # in and out of the ReLU
    assert [module.training for module in net.modules()] == modes
    assert not any(parameter.is_meta for parameter in net.parameters())


def test_usual_images_are_let_through() -> None:
    check(224, num_images=64)
    check(4096)


def test_batches_that_do_not_fit_are_refused_with_both_sizes() -> None:
    with pytest.raises(
        ModuleOutOfMemoryError, match=r"image of 16384x16384 pixels take at least 8.9 GB.*4.3 GB are free"
    ):
        check(16_384)


def test_layers_that_do_not_fit_are_refused_on_a_processor_only() -> None:
    with pytest.raises(ModuleOutOfMemoryError, match=r"A layer of this model takes about 6.4 GB"):
        check(10_000)
    check(10_000, compute=replace(COMPUTE, device=torch.device("cuda")))
    check(10_000, compute=replace(COMPUTE, precision="bf16"))


@pytest.mark.parametrize(("side", "words"), [(7_000, "1.6 GB of memory; 1.4 GB"), (5_700, "2.1 GB .*; 1.4 GB")])
def test_processes_of_one_machine_share_its_memory(side: int, words: str) -> None:
    check(side)
    with pytest.raises(ModuleOutOfMemoryError, match=f"{words} are free for each of 3 processes"):
        check(side, compute=replace(COMPUTE, num_processes=3))
