"""The device is chosen from the machine, logged, and refused by name where it is missing (CASES 33)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.images.decode import decode_image
from pytorch_designer.images.preprocess import crop_and_resize
from pytorch_designer.inference.compute import Compute, choose_compute, keep_freed_memory
from pytorch_designer.settings import Settings
from tests.commands import call_in_fork
from tests.images.image_corpus import encode, smooth_pixels


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has one")
@pytest.mark.parametrize("name", ["cuda", "cuda:1", "gpu"])
def test_a_gpu_that_is_not_there_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnsupportedEnvironmentError, match=f"The device {name} was asked for") as caught:
        choose_compute(Settings(device=name), height=8, width=8)
    assert caught.value.where == "PYTORCH_DESIGNER_DEVICE"
    assert "It has " in caught.value.what
    assert "cpu." in caught.value.what


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["auto", "gpu", "cuda", "cuda:0"])
def test_the_first_gpu_has_several_names(name: str) -> None:
    assert choose_compute(Settings(device=name), height=8, width=8).device == torch.device("cuda", 0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_beyond_the_last_is_answered_with_what_is_there() -> None:
    with pytest.raises(UnsupportedEnvironmentError, match=r"It has cuda:0 \(.+\), .*cpu\."):
        choose_compute(Settings(device="cuda:99"), height=8, width=8)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has one")
def test_without_a_gpu_the_cpu_is_used_and_said() -> None:
    compute = choose_compute(Settings(num_threads=3), height=8, width=8)
    assert compute.device.type == "cpu"
    assert compute.describe().startswith("cpu, 3 threads, fp32")


def test_small_images_are_computed_in_single_precision_on_every_cpu() -> None:
    assert choose_compute(Settings(device="cpu"), height=47, width=48).precision == "fp32"


def test_the_same_machine_gives_the_same_choice() -> None:
    first, second = (choose_compute(Settings(), height=224, width=224) for _ in range(2))
    assert first == second


def on_cuda(*, is_deterministic: bool) -> Compute:
    return Compute(torch.device("cuda", 0), "bf16", torch.channels_last, 1, is_deterministic)


@pytest.fixture
def torch_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restores the settings of the whole process."""
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
    on_cuda(is_deterministic=True).activate()
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()  # attention repeats only then
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


@pytest.mark.parametrize(("given", "kept"), [(":16:8", ":16:8"), (":0:0", ":4096:8")])
@pytest.mark.usefixtures("torch_settings")
def test_only_a_workspace_that_repeats_is_kept(monkeypatch: pytest.MonkeyPatch, given: str, kept: str) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", given)
    on_cuda(is_deterministic=True).activate()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == kept


@pytest.mark.usefixtures("torch_settings")
def test_where_runs_need_not_repeat_any_operation_may_be_used() -> None:
    on_cuda(is_deterministic=True).activate()
    on_cuda(is_deterministic=False).activate()
    assert not torch.are_deterministic_algorithms_enabled()


USER_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")

only_glibc = pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", {}), reason="not glibc")


def page_faults(work: Callable[[], object]) -> int:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def forget_user_settings() -> None:
    for name in USER_SETTINGS:
        os.environ.pop(name, None)


def faults_of_large_blocks() -> tuple[int, int, bool]:
    """Page faults of twenty times 64 MiB by default, and with freed memory kept; whether it is."""

    def allocate() -> None:
        for _ in range(20):
            torch.ones(2**24)

    forget_user_settings()
    allocate()
    by_default = page_faults(allocate)
    is_kept = keep_freed_memory()
    allocate()
    return by_default, page_faults(allocate), is_kept


@pytest.mark.slow
@only_glibc
def test_freed_memory_costs_no_more_page_faults() -> None:
    by_default, faults, is_kept = call_in_fork(faults_of_large_blocks)

    assert is_kept
    assert faults < by_default / 2


@only_glibc
@pytest.mark.parametrize("name", USER_SETTINGS)
def test_an_allocator_that_the_user_set_up_is_left_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "65536")

    assert not keep_freed_memory()


def faults_per_image(device: str) -> float:
    """Page faults per photo that two threads decode, as loaders do, after a warm-up."""
    forget_user_settings()
    torch.set_num_threads(1)
    Compute(torch.device(device), "fp32", torch.contiguous_format, 1, is_deterministic=False).activate()
    content = bytearray(encode(smooth_pixels(375, 500), "JPEG"))
    rule = Preprocessing(resize_size=256, crop_height=224, crop_width=224)

    def decode(_: int) -> None:
        torch.set_num_threads(1)
        crop_and_resize(decode_image(content), rule)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(decode, range(40)))
        return page_faults(lambda: list(threads.map(decode, range(100)))) / 100


@pytest.mark.slow
@only_glibc
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_decoding_costs_few_page_faults_whatever_the_network_runs_on(device: str) -> None:
    assert call_in_fork(faults_per_image, device) < 20
