"""Documents of a project: read, edited, undone, merged with changes by hand, and kept."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytorch_designer.designer.document.document_store import DocumentStore
from pytorch_designer.errors import DesignerError
from tests.designer.pipelines import AWKWARD, COMPONENTS, PIPELINE

RATE = {"op": "set_value", "node": "second", "port": "rate", "value": 0.25}
ROWS = {"op": "set_value", "node": "first", "port": "rows", "value": 7}


@pytest.fixture
def store(project: Path, tmp_path: Path) -> DocumentStore:
    (project / "pipeline.yaml").write_bytes(PIPELINE.encode())
    return DocumentStore(project, state_folder=tmp_path / "state")


def path_of(store: DocumentStore, name: str = "pipeline.yaml") -> Path:
    return store.project / name


def version(store: DocumentStore, name: str = "pipeline.yaml") -> str:
    return str(store.read(name)["version"])


def reason_of(error: pytest.ExceptionInfo[DesignerError]) -> str | None:
    return error.value.reason


@pytest.mark.slow
@pytest.mark.parametrize("name", AWKWARD)
def test_reading_changes_no_byte_and_undo_gives_the_exact_bytes_back(name: str, project: Path, tmp_path: Path) -> None:
    for mark in (b"", b"\xef\xbb\xbf"):
        content = mark + AWKWARD[name].encode()
        file = project / f"p{len(mark)}.yaml"
        file.write_bytes(content)
        file.chmod(0o640)
        store = DocumentStore(project, state_folder=tmp_path / "state")
        before = store.read(file.name)
        assert (file.read_bytes(), before["undo"], before["redo"]) == (content, None, None)
        edited = store.edit(file.name, before["version"], "Set rate", [RATE])
        changed = file.read_bytes()
        assert changed.startswith(mark)
        assert changed != content
        again = store.edit(file.name, edited["version"], "Set rows", [ROWS])
        undone = store.undo(file.name, again["version"])
        assert (file.read_bytes(), undone["undo"], undone["redo"]) == (changed, "Set rate", "Set rows")
        back = store.undo(file.name, undone["version"])
        assert (file.read_bytes(), back["undo"], back["version"]) == (content, None, before["version"])
        fresh = DocumentStore(project, state_folder=tmp_path / "state")  # as after a restart of the server
        assert fresh.redo(file.name, back["version"])["version"] == edited["version"]
        assert file.read_bytes() == changed
        assert file.stat().st_mode & 0o777 == 0o640


def test_a_new_edit_ends_what_could_be_done_again_and_all_versions_are_kept(store: DocumentStore) -> None:
    first = store.edit("pipeline.yaml", version(store), "One", [RATE])
    undone = store.undo("pipeline.yaml", first["version"])
    other = store.edit("pipeline.yaml", undone["version"], "Two", [ROWS])
    assert (other["undo"], other["redo"]) == ("Two", None)
    with pytest.raises(DesignerError) as error:
        store.redo("pipeline.yaml", other["version"])
    assert reason_of(error) == "no_redo"
    assert [found["label"] for found in store.versions("pipeline.yaml")] == ["Two", "One", "Opened"]
    number = store.versions("pipeline.yaml")[1]["id"]
    restored = store.restore("pipeline.yaml", other["version"], number)
    assert restored["version"] == first["version"]
    assert store.undo("pipeline.yaml", restored["version"])["version"] == other["version"]


def test_a_change_by_hand_is_a_step_that_can_be_undone(store: DocumentStore) -> None:
    store.read("pipeline.yaml")
    path_of(store).write_text(PIPELINE + "# by hand\n")
    found = store.read("pipeline.yaml")
    assert found["undo"] == "Change by hand"
    assert store.undo("pipeline.yaml", found["version"])["redo"] == "Change by hand"
    assert path_of(store).read_text() == PIPELINE


def test_edits_on_an_older_version_are_merged_where_they_touch_other_things(store: DocumentStore) -> None:
    seen = version(store)
    by_hand = PIPELINE.replace("rows: 5", "rows: 6  # by hand").replace("Two steps\n", "Three steps\n")
    path_of(store).write_text(by_hand)
    merged = store.edit("pipeline.yaml", seen, "Set rate", [RATE])
    assert path_of(store).read_text() == by_hand.replace("rate: 0.5", "rate: 0.25")
    assert merged["undo"] == "Set rate"


@pytest.mark.parametrize(
    ("replaced", "by", "edit"),
    [
        ("rate: 0.5", "rate: 0.75", RATE),
        ("rate: 0.5", "rate: 0.75", {"op": "remove_nodes", "names": ["second"]}),
        ("  first:", "  begin:", ROWS),
        ("  first:", "  begin:", {"op": "add_node", "reference": "train.yaml",
                                  "connect": {"port": "images", "from": {"node": "first", "port": "images"}}}),
        ("parent.jobs.first.outputs.images}}\n      rate", "parent.jobs.other.outputs.images}}\n      rate",
         {"op": "rename_node", "name": "first", "to": "begin"}),
        ("jobs:", "jobs: {", RATE),
    ],
)  # fmt: skip
def test_edits_against_a_change_by_hand_are_a_conflict_and_change_nothing(
    replaced: str, by: str, edit: dict[str, Any], store: DocumentStore
) -> None:
    seen = version(store)
    by_hand = PIPELINE.replace(replaced, by)
    path_of(store).write_text(by_hand)
    with pytest.raises(DesignerError) as error:
        store.edit("pipeline.yaml", seen, "Edit", [edit])
    assert reason_of(error) == ("conflict" if by != "jobs: {" else None)
    assert path_of(store).read_text() == by_hand


def test_undo_on_an_older_version_is_a_conflict(store: DocumentStore) -> None:
    edited = store.edit("pipeline.yaml", version(store), "Set rate", [RATE])
    path_of(store).write_text(PIPELINE + "# by hand\n")
    calls: list[Callable[[], object]] = [
        lambda: store.undo("pipeline.yaml", edited["version"]),
        lambda: store.write_text("pipeline.yaml", edited["version"], "x: 1\n"),
        lambda: store.restore("pipeline.yaml", edited["version"], "1"),
        lambda: store.edit("pipeline.yaml", "0123456789abcdef", "Set", [RATE]),
    ]
    for call in calls:
        with pytest.raises(DesignerError) as error:
            call()
        assert reason_of(error) == "conflict"
    assert path_of(store).read_text() == PIPELINE + "# by hand\n"


def test_edits_of_one_gesture_are_made_all_or_none_and_undone_in_one_step(store: DocumentStore) -> None:
    seen = version(store)
    with pytest.raises(DesignerError):
        store.edit("pipeline.yaml", seen, "Both", [RATE, {"op": "remove_nodes", "names": ["nobody"]}])
    assert path_of(store).read_text() == PIPELINE
    both = store.edit("pipeline.yaml", seen, "Both", [RATE, ROWS])
    assert store.undo("pipeline.yaml", both["version"])["version"] == seen


def test_named_versions_are_marked(store: DocumentStore) -> None:
    store.edit("pipeline.yaml", version(store), "Set rate", [RATE])
    (latest, opened) = store.name_version("pipeline.yaml", " good one ")
    assert (latest["name"], latest["label"], "name" in opened) == ("good one", "Set rate", False)


def test_the_text_panel_keeps_line_ends_and_may_write_what_does_not_parse(store: DocumentStore) -> None:
    path_of(store).write_bytes(b"\xef\xbb\xbf" + PIPELINE.replace("\n", "\r\n").encode())
    shown = store.text("pipeline.yaml")
    assert shown == PIPELINE.replace("\n", "\r\n")
    written = PIPELINE.replace("0.5", "0.6")
    after = store.write_text("pipeline.yaml", version(store), written)
    assert path_of(store).read_bytes() == b"\xef\xbb\xbf" + written.replace("\n", "\r\n").encode()
    broken = store.write_text("pipeline.yaml", after["version"], "type: pipeline\njobs: {a: [\n")
    assert broken["read_only"].startswith("The file is not valid YAML")
    assert [(fault["rule"], fault["line"]) for fault in broken["faults"]] == [("yaml-syntax", 3)]
    with pytest.raises(DesignerError):
        store.edit("pipeline.yaml", broken["version"], "Set", [RATE])
    assert store.undo("pipeline.yaml", broken["version"])["read_only"] is None


def test_documents_outside_of_the_project_and_other_files_are_refused(store: DocumentStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_text(PIPELINE)
    path_of(store, "link.yaml").symlink_to(outside)
    path_of(store, "up").symlink_to(tmp_path)
    for name in ("../outside.yaml", str(outside), "link.yaml", "up/outside.yaml", "a\\b.yaml", "", "a\0.yaml"):
        with pytest.raises(DesignerError) as error:
            store.read(name)
        assert reason_of(error) == "path_outside", name
    for name in ("notes.txt", ".git/x.yaml", "x"):
        with pytest.raises(DesignerError) as error:
            store.create(name, PIPELINE)
        assert reason_of(error) == "name", name
    with pytest.raises(DesignerError) as error:
        store.read("nothing.yaml")
    assert reason_of(error) == "no_document"
    assert outside.read_text() == PIPELINE


def test_a_new_document_is_made_once_with_the_files_of_built_in_components(project: Path, tmp_path: Path) -> None:
    texts = {name: textwrap.dedent(text) for name, text in COMPONENTS.items()}

    def write(folder: Path) -> None:
        (folder / "components").mkdir(exist_ok=True)
        for name, text in texts.items():
            (folder / "components" / f"{name}.yaml").write_text(text)

    built_in = SimpleNamespace(texts=lambda: texts, write=write)
    store = DocumentStore(project, built_in, tmp_path / "state")
    template = "type: pipeline\njobs:\n  a:\n    type: command\n    component: builtin:train  # trains\n"
    document = store.create("new/one.yaml", template)
    assert document["nodes"][0]["reference"] == "builtin:train"
    assert (project / "new" / "one.yaml").read_text() == template.replace("builtin:train", "../components/train.yaml")
    added = store.edit("new/one.yaml", document["version"], "Add", [{"op": "add_node", "reference": "builtin:prepare"}])
    assert added["nodes"][1]["component"]["display_name"] == "Prepare Images"
    assert added["nodes"][1]["component"]["is_builtin"]
    with pytest.raises(DesignerError) as error:
        store.create("new/one.yaml", "")
    assert reason_of(error) == "exists"
    with pytest.raises(DesignerError) as error:
        store.edit("new/one.yaml", added["version"], "Add", [{"op": "add_node", "reference": "builtin:nothing"}])
    assert reason_of(error) == "no_component"
    (project / "broken.yaml").write_text("type: pipeline\njobs: [\n")
    listed = store.list_documents()
    assert [(found["path"], found["num_nodes"]) for found in listed] == [("broken.yaml", 0), ("new/one.yaml", 2)]


def test_a_state_folder_that_cannot_be_written_lets_documents_be_read_and_refuses_edits(
    project: Path, tmp_path: Path
) -> None:
    (project / "pipeline.yaml").write_text(PIPELINE)
    (tmp_path / "state").write_text("a file")
    store = DocumentStore(project, state_folder=tmp_path / "state")
    document = store.read("pipeline.yaml")
    assert len(document["nodes"]) == 2
    with pytest.raises(DesignerError) as error:
        store.edit("pipeline.yaml", document["version"], "Set", [RATE])
    assert reason_of(error) == "no_state_folder"
    assert (project / "pipeline.yaml").read_text() == PIPELINE


def test_a_state_folder_that_cannot_be_made_is_named(project: Path) -> None:
    (project / "pipeline.yaml").write_text(PIPELINE)
    store = DocumentStore(project, state_folder=Path("/proc/self/none"))  # root may write anywhere else
    document = store.read("pipeline.yaml")
    assert (document["undo"], len(document["nodes"])) == (None, 2)
    with pytest.raises(DesignerError) as error:
        store.edit("pipeline.yaml", document["version"], "Set", [RATE])
    assert reason_of(error) == "no_state_folder"


def test_values_are_checked_as_they_are_typed(store: DocumentStore) -> None:
    def check(node: str, port: str, value: object) -> str | None:
        return store.check_value("pipeline.yaml", node, port, value)

    assert check("first", "rows", "4") is None
    assert check("first", "rows", "${{parent.inputs.rows}}") is None
    assert check("first", "rows", "") is None
    assert check("first", "rows", "0") == ("Input rows is 0, but must be at least 1. Give a whole number from 1 to 10.")
    assert check("first", "rows", "many") == "Input rows cannot be 'many'. Give a whole number from 1 to 10."
    assert check("first", "kind", "dotted") == "Input kind cannot be 'dotted'. Give one of plain, striped."
    assert check("first", "raw", "") == "raw needs a value."
    assert check("", "rows", "six") == "Input rows cannot be 'six'. Give a whole number."
    with pytest.raises(DesignerError) as error:
        check("first", "nothing", "1")
    assert reason_of(error) == "no_port"


def test_nodes_are_copied_as_they_are_written_and_pasted_into_another_document(store: DocumentStore) -> None:
    copied = store.nodes_text("pipeline.yaml", ["second"])
    assert copied.startswith("second:\n  type: command\n")
    assert "  rate: 0.5  # fast\n" in copied
    other = store.create("other.yaml", "type: pipeline\njobs: {}\n")
    paste = {"op": "paste_nodes", "yaml": copied, "position": {"x": 5, "y": 6}}
    pasted = store.edit("other.yaml", other["version"], "Paste", [paste])
    assert [(node["name"], node["position"]) for node in pasted["nodes"]] == [("second", {"x": 5, "y": 6})]
    assert pasted["nodes"][0]["inputs"] == {"rate": {"kind": "value", "value": 0.5}}


def test_the_version_of_a_file_tells_documents_from_components(store: DocumentStore) -> None:
    assert store.changed("pipeline.yaml") == version(store)
    path_of(store).write_text("jobs: [")  # broken by hand, and a document all the same
    assert store.changed("pipeline.yaml") == version(store)
    assert [store.changed(name) for name in ("train.yaml", "nothing.yaml", "../x.yaml")] == [None, None, None]


def test_two_servers_on_one_document_share_its_history(project: Path, tmp_path: Path) -> None:
    (project / "pipeline.yaml").write_text(PIPELINE)
    one, two = (DocumentStore(project, state_folder=tmp_path / "state") for _ in range(2))
    first = one.edit("pipeline.yaml", version(one), "One", [RATE])
    second = two.edit("pipeline.yaml", first["version"], "Two", [ROWS])
    assert one.read("pipeline.yaml")["undo"] == "Two"
    assert one.undo("pipeline.yaml", second["version"])["version"] == first["version"]
    assert two.read("pipeline.yaml")["redo"] == "Two"
