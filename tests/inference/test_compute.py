"""The device is chosen from the machine, said, and refused by name where it is not there (CASES 33)."""

from __future__ import annotations

import pytest
import torch

from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.inference.compute import choose_compute
from pytorch_designer.settings import Settings


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has one")
def test_a_gpu_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedEnvironmentError, match="The device cuda was asked for") as caught:
        choose_compute(Settings(device="cuda"), height=8, width=8)
    assert caught.value.where == "PYTORCH_DESIGNER_DEVICE"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has one")
def test_without_a_gpu_the_cpu_is_used_and_said() -> None:
    plan = choose_compute(Settings(num_threads=3), height=8, width=8)
    assert plan.device.type == "cpu"
    assert plan.describe().startswith("cpu, 3 threads, fp32")


def test_small_images_are_computed_in_single_precision_on_every_cpu() -> None:
    assert choose_compute(Settings(device="cpu"), height=47, width=48).precision == "fp32"


def test_the_same_machine_gives_the_same_plan() -> None:
    first, second = (choose_compute(Settings(), height=224, width=224) for _ in range(2))
    assert first == second
