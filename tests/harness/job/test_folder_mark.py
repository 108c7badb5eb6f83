"""A folder is the harness's own only by its mark: what looks like one of its folders is left as it is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pytorch_designer.cli.main import main
from pytorch_designer.errors import FailedToWriteOutputsError
from pytorch_designer.harness.job.folder_mark import MARK_FILE, FolderKind
from pytorch_designer.harness.job.job_run import run_job
from pytorch_designer.harness.job.run_folder import is_run_folder
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from tests.harness.fixture_types import MakeRequest
from tests.harness.pipeline_files import FOLDER, node, write_pipeline

LOOKALIKES = {
    "training report": {"run.json": "{}", "outputs/model.bin": "weights", "index.html": ""},
    "run folder": {"run.json": '{"state": "completed"}', "user_logs/std_log.txt": "x", "outputs/a": "x", "logs/a": "x"},
    "working directory": {"work/node_0/thesis.txt": "years", "staged-outputs/x": "y"},
    "named outputs": {"named-outputs/result/a": "x"},
    "pipeline": {"pipeline.json": "{}", "nodes/a/run.json": "{}", "named-outputs/result/a": "x"},
    "empty pipeline": {"nodes/a/named-outputs/o/x": "y", "named-outputs/result/a": "x"},
    "cache": {"entries/a/entry.json": "{}", "hashes/a.json": "{}", "partial/a": "", "lock": ""},
    "forged mark": {MARK_FILE: "pytorch-designer: something else\n", "run.json": "{}", "outputs/a": "x"},
}


def _write(folder: Path, texts: dict[str, str]) -> Path:
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def _content(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("texts", LOOKALIKES.values(), ids=LOOKALIKES)
def test_what_looks_like_a_run_folder_is_left_alone_by_a_job(
    tmp_path: Path, make_request: MakeRequest, texts: dict[str, str]
) -> None:
    _write(tmp_path / "run", texts)

    with pytest.raises(FailedToWriteOutputsError) as caught:
        run_job(make_request("touch outputs/new", spec={"outputs": {"o": FOLDER}}))

    assert caught.value.reason == "not_empty"
    assert _content(tmp_path / "run") == texts
    assert not is_run_folder(tmp_path / "run")


@pytest.mark.parametrize("texts", LOOKALIKES.values(), ids=LOOKALIKES)
def test_what_looks_like_a_run_folder_is_left_alone_by_a_pipeline(tmp_path: Path, texts: dict[str, str]) -> None:
    _write(tmp_path / "run", texts)
    path = write_pipeline(
        tmp_path,
        {"a": node("touch ${{outputs.o}}/x", outputs={"o": "${{parent.outputs.result}}"})},
        outputs={"result": FOLDER},
    )

    with pytest.raises(FailedToWriteOutputsError) as caught:
        run_pipeline(path, run_folder=tmp_path / "run")

    assert caught.value.reason == "not_empty"
    assert {name: text for name, text in _content(tmp_path / "run").items() if name != ".lock"} == texts


@pytest.mark.parametrize("texts", LOOKALIKES.values(), ids=LOOKALIKES)
@pytest.mark.parametrize("action", ["clear", "list"])
def test_what_looks_like_a_cache_is_left_alone(tmp_path: Path, texts: dict[str, str], action: str) -> None:
    _write(tmp_path / "cache", texts)

    assert main(["cache", action]) == 1

    assert _content(tmp_path / "cache") == texts
    assert json.loads((tmp_path / "outputs" / "error_info.json").read_text())["reason"] == "not_empty"


def test_a_pipeline_with_a_foreign_folder_as_its_cache_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "cache", LOOKALIKES["cache"])
    path = write_pipeline(tmp_path, {"a": node("true")})

    assert main(["run", str(path), "--no-mlflow"]) == 1

    assert _content(tmp_path / "cache") == LOOKALIKES["cache"]


def test_a_folder_of_another_kind_is_not_taken(tmp_path: Path, make_request: MakeRequest) -> None:
    (tmp_path / "run").mkdir()
    FolderKind.PIPELINE.mark(tmp_path / "run")
    _write(tmp_path / "run", {"outputs/a": "x"})

    with pytest.raises(FailedToWriteOutputsError):
        run_job(make_request("true"))

    assert (tmp_path / "run" / "outputs" / "a").exists()


def test_a_mark_that_a_killed_run_did_not_finish_does_not_keep_the_folder(
    tmp_path: Path, make_request: MakeRequest
) -> None:
    _write(tmp_path / "run", {f".{MARK_FILE}.partial": "pytorch-d"})

    assert run_job(make_request("true")).has_succeeded


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_link_to_a_mark_is_none(tmp_path: Path) -> None:
    for name in ("own", "other"):
        (tmp_path / name).mkdir()
    FolderKind.JOB.mark(tmp_path / "own")
    (tmp_path / "other" / MARK_FILE).symlink_to(tmp_path / "own" / MARK_FILE)

    assert FolderKind.JOB.marks(tmp_path / "own")
    assert not FolderKind.JOB.marks(tmp_path / "other")


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_links_in_a_run_folder_are_removed_and_not_followed(tmp_path: Path, make_request: MakeRequest) -> None:
    _write(tmp_path / "mine", {"a": "x"})
    run_job(make_request("true"))
    (tmp_path / "run" / "outputs").rmdir()
    (tmp_path / "run" / "outputs").symlink_to(tmp_path / "mine")

    assert run_job(make_request("mkdir outputs; touch outputs/new")).has_succeeded

    assert _content(tmp_path / "mine") == {"a": "x"}
    assert (tmp_path / "run" / "outputs" / "new").exists()


@pytest.mark.skipif(os.name != "posix", reason="links")
@pytest.mark.parametrize("place", ["named-outputs", "named-outputs/result"])
def test_outputs_that_a_link_leads_to_are_not_removed(tmp_path: Path, place: str) -> None:
    path = write_pipeline(
        tmp_path,
        {"a": node("touch ${{outputs.o}}/x", outputs={"o": "${{parent.outputs.result}}"})},
        outputs={"result": FOLDER},
    )
    run_pipeline(path, run_folder=tmp_path / "run")
    (tmp_path / "run" / "named-outputs").rename(tmp_path / "aside")
    _write(tmp_path / "mine", {"result/a": "x", "b": "x"})
    link = tmp_path / "run" / place
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path / "mine")

    result = run_pipeline(path, run_folder=tmp_path / "run")

    assert _content(tmp_path / "mine") == {"result/a": "x", "b": "x"}
    assert result.has_succeeded == (place == "named-outputs/result")
