"""The device is chosen from the machine, said, and refused by name where it is not there (CASES 33)."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch

from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.inference.compute import ComputePlan, choose_compute
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


def cuda_plan(*, is_deterministic: bool) -> ComputePlan:
    return ComputePlan(torch.device("cuda", 0), "bf16", torch.channels_last, 1, is_deterministic)


@pytest.fixture
def torch_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Puts back what a plan sets for the whole process."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    num_threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    mode = torch.get_deterministic_debug_mode()
    yield
    torch.set_deterministic_debug_mode(mode)
    torch.set_float32_matmul_precision(precision)
    torch.set_num_threads(num_threads)


@pytest.mark.usefixtures("torch_settings")
def test_operations_on_a_gpu_must_repeat_and_do_not_only_warn() -> None:
    cuda_plan(is_deterministic=True).activate()
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()  # attention repeats only then
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


@pytest.mark.parametrize(("given", "kept"), [(":16:8", ":16:8"), (":0:0", ":4096:8")])
@pytest.mark.usefixtures("torch_settings")
def test_only_a_workspace_that_repeats_is_kept(monkeypatch: pytest.MonkeyPatch, given: str, kept: str) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", given)
    cuda_plan(is_deterministic=True).activate()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == kept


@pytest.mark.usefixtures("torch_settings")
def test_a_plan_that_need_not_repeat_lets_any_operation_be_used() -> None:
    cuda_plan(is_deterministic=True).activate()
    cuda_plan(is_deterministic=False).activate()
    assert not torch.are_deterministic_algorithms_enabled()
