"""Runs through the server: what is on the screen runs, goes on without the server, and is found again."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.designer.server.local_designer import LocalDesigner, local_designer
from tests.harness.pipeline_files import FOLDER, node, write_pipeline

SECONDS = 120.0


def start(designer: LocalDesigner, **order: Any) -> str:
    version = designer.get("/api/documents/pipeline.yaml").json["version"]
    answer = designer.post("/api/runs", {"document": "pipeline.yaml", "version": version, **order})
    assert answer.status == 201, answer.text
    return str(answer.json["run"])


def ended(designer: LocalDesigner, run: str) -> dict[str, Any]:
    """The run, when it has ended."""
    ends = time.monotonic() + SECONDS
    while time.monotonic() < ends:
        found: dict[str, Any] = designer.get(f"/api/runs/{run}").json
        if found["state"] != "running":
            return found
        time.sleep(0.05)
    raise AssertionError("the run goes on and on")


def wait_for(path: Path) -> str:
    """A command that ends when there is such a file."""
    return f"until [ -e {path} ]; do sleep 0.05; done"


def states(run: dict[str, Any]) -> dict[str, str]:
    return {name: found["state"] for name, found in run["nodes"].items()}


def two_nodes(folder: Path, first: str = "echo 1 > ${{outputs.out}}/a.txt", second: str = "true") -> Path:
    jobs = {
        "first": node(first, outputs={"out": FOLDER}),
        "second": node(second, inputs={"data": "${{parent.jobs.first.outputs.out}}"}),
    }
    return write_pipeline(folder, jobs)


@pytest.mark.slow
def test_a_run_is_started_shown_with_its_nodes_and_reused_the_second_time(new_designer: LocalDesigner) -> None:
    two_nodes(new_designer.project, second="echo 'epoch 2/4: 5 of 10 steps, 340 images/s'; cat ${{inputs.data}}/a.txt")
    run = ended(new_designer, start(new_designer))
    assert run["state"] == "completed"
    assert run["document"] == "pipeline.yaml"
    assert states(run) == {"first": "completed", "second": "completed"}
    log = new_designer.get(f"/api/runs/{run['run']}/logs/second/std_log.txt").json
    assert log["text"] == "epoch 2/4: 5 of 10 steps, 340 images/s\n1\n"
    assert log["ended"]
    again = ended(new_designer, start(new_designer))
    assert states(again) == {"first": "reused", "second": "reused"}
    assert again["num_reused"] == 2
    assert again["nodes"]["first"]["reused_from"] is not None
    forced = ended(new_designer, start(new_designer, force=True, only=["second"]))
    assert states(forced) == {"first": "reused", "second": "completed"}
    history = new_designer.get("/api/runs").json["runs"]
    assert [found["run"] for found in history] == [forced["run"], again["run"], run["run"]]
    assert new_designer.get("/api/runs?search=nothing").json == {"runs": []}
    assert len(new_designer.get("/api/runs?search=PIPELINE%20completed").json["runs"]) == 3
    rows = new_designer.get(f"/api/runs/compare?a={run['run']}&b={again['run']}").json["rows"]
    differing = {(row["kind"], row["node"]) for row in rows if row["differs"]}
    assert ("state", "first") in differing
    assert ("output", "first") not in differing


@pytest.mark.slow
def test_disabled_nodes_are_left_out_of_runs_and_forecasts(new_designer: LocalDesigner) -> None:
    path = two_nodes(new_designer.project, first="echo disabled > ${{outputs.out}}/a.txt")
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    jobs["off"] = {**node("exit 3"), "properties": {"designer.disabled": "true"}, "environment": 5}
    write_pipeline(new_designer.project, jobs)
    assert set(new_designer.get("/api/documents/pipeline.yaml/forecast").json["nodes"]) == {"first", "second"}
    assert states(ended(new_designer, start(new_designer))) == {"first": "completed", "second": "completed"}
    version = new_designer.get("/api/documents/pipeline.yaml").json["version"]
    refused = new_designer.post("/api/runs", {"document": "pipeline.yaml", "version": version, "only": ["off"]})
    assert (refused.status, refused.json["error"]["message"]) == (400, "The node off does not run: disabled.")


@pytest.mark.slow
def test_the_text_on_the_screen_runs_and_nothing_newer(new_designer: LocalDesigner) -> None:
    path = two_nodes(new_designer.project)
    shown = path.read_text(encoding="utf-8")
    run = start(new_designer)
    path.write_text(shown.replace("echo 1", "echo 2"), encoding="utf-8")
    assert ended(new_designer, run)["state"] == "completed"
    assert new_designer.get(f"/api/runs/{run}/document").text == shown
    assert (new_designer.project / "runs" / run / "nodes/first/named-outputs/out/a.txt").read_text() == "1\n"
    stale = new_designer.post("/api/runs", {"document": "pipeline.yaml", "version": "0" * 16})
    assert stale.status == 409
    assert stale.json["error"]["reason"] == "conflict"


def test_a_pipeline_with_faults_is_refused_with_all_of_them_and_leaves_no_run(new_designer: LocalDesigner) -> None:
    two_nodes(new_designer.project, first="true ${{inputs.nothing}}", second="true ${{inputs.neither}}")
    version = new_designer.get("/api/documents/pipeline.yaml").json["version"]
    answer = new_designer.post("/api/runs", {"document": "pipeline.yaml", "version": version})
    assert answer.status == 400
    assert {fault["node"] for fault in answer.json["error"]["faults"]} == {"first", "second"}
    assert new_designer.get("/api/runs").json == {"runs": []}
    assert not list((new_designer.project / "runs").glob("*"))


@pytest.mark.slow
def test_what_only_the_run_finds_is_told_too(new_designer: LocalDesigner) -> None:
    two_nodes(new_designer.project, first="echo never kept > ${{outputs.out}}/a.txt")
    version = new_designer.get("/api/documents/pipeline.yaml").json["version"]
    answer = new_designer.post("/api/runs", {"document": "pipeline.yaml", "version": version, "only": ["second"]})
    assert (answer.status, answer.json["error"]["reason"]) == (400, "no_result")
    assert not list((new_designer.project / "runs").glob("*"))


@pytest.mark.slow
def test_faults_are_injected_into_one_node_which_neither_reuses_nor_keeps(new_designer: LocalDesigner) -> None:
    two_nodes(new_designer.project, first="echo 1 > ${{outputs.out}}/a.txt; sleep 3; echo 2 > ${{outputs.out}}/b.txt")
    assert ended(new_designer, start(new_designer))["state"] == "completed"
    run = ended(new_designer, start(new_designer, faults={"first": ["kill-after=0.2"]}))
    assert states(run) == {"first": "failed", "second": "skipped"}
    assert run["nodes"]["first"]["reason"] == "runs with kill-after=0.2"
    assert run["nodes"]["first"]["exit_code"] == 137
    version = new_designer.get("/api/documents/pipeline.yaml").json["version"]
    for faults, reason in (({"first": ["kill-never"]}, "kill-never"), ({"third": ["no-network"]}, "third")):
        order = {"document": "pipeline.yaml", "version": version, "faults": faults}
        answer = new_designer.post("/api/runs", order)
        assert answer.status == 400
        assert reason in answer.json["error"]["message"]


@pytest.mark.slow
def test_one_node_is_canceled_or_all_of_them(new_designer: LocalDesigner) -> None:
    jobs = {"long": node("sleep 600"), "short": node("sleep 0.2")}
    write_pipeline(new_designer.project, jobs)
    run = start(new_designer)
    assert new_designer.post(f"/api/runs/{run}/cancel", {"node": "long"}).json == {"asked": True}
    assert states(ended(new_designer, run))["long"] == "canceled"
    run = start(new_designer, force=True)
    assert new_designer.post(f"/api/runs/{run}/cancel").json == {"asked": True}
    assert ended(new_designer, run)["state"] == "canceled"
    assert new_designer.post(f"/api/runs/{run}/cancel").json == {"asked": False}


@pytest.mark.slow
def test_a_named_error_of_a_node_is_shown_with_its_advice(new_designer: LocalDesigner) -> None:
    error = {
        "name": "InvalidDatasetError",
        "code": "0018",
        "what": "No images.",
        "where": "/data",
        "advice": "Add some.",
    }
    two_nodes(new_designer.project, first=f"echo '{json.dumps(error)}' > outputs/error_info.json; exit 1")
    run = ended(new_designer, start(new_designer))
    found = run["nodes"]["first"]["error"]
    assert (found["code"], found["message"], found["advice"]) == ("0018", "No images.", "Add some.")
    assert run["error"] == "first: No images."


@pytest.mark.slow
def test_a_run_goes_on_without_the_server_and_is_found_again(tmp_path: Path) -> None:
    project = tmp_path / "project"
    two_nodes(project, first=f"{wait_for(tmp_path / 'found')}; echo 1 > ${{{{outputs.out}}}}/a.txt")
    with local_designer(project, tmp_path / "state") as designer:
        run = start(designer)
        assert designer.get(f"/api/runs/{run}").json["state"] == "running"
    with local_designer(project, tmp_path / "state") as designer:
        assert designer.get(f"/api/runs/{run}").json["state"] == "running"
        (tmp_path / "found").touch()
        assert ended(designer, run)["state"] == "completed"


@pytest.mark.slow
def test_a_run_whose_program_was_killed_is_interrupted(new_designer: LocalDesigner) -> None:
    two_nodes(new_designer.project, first="sleep 600")
    run = start(new_designer)
    while states(new_designer.get(f"/api/runs/{run}").json)["first"] != "running":
        time.sleep(0.02)
    process = json.loads((new_designer.project / "runs" / run / "pipeline.json").read_text())["process_id"]
    os.kill(process, signal.SIGKILL)
    found = ended(new_designer, run)
    assert found["state"] == "interrupted"
    assert states(found) == {"first": "interrupted", "second": "canceled"}
    assert "killed" in found["nodes"]["first"]["error"]["message"]


@pytest.mark.slow
def test_the_pipeline_of_a_run_is_shown_and_cloned_into_its_folder(new_designer: LocalDesigner) -> None:
    path = two_nodes(new_designer.project)
    shown = path.read_text(encoding="utf-8")
    run = start(new_designer)
    ended(new_designer, run)
    version = new_designer.get("/api/documents/pipeline.yaml").json["version"]
    path.unlink()
    past = new_designer.get(f"/api/runs/{run}/pipeline").json
    assert [node["name"] for node in past["nodes"]] == ["first", "second"]
    assert (past["version"], past["faults"]) == (version, [])
    assert "clone it to edit it" in past["read_only"]
    answer = new_designer.post(f"/api/runs/{run}/clone", {"path": "clone.yaml"})
    assert answer.status == 201
    assert (new_designer.project / "clone.yaml").read_text(encoding="utf-8") == shown
    assert new_designer.post(f"/api/runs/{run}/clone", {"path": "clone.yaml"}).status == 409
    elsewhere = new_designer.post(f"/api/runs/{run}/clone", {"path": "sub/clone.yaml"})
    assert elsewhere.json["error"]["reason"] == "other_folder"


@pytest.mark.slow
def test_open_pages_are_told_of_runs_logs_and_files(new_designer: LocalDesigner, tmp_path: Path) -> None:
    has_shown_progress = tmp_path / "progress"
    first = f"echo one; sleep 0.6; echo 'epoch 1/2'; {wait_for(has_shown_progress)}; mkdir -p ${{{{outputs.out}}}}"
    path = two_nodes(new_designer.project, first=first)
    seen: list[tuple[str, dict[str, Any]]] = []
    with new_designer.events() as events:
        start(new_designer)
        for _, name, content in events:
            seen.append((name, content))
            if name == "run" and content.get("node") == "first" and content["state"].get("progress"):
                has_shown_progress.touch()
            if name == "run" and content["kind"] == "ended":
                break
        path.write_text(path.read_text(encoding="utf-8") + "# by hand\n", encoding="utf-8")
        last, name, content = next(event for event in events if event[1] == "document")
        assert content["path"] == "pipeline.yaml"
        (new_designer.project / "own.yaml").write_text("type: command\nname: own\ncommand: 'true'\n")
        assert next(event for event in events if event[1] == "palette")
    told = [content for name, content in seen if name == "run"]
    assert [content["kind"] for content in told][:1] == ["started"]
    assert [content["sequence"] for content in told] == list(range(1, len(told) + 1))
    firsts = [content["state"] for content in told if content.get("node") == "first"]
    assert [state["state"] for state in firsts][-1] == "completed"
    assert any(state["progress"] == {"text": "epoch 1 of 2", "fraction": 0.5} for state in firsts)
    logs = [content for name, content in seen if name == "log" and content["node"] == "first"]
    assert logs
    assert logs[-1]["size"] == len("one\nepoch 1/2\n")
    assert told[-1]["summary"]["state"] == "completed"
    with new_designer.events(last_event_id=last) as events:
        assert next(events)[1] == "palette", "what was missed comes again"
    with new_designer.events(last_event_id="of-an-earlier-server-7") as events:
        assert next(events)[1] == "reset"


@pytest.mark.slow
def test_ten_thousand_lines_a_second_of_eight_nodes_cost_a_page_a_few_events(new_designer: LocalDesigner) -> None:
    talk = "for i in $(seq 4); do yes 'a line of a log that goes on and on' | head -n 1250; sleep 0.25; done"
    write_pipeline(new_designer.project, {f"node{number}": node(f"echo {number}; {talk}") for number in range(8)})
    num_bytes = 0
    with new_designer.events() as events:
        run = start(new_designer)
        for _, name, content in events:
            num_bytes += len(json.dumps(content)) if name == "log" else 0
            if name == "run" and content["kind"] == "ended":
                break
    assert num_bytes < 100_000
    parts = []
    offset = 0
    while True:
        part = new_designer.get(f"/api/runs/{run}/logs/node3/std_log.txt?offset={offset}").json
        parts.append(part["text"])
        offset = part["next_offset"]
        if part["ended"]:
            break
    assert "".join(parts).count("\n") == 5001
