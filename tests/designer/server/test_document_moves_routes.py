"""Renaming, deleting and bringing back over HTTP: other pages, runs, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from tests.designer.server.local_designer import LocalDesigner
from tests.harness.pipeline_files import FOLDER, node, write_pipeline


def reason_and_status(answer: Any) -> tuple[str, int]:
    return answer.json["error"]["reason"], answer.status


def created(designer: LocalDesigner, path: str = "first.yaml") -> dict[str, Any]:
    document: dict[str, Any] = designer.post("/api/documents", {"path": path, "template": "empty"}).json
    return document


def test_other_pages_are_told_and_the_old_address_leads_on(new_designer: LocalDesigner) -> None:
    document = created(new_designer)
    with new_designer.events() as events:
        answer = new_designer.post("/api/documents/first.yaml/rename", {"to": "second.yaml"})
        assert (answer.status, answer.json["path"]) == (200, "second.yaml")
        told = next(content for _, name, content in events if name == "moved")
    assert told == {"from": "first.yaml", "to": "second.yaml"}
    # A page that has not heard of it yet edits, and is told the name.
    edit = {"op": "set_pipeline", "key": "display_name", "value": "Changed"}
    sent = {"version": document["version"], "label": "Name", "edits": [edit]}
    answer = new_designer.post("/api/documents/first.yaml/edits", sent)
    assert (answer.status, answer.json["path"], answer.json["undo"]) == (200, "second.yaml", "Name")
    assert "display_name: Changed" in (new_designer.project / "second.yaml").read_text()
    assert not (new_designer.project / "first.yaml").exists()


def test_what_is_deleted_is_listed_and_comes_back(new_designer: LocalDesigner) -> None:
    document = created(new_designer)
    with new_designer.events() as events:
        answer = new_designer.post("/api/documents/first.yaml/delete", {"version": document["version"]})
        told = next(content for _, name, content in events if name == "removed")
    assert told == {"path": "first.yaml", "id": answer.json["id"]}
    project = new_designer.get("/api/project").json
    assert project["documents"] == []
    assert [(each["id"], each["path"]) for each in project["deleted"]] == [(answer.json["id"], "first.yaml")]
    assert new_designer.get("/api/documents/first.yaml").status == 404
    back = new_designer.post(f"/api/deleted/{answer.json['id']}")
    assert (back.status, back.json["version"]) == (201, document["version"])
    assert new_designer.get("/api/project").json["deleted"] == []
    again = new_designer.post(f"/api/deleted/{answer.json['id']}")
    assert reason_and_status(again) == ("no_version", 404)


@pytest.mark.parametrize(
    ("action", "sent", "refused"),
    [
        ("rename", {"to": "taken.yaml"}, ("exists", 409)),
        ("rename", {"to": "TAKEN.yaml"}, ("exists", 409)),
        ("rename", {"to": "nul.yaml"}, ("name", 400)),
        ("rename", {"to": "a/first.yaml"}, ("other_folder", 400)),
        ("rename", {"to": "../first.yaml"}, ("path_outside", 403)),
        ("rename", {"to": "/tmp/first.yaml"}, ("path_outside", 403)),
        ("delete", {"version": "0123456789abcdef"}, ("conflict", 409)),
    ],
)
def test_it_is_refused_by_name_and_nothing_changes(
    new_designer: LocalDesigner, action: str, sent: dict[str, str], refused: tuple[str, int]
) -> None:
    created(new_designer)
    created(new_designer, "taken.yaml")
    content = (new_designer.project / "first.yaml").read_bytes()
    assert reason_and_status(new_designer.post(f"/api/documents/first.yaml/{action}", sent)) == refused
    assert (new_designer.project / "first.yaml").read_bytes() == content
    assert reason_and_status(new_designer.post(f"/api/documents/none.yaml/{action}", sent))[1] >= 400


@pytest.mark.parametrize("path", ["nul.yaml", "FIRST.yaml", "new?.yaml", "con/new.yaml"])
def test_new_pipelines_get_names_that_every_system_takes(new_designer: LocalDesigner, path: str) -> None:
    created(new_designer)
    answer = new_designer.post("/api/documents", {"path": path, "template": "empty"})
    assert answer.status in {400, 409}
    assert [document["path"] for document in new_designer.get("/api/project").json["documents"]] == ["first.yaml"]


@pytest.mark.slow
def test_runs_go_with_their_pipeline_and_not_with_the_next_of_its_name(new_designer: LocalDesigner) -> None:
    project = new_designer.project
    path = write_pipeline(project, {"one": node("echo 1 > ${{outputs.out}}/a", outputs={"out": FOLDER})})
    run_pipeline(path, run_folder=project / "runs" / "before")
    assert new_designer.post(f"/api/documents/{path.name}/rename", {"to": "renamed.yaml"}).status == 200
    (project / path.name).write_text((project / "renamed.yaml").read_text(), encoding="utf-8")
    run_pipeline(path, run_folder=project / "runs" / "after")
    runs = new_designer.get("/api/runs").json["runs"]
    assert {run["run"]: run["document"] for run in runs} == {"before": "renamed.yaml", "after": path.name}
    cloned = new_designer.post("/api/runs/before/clone", {"path": "clone.yaml"})
    assert cloned.status == 201
    version = new_designer.get("/api/documents/renamed.yaml").json["version"]
    assert new_designer.post("/api/documents/renamed.yaml/delete", {"version": version}).status == 200
    assert (project / "runs" / "before" / "nodes").exists() or any((project / "runs" / "before").iterdir())
    assert new_designer.get("/api/runs/before").json["document"] == "renamed.yaml"


@pytest.mark.slow
def test_a_pipeline_that_runs_is_renamed_and_followed_and_not_deleted(new_designer: LocalDesigner) -> None:
    project = new_designer.project
    hold = project / "hold"
    hold.touch()
    wait = f"while [ -e {hold} ]; do sleep 0.1; done; echo 1 > ${{{{outputs.out}}}}/a"
    path = write_pipeline(project, {"one": node(wait, outputs={"out": FOLDER})})
    version = new_designer.get(f"/api/documents/{path.name}").json["version"]
    with new_designer.events() as events:
        run = new_designer.post("/api/runs", {"document": path.name, "version": version}).json["run"]
        _wait_for(events, run, "started")
        refused = new_designer.post(f"/api/documents/{path.name}/delete", {"version": version})
        assert reason_and_status(refused) == ("in_use", 409)
        assert new_designer.post(f"/api/documents/{path.name}/rename", {"to": "renamed.yaml"}).status == 200
        hold.unlink()
        ended = _wait_for(events, run, "ended")
    assert (ended["state"], ended["document"]) == ("completed", "renamed.yaml")
    assert new_designer.post("/api/documents/renamed.yaml/delete", {"version": version}).status == 200


def _wait_for(events: Any, run: str, kind: str) -> dict[str, Any]:
    told = (content for _, name, content in events if name == "run" and content["run"] == run)
    found: dict[str, Any] = next(content["summary"] for content in told if content["kind"] == kind)
    return found


def test_what_is_missing_for_a_submission_is_known_before_it(
    new_designer: LocalDesigner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SUBSCRIPTION", "RESOURCEGROUP", "WORKSPACE_NAME"):
        monkeypatch.delenv(f"AZUREML_ARM_{name}", raising=False)
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path / "azure"))
    project = new_designer.get("/api/project").json
    assert project["workspace"] is None
    assert project["submit_problem"].startswith("No workspace is named. Put the config.json")
    config = new_designer.project / "config.json"
    config.write_text("{}")
    assert new_designer.get("/api/project").json["submit_problem"].startswith("config.json does not name a workspace.")
    config.write_text('{"subscription_id": "s", "resource_group": "g", "workspace_name": "w"}')
    project = new_designer.get("/api/project").json
    assert (project["workspace"], project["has_login"]) == ("workspace w", False)
    assert project["submit_problem"] in {"", "azure-ai-ml and azure-identity are not installed."}
