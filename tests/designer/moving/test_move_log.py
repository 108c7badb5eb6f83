"""The log of renamed and removed documents: damaged lines cost no other line."""

from __future__ import annotations

from pathlib import Path

from pytorch_designer.designer.moving.move_log import MoveLog


def test_a_torn_line_and_lines_of_other_versions_are_left_out(tmp_path: Path) -> None:
    log = MoveLog(tmp_path / "project", tmp_path / "state")
    assert log.removed() == []
    log.add_rename("a.yaml", "b.yaml")
    (file,) = (tmp_path / "state" / "projects").glob("*/moves.jsonl")
    with file.open("ab") as stream:
        stream.write(b'{"kind": "painted", "path": "b.yaml"}\n[]\n{"kind": "renamed", "sou')
    removed = log.add_removal("c.yaml", "0123456789abcdef", 0o644)
    log.add_rename("b.yaml", "d.yaml")
    for reader in (log, MoveLog(tmp_path / "project", tmp_path / "state")):
        assert reader.latest_path("a.yaml") == "d.yaml"
        assert reader.removed() == [removed]
    log.add_return(removed)
    assert log.removed() == []


def test_projects_have_logs_of_their_own(tmp_path: Path) -> None:
    MoveLog(tmp_path / "one", tmp_path / "state").add_rename("a.yaml", "b.yaml")
    assert MoveLog(tmp_path / "two", tmp_path / "state").latest_path("a.yaml") == "a.yaml"
