"""Result of an earlier run: recognized, refused, replaced, and never taken for another folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytorch_designer.errors import FailedToWriteOutputsError
from pytorch_designer.storage.output import open_output
from pytorch_designer.training.report.earlier_result import recorded_run, refuse_other_result, replaceable_entries

PARAMETERS = {"epochs": 3}


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """The folder of a trained model, as far as it is looked at."""
    folder = tmp_path / "trained"
    (folder / "report").mkdir(parents=True)
    (folder / "report" / "run.json").write_text(json.dumps({"parameters": PARAMETERS, "fingerprint": "f"}))
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "test" / "scores").mkdir(parents=True)
    (folder / "NEXT_STEPS.md").write_text("score it")
    (folder / "_meta.yaml").write_text("type: ModelDirectory\n")
    return folder


def test_a_run_with_the_same_parameters_may_be_the_same_run(trained: Path) -> None:
    refuse_other_result(trained, PARAMETERS)
    assert recorded_run(trained)["fingerprint"] == "f"


def test_a_run_with_other_parameters_is_refused_at_once(trained: Path) -> None:
    with pytest.raises(FailedToWriteOutputsError, match="not empty"):
        refuse_other_result(trained, {"epochs": 4})


@pytest.mark.parametrize("record", ["", "[]", "{", '{"parameters": []}'])
def test_a_result_without_a_usable_record_is_refused(trained: Path, record: str) -> None:
    (trained / "report" / "run.json").write_text(record)
    with pytest.raises(FailedToWriteOutputsError):
        refuse_other_result(trained, PARAMETERS)


def test_a_stopped_run_is_not_a_result(tmp_path: Path) -> None:
    (tmp_path / ".checkpoint").mkdir()
    refuse_other_result(tmp_path, PARAMETERS)
    assert replaceable_entries(tmp_path) == frozenset()


def test_everything_of_a_trained_model_is_replaced(trained: Path) -> None:
    (trained / ".checkpoint").mkdir()
    entries = replaceable_entries(trained)
    assert entries == {"report", "model.safetensors", "test", "NEXT_STEPS.md", "_meta.yaml"}
    with open_output(trained, apart_from={}, replaced=entries):
        assert [path.name for path in trained.iterdir()] == [".lock"]


def test_a_folder_that_is_not_there_has_nothing_to_replace(tmp_path: Path) -> None:
    assert replaceable_entries(tmp_path / "new") == frozenset()


@pytest.mark.parametrize("name", ["notes.txt", "images", ".git"])
def test_a_model_with_something_of_the_user_beside_it_is_kept(trained: Path, name: str) -> None:
    (trained / name).write_text("mine")
    before = sorted(trained.rglob("*"))
    with pytest.raises(FailedToWriteOutputsError, match="something else") as caught:
        replaceable_entries(trained)
    assert caught.value.examples == (name,)
    assert sorted(trained.rglob("*")) == before


@pytest.mark.parametrize("kind", ["ImageDirectory", "DataFrameDirectory", "UntrainedModelDirectory", "nothing"])
def test_a_folder_of_another_kind_is_kept(trained: Path, kind: str) -> None:
    (trained / "_meta.yaml").write_text(f"type: {kind}\n")
    with pytest.raises(FailedToWriteOutputsError, match="something else"):
        replaceable_entries(trained)


@pytest.mark.parametrize("missing", ["_meta.yaml", "report/run.json"])
def test_a_model_of_another_program_is_kept(trained: Path, missing: str) -> None:
    (trained / missing).unlink()
    with pytest.raises(FailedToWriteOutputsError, match="something else"):
        replaceable_entries(trained)
