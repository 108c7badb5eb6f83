"""What a kill leaves beside a document goes, and what is not ours or still written stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pytorch_designer.designer.document.document_files import write_document
from pytorch_designer.designer.document.document_store import DocumentStore
from pytorch_designer.designer.moving.leftover_files import remove_leftovers
from tests.designer.pipelines import PIPELINE


@pytest.fixture
def store(project: Path, tmp_path: Path) -> DocumentStore:
    (project / "pipeline.yaml").write_text(PIPELINE)
    return DocumentStore(project, state_folder=tmp_path / "state")


def leave(path: Path, seconds_ago: float = 3600.0) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("type: pipeline\njobs: {}\n")
    os.utime(path, (time.time() - seconds_ago,) * 2)
    return path


def killed_while_writing(file: Path) -> Path:
    """Write a document in a process that ends before the rename, and make what it leaves old."""
    process = os.fork()
    if process == 0:
        write_document(file, b"type: pipeline\n", before_rename=lambda: os._exit(9))
    assert os.waitpid(process, 0)[1] != 0
    left = file.with_name(f".{file.name}.partial")
    os.utime(left, (1.0, 1.0))
    return left


@pytest.mark.skipif(os.name != "posix", reason="the test forks")
def test_what_a_killed_program_has_left_goes(store: DocumentStore) -> None:
    left = killed_while_writing(store.project / "pipeline.yaml")
    of_no_document = leave(store.project / "components" / ".made.YML.partial")
    assert [document["path"] for document in store.list_documents()] == ["pipeline.yaml"]
    assert sorted(remove_leftovers(store)) == sorted([left, of_no_document])
    assert not left.exists()
    assert (store.project / "pipeline.yaml").read_text() == PIPELINE


def test_what_is_written_at_the_moment_or_not_ours_stays(store: DocumentStore) -> None:
    kept = [
        leave(store.project / ".fresh.yaml.partial", seconds_ago=0.0),
        leave(store.project / "pipeline.yaml.partial"),
        leave(store.project / ".notes.txt.partial"),
        leave(store.project / "runs" / ".pipeline.yaml.partial"),
    ]
    (store.project / ".folder.yaml.partial").mkdir()
    (store.project / ".link.yaml.partial").symlink_to("pipeline.yaml")
    assert remove_leftovers(store) == []
    assert all(path.exists() for path in kept)


def test_what_a_living_program_writes_stays(
    store: DocumentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = leave(store.project / ".pipeline.yaml.partial")
    monkeypatch.setattr("pytorch_designer.designer.document.document_journal._LOCK_SECONDS", 0.0)
    other = DocumentStore(store.project, state_folder=tmp_path / "state")
    with other.opened("pipeline.yaml"):
        assert remove_leftovers(store) == []
    assert remove_leftovers(store) == [left]
