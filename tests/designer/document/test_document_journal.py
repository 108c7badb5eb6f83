"""Journals: bounded, unharmed by kills at any write, and never in the way of the document when they are damaged."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pytorch_designer.designer.document.document_journal import JOURNAL_FILE, MAX_VERSIONS, DocumentJournal
from pytorch_designer.designer.document.document_store import DocumentStore
from tests.designer.pipelines import PIPELINE

KILLED = textwrap.dedent(
    '''
    """Makes an edit in a child process that dies at its n-th change to the disk, for each n until it gets through."""
    import os, shutil, signal, sys
    from pathlib import Path
    from pytorch_designer.designer.document.document_store import DocumentStore

    original, folder, action = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    EDIT = {"op": "set_value", "node": "second", "port": "rate", "value": 0.25}

    def change(n):
        shutil.copytree(original, folder)
        store = DocumentStore(folder / "project", state_folder=folder / "state")
        file = folder / "project" / "pipeline.yaml"
        before = store.read("pipeline.yaml")
        if action == "undo":
            before = store.edit("pipeline.yaml", before["version"], "Earlier", [EDIT])
        old = file.read_bytes()
        child = os.fork()
        if child == 0:
            count = 0
            def hook(event, args):
                nonlocal count
                writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wxa")
                if writes or event in {"os.rename", "os.remove", "os.link", "os.chmod", "os.mkdir"} or event == "fsync":
                    count += 1
                    if count == n:
                        os.kill(os.getpid(), signal.SIGKILL)
            sys.addaudithook(hook)
            flush = os.fsync
            def fsync(descriptor):
                sys.audit("fsync")
                flush(descriptor)
            os.fsync = fsync
            if action == "undo":
                store.undo("pipeline.yaml", before["version"])
            else:
                store.edit("pipeline.yaml", before["version"], "Set", [EDIT])
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        new = file.read_bytes()
        fresh = DocumentStore(folder / "project", state_folder=folder / "state")
        found = fresh.read("pipeline.yaml")
        assert file.read_bytes() == new
        rate = "0.25" if found["nodes"][1]["inputs"]["rate"]["value"] == 0.25 else "0.5"
        again = fresh.edit("pipeline.yaml", found["version"], "After", [{**EDIT, "value": 0.75}])
        assert again["undo"] == "After"
        while again["undo"]:
            again = fresh.undo("pipeline.yaml", again["version"])
        first = again["nodes"][1]["inputs"]["rate"]["value"]
        shutil.rmtree(folder)
        return status, rate, new == old, first

    n = 1
    while True:
        status, rate, is_old, first = change(n)
        print(n, status, rate, is_old, first)
        if status == 0:
            break
        n += 1
    '''
)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills need POSIX")
@pytest.mark.parametrize("action", ["edit", "undo"])
def test_a_kill_at_any_write_leaves_old_or_new_text_and_a_journal(action: str, project: Path, tmp_path: Path) -> None:
    (project / "pipeline.yaml").write_text(PIPELINE)
    original = tmp_path / "original"
    original.mkdir()
    project.rename(original / "project")
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    ended = subprocess.run(
        [sys.executable, script, original, tmp_path / "work", action],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr
    rows = [line.split() for line in ended.stdout.splitlines()]
    killed = rows[:-1]
    assert len(killed) >= 5
    assert all(int(status) == 9 for _, status, *_ in killed)
    old, new = ("0.5", "0.25") if action == "edit" else ("0.25", "0.5")
    assert rows[-1][2:4] == [new, "False"]
    for _, _, rate, is_old, first in rows:
        assert rate == (old if is_old == "True" else new)
        assert first == "0.5"
    states = [is_old for *_, is_old, _ in killed]
    assert states == sorted(states, reverse=True)  # the old text, and from one moment on the new


def test_an_edit_that_was_killed_before_it_was_written_can_be_done_again(project: Path, tmp_path: Path) -> None:
    file = project / "pipeline.yaml"
    file.write_text(PIPELINE)
    store = DocumentStore(project, state_folder=tmp_path / "state")
    edit = {"op": "set_value", "node": "second", "port": "rate", "value": 0.25}
    edited = store.edit("pipeline.yaml", store.read("pipeline.yaml")["version"], "Set rate", [edit])
    new = file.read_bytes()
    file.write_text(PIPELINE)  # as if the kill came between the journal and the rename
    found = DocumentStore(project, state_folder=tmp_path / "state").read("pipeline.yaml")
    assert (found["undo"], found["redo"]) == (None, "Set rate")
    assert store.redo("pipeline.yaml", found["version"])["version"] == edited["version"]
    assert file.read_bytes() == new


def journal_of(state: Path, document: Path) -> DocumentJournal:
    (journal,) = state.rglob(JOURNAL_FILE)
    return DocumentJournal(journal.parent, document)


def edited_often(store: DocumentStore, num_edits: int) -> str:
    version = str(store.read("pipeline.yaml")["version"])
    for number in range(num_edits):
        edit = {"op": "set_value", "node": "second", "port": "rate", "value": number + 1.5}
        version = store.edit("pipeline.yaml", version, f"Set {number}", [edit])["version"]
    return version


@pytest.mark.slow
def test_50_versions_are_kept_with_those_that_have_names(project: Path, tmp_path: Path) -> None:
    (project / "pipeline.yaml").write_text(PIPELINE)
    store = DocumentStore(project, state_folder=tmp_path / "state")
    store.read("pipeline.yaml")
    store.name_version("pipeline.yaml", "the first")
    journal_alone = journal_of(tmp_path / "state", project / "pipeline.yaml")
    for number in range(4 * MAX_VERSIONS + 10):
        content = PIPELINE.replace("0.5", f"{number}.5").encode()
        with journal_alone.locked():
            journal_alone.record_edit(content, f"Set {number}")
    (project / "pipeline.yaml").write_bytes(content)
    versions = store.versions("pipeline.yaml")
    assert len(versions) <= 2 * MAX_VERSIONS
    assert versions[-1]["name"] == "the first"
    (journal,) = (tmp_path / "state").rglob(JOURNAL_FILE)
    assert journal.stat().st_size < 4 * MAX_VERSIONS * len(PIPELINE) * 2
    steps = 0
    document = store.read("pipeline.yaml")
    while document["undo"]:
        document, steps = store.undo("pipeline.yaml", document["version"]), steps + 1
    assert steps >= MAX_VERSIONS - 1
    restored = store.restore("pipeline.yaml", document["version"], versions[-1]["id"])
    assert (project / "pipeline.yaml").read_text() == PIPELINE
    assert restored["undo"] == "Restore “the first”"


@pytest.mark.parametrize("damage", ["torn", "flipped", "cut", "empty", "binary", "line lost"])
def test_a_damaged_journal_keeps_the_document_and_what_can_be_read_of_it(
    damage: str, project: Path, tmp_path: Path
) -> None:
    file = project / "pipeline.yaml"
    file.write_text(PIPELINE)
    edited_often(DocumentStore(project, state_folder=tmp_path / "state"), 3)
    content = file.read_bytes()
    (journal,) = (tmp_path / "state").rglob(JOURNAL_FILE)
    whole = journal.read_bytes()
    lines = whole.splitlines(keepends=True)
    damaged = {
        "torn": whole[:-10],
        "flipped": whole[:100] + bytes([whole[100] ^ 1]) + whole[101:],
        "cut": whole[50:],
        "empty": b"",
        "binary": bytes(range(256)) * 2,
        "line lost": b"".join([lines[0], *lines[2:]]),
    }[damage]
    journal.write_bytes(damaged)
    store = DocumentStore(project, state_folder=tmp_path / "state")
    found = store.read("pipeline.yaml")
    assert file.read_bytes() == content
    labels = [version["label"] for version in store.versions("pipeline.yaml")]
    assert ("Set 0" in labels) is (damage in {"torn", "flipped", "cut"})
    edit = {"op": "set_value", "node": "second", "port": "rate", "value": 9.5}
    after = store.edit("pipeline.yaml", found["version"], "After", [edit])
    assert store.undo("pipeline.yaml", after["version"])["version"] == found["version"]
    assert file.read_bytes() == content
    aside = list(journal.parent.glob("damaged-*.jsonl"))
    assert [path.read_bytes() for path in aside] == ([damaged] if damage in {"flipped", "cut", "binary"} else [])
