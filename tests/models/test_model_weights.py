"""Weight files that are damaged, lie, do not fit, or want to run code."""

from __future__ import annotations

import io
import json
import os
import pickle
import resource
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pytorch_designer.errors import DesignerError, FailedToDownloadFilesError, InvalidModelDirectoryError
from pytorch_designer.models.architectures import Architecture, build_network, build_on_meta
from pytorch_designer.models.weights import (
    check_tensors,
    check_weight_file,
    network_with_tensors,
    read_safetensors,
    read_state_dict,
    write_safetensors,
)


class _RunsCode:
    """A pickle that makes a folder when it is loaded the ordinary way."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def _tensors() -> dict[str, Tensor]:
    return {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2), "count": torch.tensor(3)}


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "older format"])
def test_state_dict_of_either_format_is_read(tmp_path: Path, is_zip: bool) -> None:
    torch.save(_tensors(), tmp_path / "model", _use_new_zipfile_serialization=is_zip)
    read = read_state_dict(tmp_path / "model")
    assert all(torch.equal(read[name], tensor) for name, tensor in _tensors().items())


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "older format"])
def test_pickle_that_runs_code_is_refused_and_not_run(tmp_path: Path, is_zip: bool) -> None:
    content = {**_tensors(), "x": _RunsCode(tmp_path / "made")}
    torch.save(content, tmp_path / "model", _use_new_zipfile_serialization=is_zip)
    with pytest.raises(InvalidModelDirectoryError, match="nothing in it was run"):
        read_state_dict(tmp_path / "model")
    assert not (tmp_path / "made").exists()


def test_plain_pickle_that_runs_code_is_refused_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(pickle.dumps(_RunsCode(tmp_path / "made")))
    with pytest.raises(InvalidModelDirectoryError):
        read_state_dict(tmp_path / "model")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "older format"])
def test_bytes_after_the_end_of_a_state_dict_are_refused(tmp_path: Path, is_zip: bool) -> None:
    torch.save(_tensors(), tmp_path / "model", _use_new_zipfile_serialization=is_zip)
    with (tmp_path / "model").open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(InvalidModelDirectoryError, match="after its end"):
        read_state_dict(tmp_path / "model")


def test_state_dict_that_inflates_is_refused(tmp_path: Path) -> None:
    torch.save(_tensors(), tmp_path / "stored")
    with (
        zipfile.ZipFile(tmp_path / "stored") as stored,
        zipfile.ZipFile(tmp_path / "model", "w", zipfile.ZIP_DEFLATED) as deflated,
    ):
        for entry in stored.infolist():
            deflated.writestr(entry.filename, stored.read(entry))
    with pytest.raises(InvalidModelDirectoryError, match="compressed"):
        read_state_dict(tmp_path / "model")


@pytest.mark.parametrize(
    "content",
    [
        [torch.ones(1)],
        {"model": _tensors()},
        {1: torch.ones(1)},
        {"weight": [1.0, 2.0]},
        {"weight": torch.ones(2, device="meta")},
        {"weight": torch.sparse_coo_tensor(torch.zeros(2, 1), torch.ones(1), (2, 2), check_invariants=False)},
        torch.ones(1),
        None,
    ],
    ids=["list", "nested", "names", "numbers", "meta", "sparse", "tensor", "none"],
)
def test_other_content_than_named_tensors_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "model")
    with pytest.raises(InvalidModelDirectoryError):
        read_state_dict(tmp_path / "model")


@pytest.mark.parametrize("data", [b"", b"PK", b"<html>404</html>", b"\x80\x02.", bytes(1000)])
def test_file_that_is_no_state_dict_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model").write_bytes(data)
    with pytest.raises(FailedToDownloadFilesError):
        read_state_dict(tmp_path / "model", FailedToDownloadFilesError)


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "older format"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_state_dict_is_read_or_refused_but_never_anything_else(
    tmp_path: Path, is_zip: bool, data: st.DataObject
) -> None:
    torch.save(_tensors(), tmp_path / "model", _use_new_zipfile_serialization=is_zip)
    damaged = bytearray((tmp_path / "model").read_bytes())
    for position in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=4)):
        damaged[position] = data.draw(st.integers(0, 255))
    (tmp_path / "model").write_bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    try:
        read = read_state_dict(tmp_path / "model")
    except InvalidModelDirectoryError:
        return
    assert all(isinstance(tensor, Tensor) for tensor in read.values())


def _safetensors(header: object, body: bytes, length: int | None = None) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


@pytest.mark.parametrize(
    "data",
    [
        _safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, bytes(8), length=2**62),
        _safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 80]}}, bytes(8)),
        _safetensors({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 8]}}, bytes(8)),
        _safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}, bytes(8)),
        _safetensors({"a": {"dtype": "P32", "shape": [2], "data_offsets": [0, 8]}}, bytes(8)),
        _safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, bytes(9)),
        _safetensors(["a"], b""),
        b"",
        pickle.dumps({"a": 1}),
    ],
    ids=["length", "past the end", "shape", "backwards", "dtype", "bytes left over", "list", "empty", "pickle"],
)
def test_safetensors_file_that_lies_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(InvalidModelDirectoryError, match="safetensors"):
        read_safetensors(tmp_path / "model.safetensors")


def test_tensors_of_any_layout_and_precision_are_written_and_read(tmp_path: Path) -> None:
    images = torch.rand(2, 3, 4, 5)
    tensors = {
        "channels_last": images.to(memory_format=torch.channels_last),
        "half": images.to(torch.bfloat16),
        "shared": images[0],
        "shared too": images[0],
        "count": torch.tensor(7),
    }
    write_safetensors(tmp_path / "file", tensors)
    read = read_safetensors(tmp_path / "file")
    assert torch.equal(read["channels_last"], images)
    assert torch.equal(read["half"], images.to(torch.bfloat16).float())
    assert torch.equal(read["shared too"], images[0])
    assert read["count"].dtype == torch.int64


def _differences(tensors: dict[str, Tensor], network: nn.Module) -> DesignerError:
    with pytest.raises(InvalidModelDirectoryError) as caught:
        check_tensors(tensors, network, Path("file"))
    return caught.value


def test_differences_name_the_tensors_at_most_five() -> None:
    network = nn.Sequential(*[nn.Linear(2, 2) for _ in range(4)])
    error = _differences({"0.weight": torch.ones(3, 2), "0.bias": torch.ones(2), "extra": torch.ones(1)}, network)
    assert error.num_offending == 8  # six are missing, one is too many, one has another shape
    assert len(error.examples) == 5
    assert error.examples[0] == "1.weight: missing, should be [2, 2]"
    assert error.reason == "other_weights"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_no_finite_numbers_are_refused(value: float) -> None:
    error = _differences({"weight": torch.ones(1, 2), "bias": torch.tensor([value])}, nn.Linear(2, 1))
    assert error.examples == ("bias",)


def test_infinities_of_both_signs_are_refused() -> None:
    weight = torch.tensor([[float("inf"), float("-inf")]])
    assert _differences({"weight": weight, "bias": torch.ones(1)}, nn.Linear(2, 1)).examples == ("weight",)


def test_finite_weights_whose_sum_overflows_are_taken() -> None:
    tensors = {"weight": torch.full((1, 2), 3e38), "bias": torch.ones(1)}
    check_tensors(tensors, nn.Linear(2, 1), Path("model"))


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, torch.bool])
def test_other_kind_of_number_is_refused(dtype: torch.dtype) -> None:
    tensors = {"weight": torch.ones(1, 2), "bias": torch.ones(1, dtype=dtype)}
    assert _differences(tensors, nn.Linear(2, 1)).reason == "other_weights"


def test_mnasnet_loads_from_tensors_alone() -> None:
    torch.manual_seed(0)
    source = build_network(Architecture("mnasnet0_5"), 2).eval()

    def build() -> nn.Module:
        return build_network(Architecture("mnasnet0_5"), 2)

    loaded = network_with_tensors(build_on_meta(build), build, dict(source.state_dict()))
    images = torch.rand(1, 3, 32, 32)
    assert torch.equal(loaded(images), source(images))


class _WithHiddenBuffer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 2)
        self.register_buffer("hidden", torch.full((2,), 3.0), persistent=False)


def test_buffers_that_files_do_not_hold_get_their_values() -> None:
    tensors = {"linear.weight": torch.ones(2, 2), "linear.bias": torch.ones(2, dtype=torch.float64)}
    network = network_with_tensors(build_on_meta(_WithHiddenBuffer), _WithHiddenBuffer, tensors)
    assert network.get_buffer("hidden").tolist() == [3.0, 3.0]
    assert network.get_parameter("linear.weight").tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert network.get_parameter("linear.bias").dtype == torch.float32


def _pickle_file(path: Path, pickled: bytes, *, is_zip: bool) -> None:
    """A state dict whose pickle is replaced by `pickled`."""
    whole = io.BytesIO()
    torch.save(_tensors(), whole, _use_new_zipfile_serialization=is_zip)
    if not is_zip:
        start = whole.getvalue()
        positions = [index + 1 for index, byte in enumerate(start) if byte == ord(".")]
        head = next(start[:end] for end in positions if b"type_sizes" in start[:end] and b"long" in start[:end])
        path.write_bytes(head + pickled)
        return
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        for name in source.namelist():
            target.writestr(name, pickled if name.endswith("data.pkl") else source.read(name))


BYTE_ARRAY = b"\x80\x02cbuiltins\nbytearray\n\x8a\x05" + (3 << 30).to_bytes(5, "little") + b"\x85R."


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "older format"])
def test_a_pickle_that_asks_for_gigabytes_is_refused_before_it_is_read(tmp_path: Path, is_zip: bool) -> None:
    _pickle_file(tmp_path / "model", BYTE_ARRAY, is_zip=is_zip)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InvalidModelDirectoryError) as caught:
        read_state_dict(tmp_path / "model")
    assert "bytearray" in caught.value.examples[0]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB


def test_entries_of_a_zip_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(100_000)}, tmp_path / "model")
    content = bytearray((tmp_path / "model").read_bytes())
    directory = content.index(b"PK\1\2")
    end = content.rindex(b"PK\5\6")
    entries = bytes(content[directory:end])
    content[directory:end] = entries * 3
    end += 2 * len(entries)
    struct.pack_into("<I", content, end + 12, 3 * len(entries))
    (tmp_path / "model").write_bytes(content)
    with pytest.raises(InvalidModelDirectoryError):
        read_state_dict(tmp_path / "model")


@pytest.mark.parametrize("name", ["model.safetensors", "model"])
def test_a_weight_file_larger_than_the_network_is_not_loaded(tmp_path: Path, name: str) -> None:
    network = build_on_meta(lambda: build_network(Architecture("squeezenet1_1"), 2))
    with (tmp_path / name).open("wb") as stream:
        stream.truncate(3 << 30)
    with pytest.raises(InvalidModelDirectoryError, match="3,221,225,472 bytes") as caught:
        check_weight_file(tmp_path / name, network)
    assert caught.value.reason == "other_weights"


def test_a_header_larger_than_the_networks_is_not_loaded(tmp_path: Path) -> None:
    network = build_on_meta(lambda: build_network(Architecture("squeezenet1_1"), 2))
    (tmp_path / "model.safetensors").write_bytes((4 << 20).to_bytes(8, "little") + bytes(5 << 20))
    with pytest.raises(InvalidModelDirectoryError, match=r"header .* 4,194,304 bytes"):
        check_weight_file(tmp_path / "model.safetensors", network)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_weight_file_of_any_precision_is_not_too_large(tmp_path: Path, dtype: torch.dtype) -> None:
    network = nn.Linear(3, 5).to(dtype)
    torch.save(network.state_dict(), tmp_path / "model")
    check_weight_file(tmp_path / "model", network)
