"""Inputs that a run leaves alone, leftovers that it cleans up, and outputs that it refuses."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytorch_designer.errors import FailedToWriteOutputsError
from pytorch_designer.storage.output import open_output
from tests.campaigns.component_cases import CASES, hashes, outcome, without_tracking, write_case_inputs

TRAIN = CASES["train_pytorch_model"]


@pytest.fixture(scope="module", autouse=True)
def _without_tracking() -> Iterator[None]:
    with without_tracking():
        yield


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases") / "inputs"
    write_case_inputs(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("component", [name for name, case in CASES.items() if case.inputs])
def test_nothing_is_written_into_an_input(inputs: Path, component: str, tmp_path: Path) -> None:
    before = hashes(inputs)
    CASES[component].run(inputs, tmp_path)
    assert hashes(inputs) == before


@pytest.mark.slow
@pytest.mark.parametrize(("component", "port"), [(name, port) for name, case in CASES.items() for port in case.inputs])
def test_an_output_inside_an_input_is_refused(inputs: Path, component: str, port: str) -> None:
    case = CASES[component]
    folder = inputs / case.inputs[port]
    before = hashes(inputs)
    with pytest.raises(FailedToWriteOutputsError, match="The output is inside") as caught:
        case.run(inputs, folder / "inside")
    assert caught.value.reason == "inside_source"
    assert hashes(inputs) == before


@pytest.mark.slow
def test_what_a_kill_after_the_last_rename_left_is_removed_by_the_same_command(inputs: Path, tmp_path: Path) -> None:
    TRAIN.run(inputs, tmp_path)
    finished = outcome(tmp_path)
    model = tmp_path / "trained_model"
    for name in (".checkpoint/00000003.json", ".checkpoint/00000003.safetensors", ".staging/COMMIT"):
        (model / name).parent.mkdir(exist_ok=True)
        (model / name).write_bytes(b"left")
    TRAIN.run(inputs, tmp_path)
    assert outcome(tmp_path) == finished


@pytest.mark.slow
@pytest.mark.parametrize("component", [name for name, case in CASES.items() if case.inputs])
def test_what_a_kill_after_the_last_rename_left_is_not_read(inputs: Path, component: str, tmp_path: Path) -> None:
    case = CASES[component]
    case.run(inputs, tmp_path / "before")
    shutil.copytree(inputs, tmp_path / "inputs")
    for name in set(case.inputs.values()):
        folder = tmp_path / "inputs" / name
        (folder / ".lock").touch()
        (folder / ".staging").mkdir()
        (folder / ".staging" / "COMMIT").write_text("_meta.yaml", encoding="utf-8")
    case.run(tmp_path / "inputs", tmp_path / "after")
    assert outcome(tmp_path / "after") == outcome(tmp_path / "before")


@pytest.mark.slow
def test_an_output_that_another_run_holds_is_refused(inputs: Path, tmp_path: Path) -> None:
    with open_output(tmp_path / "trained_model", apart_from={}), pytest.raises(FailedToWriteOutputsError) as caught:
        TRAIN.run(inputs, tmp_path)
    assert caught.value.reason == "locked"
    assert caught.value.where == str(tmp_path / "trained_model")
    TRAIN.run(inputs, tmp_path)
    assert (tmp_path / "trained_model/_meta.yaml").is_file()
