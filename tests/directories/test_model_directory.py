"""The files of a ModelDirectory apart from its tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytorch_designer.directories.model_directory import open_model_directory, read_label_map, write_label_map
from pytorch_designer.directories.model_spec import (
    Flavor,
    LegacyNetwork,
    ModelInput,
    ModelSpec,
    PreProcessor,
    StoredNetwork,
    read_model_spec,
    write_model_spec,
)
from pytorch_designer.directories.preprocessing import Preprocessing
from pytorch_designer.errors import InvalidModelDirectoryError

if TYPE_CHECKING:
    from pathlib import Path

UNTRAINED_SPEC: dict[str, Any] = {
    "flavor": {"name": "pytorch", "serialization_method": "none"},
    "flavor_extras": {"architecture": "resnet18", "source": "torchvision"},
}


def _write_directory(
    root: Path, spec: dict[str, Any], meta: str = "type: ModelDirectory\nmodel: model_spec.yaml\n"
) -> Path:
    root.mkdir(exist_ok=True)
    (root / "_meta.yaml").write_text(meta, encoding="utf-8")
    (root / "model_spec.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    return root


def _reason(root: Path) -> str | None:
    with pytest.raises(InvalidModelDirectoryError) as caught:
        open_model_directory(root)
    return caught.value.reason


def test_untrained_directory_has_neither_weights_nor_classes(tmp_path: Path) -> None:
    directory = open_model_directory(_write_directory(tmp_path, UNTRAINED_SPEC))
    assert directory.weights_file is None
    assert directory.classes is None
    assert not directory.spec.has_weights


def test_documented_old_specification_is_read(tmp_path: Path) -> None:
    text = """
flavor: {name: pytorch, serialization_method: state_dict}
model_file: model
time_created: 2026-11-20T08:37:30.713075+0000
flavor_extras:
  module: azureml.designer.modules.dl.pytorch.initialize_models.vision.classification.resnet
  class: ResNet
  is_cuda: false
  init_params: {model_name: resnet18, pretrained: false, zero_init_residual: false, num_classes: 10}
task_type: MultiClassification
label_map_file: index_to_label.csv
inputs:
- name: image
  pre_processor:
    module: a.pre_processor
    class: ImageNormalizer
    init_params: {mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5]}
"""
    (tmp_path / "model_spec.yaml").write_text(text, encoding="utf-8")
    spec = read_model_spec(tmp_path / "model_spec.yaml")
    assert isinstance(spec.flavor_extras, LegacyNetwork)
    assert spec.flavor_extras.init_params.num_classes == 10
    normalization = spec.normalization()
    assert normalization is not None
    assert normalization.std == (0.5, 0.5, 0.5)
    assert spec.preprocessing() is None


def test_written_specification_comes_back(tmp_path: Path) -> None:
    preprocessing = Preprocessing(resize_size=None, crop_height=32, crop_width=20)
    spec = ModelSpec(
        flavor=Flavor(serialization_method="safetensors"),
        flavor_extras=StoredNetwork(
            architecture="densenet121", source="torchvision", init_params={"memory_efficient": True}
        ),
        model_file="model.safetensors",
        label_map_file="index_to_label.csv",
        inputs=(
            ModelInput(
                name="image",
                pre_processor=PreProcessor(class_name="Preprocessing", init_params=preprocessing.to_dict()),
            ),
        ),
    )
    write_model_spec(tmp_path / "spec.yaml", spec)
    assert read_model_spec(tmp_path / "spec.yaml") == spec
    assert spec.preprocessing() == preprocessing


def test_unknown_keys_are_ignored(tmp_path: Path) -> None:
    spec = {**UNTRAINED_SPEC, "new": [1, 2], "flavor": {**UNTRAINED_SPEC["flavor"], "version": 3}}
    open_model_directory(_write_directory(tmp_path, spec, "type: ModelDirectory\nmodel: model_spec.yaml\nextra: 1\n"))


@pytest.mark.parametrize(
    "text",
    ["", "- a\n- b\n", "a: [", "!!python/object/apply:os.system [exit]", "\x00", "[" * 100_000, "é".encode("latin-1")],
    ids=["empty", "list", "unclosed", "code", "control", "deep", "not utf-8"],
)
def test_specification_that_is_no_plain_yaml_is_refused(tmp_path: Path, text: str | bytes) -> None:
    _write_directory(tmp_path, UNTRAINED_SPEC)
    (tmp_path / "model_spec.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert _reason(tmp_path) in ("bad_spec", "empty_file", "flavor")


@pytest.mark.slow
def test_specification_of_many_megabytes_is_refused(tmp_path: Path) -> None:
    _write_directory(tmp_path, {**UNTRAINED_SPEC, "padding": "x" * 2_000_000})
    assert _reason(tmp_path) == "too_large"


def test_all_wrong_keys_are_named_at_once(tmp_path: Path) -> None:
    _write_directory(tmp_path, {**UNTRAINED_SPEC, "flavor_extras": {"source": "hub"}})
    with pytest.raises(InvalidModelDirectoryError) as caught:
        open_model_directory(tmp_path)
    assert [example.split(":")[0] for example in caught.value.examples] == ["architecture", "source"]


@pytest.mark.parametrize(
    ("meta", "reason"),
    [
        ("type: ModelDirectory\nmodel: ../model_spec.yaml\n", "path_outside"),
        ("type: ModelDirectory\nmodel: /etc/passwd\n", "path_outside"),
        ("type: ModelDirectory\nmodel: other.yaml\n", "no_file"),
        ("type: ModelDirectory\nmodel: [1]\n", "no_file"),
        ("type: ModelDirectory\nmodel: folder\n", "no_file"),
        ("type: DataFrameDirectory\nmodel: model_spec.yaml\n", "wrong_type"),
        ("model: model_spec.yaml\n", "missing_type"),
    ],
)
def test_meta_that_leads_nowhere_is_refused(tmp_path: Path, meta: str, reason: str) -> None:
    (tmp_path / "folder").mkdir()
    assert _reason(_write_directory(tmp_path, UNTRAINED_SPEC, meta)) == reason


def test_weights_behind_a_link_that_leaves_the_directory_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    spec = {**UNTRAINED_SPEC, "flavor": {"name": "pytorch", "serialization_method": "safetensors"}, "model_file": "w"}
    root = _write_directory(tmp_path / "model", spec)
    (root / "w").symlink_to(tmp_path / "secret")
    assert _reason(root) == "path_outside"


def test_empty_weight_file_is_refused(tmp_path: Path) -> None:
    spec = {**UNTRAINED_SPEC, "flavor": {"name": "pytorch", "serialization_method": "safetensors"}, "model_file": "w"}
    _write_directory(tmp_path, spec)
    (tmp_path / "w").touch()
    assert _reason(tmp_path) == "empty_file"


def test_label_map_has_the_documented_bytes(tmp_path: Path) -> None:
    write_label_map(tmp_path / "labels.csv", ["cat", "a, b", 'say "x"', "two\nlines"])
    expected = ',label\n0,cat\n1,"a, b"\n2,"say ""x"""\n3,"two\nlines"\n'
    assert (tmp_path / "labels.csv").read_bytes() == expected.encode()


def test_label_map_keeps_names_that_are_no_utf8(tmp_path: Path) -> None:
    names = ("caf\udce9", "日本", "\N{PILE OF POO}")
    write_label_map(tmp_path / "labels.csv", names)
    assert read_label_map(tmp_path / "labels.csv") == names
    assert b"caf\xe9" in (tmp_path / "labels.csv").read_bytes()


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1, unique=True)
)
def test_label_map_comes_back_here_and_in_pandas(tmp_path: Path, names: list[str]) -> None:
    path = tmp_path / "labels.csv"
    write_label_map(path, names)
    assert read_label_map(path) == tuple(names)
    frame = pd.read_csv(path, index_col=0, keep_default_na=False, dtype=str, lineterminator=None)
    if not any("\r" in name for name in names):  # pandas reads a carriage return inside quotes as a line feed
        assert frame["label"].tolist() == names


def test_label_map_may_name_several_gaps_others(tmp_path: Path) -> None:
    write_label_map(tmp_path / "labels.csv", ("Others", "cat", "Others"))
    assert read_label_map(tmp_path / "labels.csv") == ("Others", "cat", "Others")


@pytest.mark.parametrize(
    "content",
    [b"\xef\xbb\xbf,label\n0,cat\n1,dog\n", b",label\r\n0,cat\r\n1,dog\r\n", b",label\n\n0,cat\n1,dog\n\n",
     b'"","label"\n"0","cat"\n"1","dog"'],
)  # fmt: skip
def test_label_map_may_have_been_through_other_programs(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    assert read_label_map(tmp_path / "labels.csv") == ("cat", "dog")


def test_label_map_may_be_in_any_order(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(",label\n1,dog\n0,cat\n", encoding="utf-8")
    assert read_label_map(tmp_path / "labels.csv") == ("cat", "dog")


@pytest.mark.parametrize(
    "text",
    [
        ",label\n",
        "label\n0,cat\n",
        "index,name\n0,cat\n",
        ",label\n0,cat\n2,dog\n",
        ",label\n0,cat\n0,dog\n",
        ",label\n-1,cat\n0,dog\n",
        ",label\nzero,cat\n",
        ",label\n0,cat,1\n",
        ",label\n0\n",
        ',label\n0,"cat\n',
        ",label\n0,cat\n1,cat\n",
        "",
    ],
)
def test_label_map_with_a_fault_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidModelDirectoryError) as caught:
        read_label_map(tmp_path / "labels.csv")
    assert caught.value.reason == "bad_label_map"


@pytest.mark.parametrize("num_bytes", [3 << 30, 1 << 40])
def test_a_label_map_of_gigabytes_is_not_read(tmp_path: Path, num_bytes: int) -> None:
    with (tmp_path / "index_to_label.csv").open("wb") as stream:
        stream.truncate(num_bytes)  # without blocks on the disk
    with pytest.raises(InvalidModelDirectoryError) as caught:
        read_label_map(tmp_path / "index_to_label.csv")
    assert caught.value.reason == "too_large"


@pytest.mark.slow
def test_a_label_map_with_millions_of_rows_is_refused(tmp_path: Path) -> None:
    rows = "".join(f"{index},{index}\n" for index in range(1_000_001))
    (tmp_path / "index_to_label.csv").write_text(",label\n" + rows)
    with pytest.raises(InvalidModelDirectoryError) as caught:
        read_label_map(tmp_path / "index_to_label.csv")
    assert caught.value.reason == "bad_label_map"
    assert "1,000,000 rows" in caught.value.examples[0]
