"""Documents that get another name, go, and come back: with their history, also after a kill."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pytorch_designer.designer.document.document_store import DocumentStore
from pytorch_designer.designer.moving.document_moves import DocumentMoves
from pytorch_designer.designer.moving.move_log import MoveLog
from pytorch_designer.errors import DesignerError
from tests.designer.pipelines import PIPELINE

OLD, NEW = "pipeline.yaml", "better name.yaml"
RATE = {"op": "set_value", "node": "second", "port": "rate", "value": 0.25}
OTHER = "type: pipeline\njobs: {}\n"


class Documents:
    """Documents of a project, as after a start of the server."""

    def __init__(self, project: Path, state: Path) -> None:
        self.store = DocumentStore(project, state_folder=state)
        self.log = MoveLog(project, state)
        self.moves = DocumentMoves(self.store, self.log)
        self.project = project

    def version(self, path: str = OLD) -> str:
        return str(self.store.read(path)["version"])

    def labels(self, path: str) -> list[str]:
        return [version["label"] for version in self.store.versions(path)]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def documents(project: Path, state: Path) -> Documents:
    (project / OLD).write_bytes(PIPELINE.encode())
    found = Documents(project, state)
    found.store.edit(OLD, found.version(), "Set rate", [RATE])
    return found


def refusal(call: object, *given: str) -> tuple[str | None, str]:
    with pytest.raises(DesignerError) as caught:
        call(*given)  # type: ignore[operator]  # a method
    return caught.value.reason, caught.value.what


def test_a_document_keeps_bytes_permissions_and_history_under_its_new_name(documents: Documents) -> None:
    (documents.project / OLD).chmod(0o640)
    content = (documents.project / OLD).read_bytes()
    renamed = documents.moves.rename(OLD, NEW)
    assert (renamed["path"], renamed["undo"]) == (NEW, "Set rate")
    assert not (documents.project / OLD).exists()
    assert (documents.project / NEW).read_bytes() == content
    assert (documents.project / NEW).stat().st_mode & 0o777 == 0o640
    undone = documents.store.undo(NEW, renamed["version"])
    assert (documents.project / NEW).read_bytes() == PIPELINE.encode()
    assert undone["redo"] == "Set rate"


def test_the_old_name_leads_to_the_new_one_until_it_is_used_again(documents: Documents) -> None:
    documents.moves.rename(OLD, "b.yaml")
    documents.moves.rename("b.yaml", "c.yaml")
    assert documents.log.latest_path(OLD) == "c.yaml"
    (documents.project / OLD).write_text(OTHER)
    documents.moves.rename(OLD, "d.yaml")
    assert documents.log.latest_path(OLD) == "d.yaml"
    assert documents.log.latest_path("b.yaml") == "c.yaml"
    assert documents.log.path_now(OLD, since=0.0) == "c.yaml"  # what was run before the first rename


def test_a_new_document_at_a_name_that_was_used_before_begins_without_history(documents: Documents) -> None:
    documents.moves.rename(OLD, NEW)
    created = documents.store.create(OLD, OTHER)
    assert (created["undo"], created["redo"]) == (None, None)
    documents.moves.remove(OLD, created["version"])
    again = documents.store.create(OLD, OTHER + "description: again\n")
    assert (again["undo"], documents.labels(OLD)[0]) == (None, "Opened")


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("other.yaml", "exists"),
        ("OTHER.yaml", "exists"),
        ("folder.yaml", "exists"),
        ("sub/pipeline.yaml", "other_folder"),
        ("../pipeline.yaml", "path_outside"),
        ("pipeline.txt", "name"),
        (".hidden.yaml", "name"),
        ("con.yaml", "name"),
        ("what?.yaml", "name"),
        ("name .yaml ", "name"),
        ("a" * 240 + ".yaml", "name"),
    ],
)
def test_names_that_will_not_do_are_refused_and_nothing_changes(documents: Documents, target: str, reason: str) -> None:
    (documents.project / "other.yaml").write_text(OTHER)
    (documents.project / "folder.yaml").mkdir()
    before = sorted(path.name for path in documents.project.iterdir())
    assert refusal(documents.moves.rename, OLD, target)[0] == reason
    assert sorted(path.name for path in documents.project.iterdir()) == before
    assert documents.store.read(OLD)["undo"] == "Set rate"
    assert documents.log.latest_path(OLD) == OLD


def test_upper_and_lower_case_of_a_name_can_be_changed(documents: Documents) -> None:
    assert documents.moves.rename(OLD, "Pipeline.yaml")["undo"] == "Set rate"
    names = {path.name for path in documents.project.iterdir()}
    assert "Pipeline.yaml" in names
    assert OLD not in names


def test_a_document_that_another_one_runs_is_neither_renamed_nor_deleted(documents: Documents) -> None:
    outer = "type: pipeline\njobs:\n  inner: {type: pipeline, component: file:./pipeline.yaml}\n"
    (documents.project / "outer.yaml").write_text(outer)
    assert refusal(documents.moves.rename, OLD, NEW) == (
        "in_use",
        "pipeline.yaml was not renamed: outer.yaml runs it as a component.",
    )
    assert refusal(documents.moves.remove, OLD, documents.version())[0] == "in_use"
    assert (documents.project / OLD).exists()


def test_a_deleted_document_comes_back_with_bytes_permissions_and_history(documents: Documents, state: Path) -> None:
    (documents.project / OLD).chmod(0o600)
    content = (documents.project / OLD).read_bytes()
    removed = documents.moves.remove(OLD, documents.version())
    assert not (documents.project / OLD).exists()
    fresh = Documents(documents.project, state)  # as after a restart of the server
    assert [found.path for found in fresh.moves.removed()] == [OLD]
    back = fresh.moves.bring_back(removed.removal)
    assert (documents.project / OLD).read_bytes() == content
    assert (documents.project / OLD).stat().st_mode & 0o777 == 0o600
    assert back["undo"] == "Set rate"
    assert fresh.moves.removed() == []
    assert refusal(fresh.moves.bring_back, removed.removal)[0] == "no_version"


def test_a_deleted_document_comes_back_beside_one_that_has_its_name(documents: Documents) -> None:
    content = (documents.project / OLD).read_bytes()
    removed = documents.moves.remove(OLD, documents.version())
    created = documents.store.create(OLD, OTHER)
    for number in range(60):  # more than the versions that are kept without a name
        created = documents.store.write_text(OLD, created["version"], f"{OTHER}description: '{number}'\n")
    assert refusal(documents.moves.bring_back, removed.removal)[0] == "exists"
    back = documents.moves.bring_back(removed.removal, "back.yaml")
    assert (documents.project / "back.yaml").read_bytes() == content
    assert back["undo"] is None


def test_a_document_renamed_over_the_history_of_a_deleted_one_keeps_both(documents: Documents) -> None:
    content = (documents.project / OLD).read_bytes()
    removed = documents.moves.remove(OLD, documents.version())
    documents.store.create("other.yaml", OTHER)
    renamed = documents.moves.rename("other.yaml", OLD)
    assert renamed["undo"] is None
    documents.moves.bring_back(removed.removal, "back.yaml")
    assert (documents.project / "back.yaml").read_bytes() == content


def test_a_file_that_was_changed_by_hand_is_not_deleted(documents: Documents) -> None:
    version = documents.version()
    (documents.project / OLD).write_text(OTHER)
    assert refusal(documents.moves.remove, OLD, version)[0] == "conflict"
    assert (documents.project / OLD).read_text() == OTHER
    assert documents.moves.removed() == []


def test_a_file_that_was_removed_by_hand_is_written_again_as_it_was_seen_last(documents: Documents) -> None:
    content = (documents.project / OLD).read_bytes()
    assert refusal(documents.moves.write_again, OLD)[0] == "exists"
    (documents.project / OLD).unlink()
    assert documents.moves.write_again(OLD)["undo"] == "Set rate"
    assert (documents.project / OLD).read_bytes() == content
    assert refusal(documents.moves.write_again, "never.yaml")[0] == "no_version"


def test_links_are_left_to_the_folder(documents: Documents) -> None:
    (documents.project / "link.yaml").symlink_to(OLD)
    assert refusal(documents.moves.rename, "link.yaml", NEW)[0] == "link"
    assert refusal(documents.moves.remove, "link.yaml", documents.version())[0] == "link"
    assert refusal(documents.moves.rename, OLD, "link.yaml")[0] == "exists"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root writes into every folder")
def test_a_folder_that_cannot_be_written_is_named_and_all_stays(documents: Documents) -> None:
    documents.project.chmod(0o500)
    try:
        _, renaming = refusal(documents.moves.rename, OLD, NEW)
        _, deleting = refusal(documents.moves.remove, OLD, documents.version())
    finally:
        documents.project.chmod(0o700)
    assert renaming == "The document could not be renamed: Permission denied."
    assert deleting == "The document could not be deleted: Permission denied."
    assert documents.store.read(OLD)["undo"] == "Set rate"
    assert documents.moves.removed() == []


@pytest.mark.parametrize("failing", ["link", "unlink"])
def test_what_fails_midway_leaves_document_history_and_runs_where_they_were(
    documents: Documents, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    owner = os if failing == "link" else Path
    original = getattr(owner, failing)

    def fail(path: Path, *given: object, **more: object) -> None:
        if Path(path).name == OLD:
            raise PermissionError(13, "Permission denied")
        original(path, *given, **more)

    monkeypatch.setattr(owner, failing, fail)
    assert refusal(documents.moves.rename, OLD, NEW)[1] == "The document could not be renamed: Permission denied."
    monkeypatch.undo()
    assert (documents.project / OLD).exists()
    assert not (documents.project / NEW).exists()
    assert documents.store.read(OLD)["undo"] == "Set rate"
    assert documents.log.path_now(OLD, since=0.0) == OLD


def test_a_mount_without_hard_links_will_do(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", fail)
    documents.store.create("new.yaml", OTHER)
    assert documents.moves.rename(OLD, NEW)["undo"] == "Set rate"
    assert refusal(documents.moves.rename, NEW, "new.yaml")[0] == "exists"


_KILLED = """
    import os, sys
    from pathlib import Path
    from tests.designer.moving.test_document_moves import Documents

    project, state, what, left = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    documents = Documents(project, state)
    version = documents.version("pipeline.yaml")

    def counted(event, given):
        global left
        writes = event in {"os.link", "os.rename", "os.remove"}
        if event == "open" and isinstance(given[1], str):
            writes = given[1][0] in "wax"
        if writes:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), 9)

    sys.addaudithook(counted)
    if what == "rename":
        documents.moves.rename("pipeline.yaml", "new.yaml")
    else:
        documents.moves.remove("pipeline.yaml", version)
"""


@pytest.mark.slow
@pytest.mark.parametrize("what", ["rename", "remove"])
def test_a_kill_at_any_file_operation_loses_neither_text_nor_history(
    documents: Documents, state: Path, what: str
) -> None:
    content = (documents.project / OLD).read_bytes()
    killed = 0
    for count in range(60):
        (documents.project / "new.yaml").unlink(missing_ok=True)
        if not (documents.project / OLD).exists():
            break
        command = [sys.executable, "-c", textwrap.dedent(_KILLED), str(documents.project), str(state), what, str(count)]
        status = subprocess.run(command, check=False, cwd=Path(__file__).parents[3]).returncode
        found = Documents(documents.project, state)
        places = [path for path in (OLD, "new.yaml") if (documents.project / path).exists()]
        for removed in found.moves.removed() if what == "remove" else []:
            found.moves.bring_back(removed.removal)
            places = [OLD]
        assert places, f"neither name is there after {count} operations"
        assert (documents.project / places[-1]).read_bytes() == content
        assert any(found.store.read(path)["undo"] == "Set rate" for path in places)
        if status == 0:
            break
        assert status == -9
        killed += 1
    assert killed >= 2
    if what == "rename":
        assert places == ["new.yaml"]
