"""What the page asks for all the time: that there is none yet is an answer, and no error in the browser's console."""

from __future__ import annotations

import yaml

from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.pipeline.pipeline_state import SOURCE_FILE
from tests.designer.server.local_designer import LocalDesigner
from tests.harness.pipeline_files import FOLDER, node, write_pipeline

DOCUMENT = "/api/documents/pipeline.yaml"


def test_a_pipeline_that_cannot_run_has_no_forecast_and_says_why(new_designer: LocalDesigner) -> None:
    write_pipeline(new_designer.project, {"first": node("true ${{inputs.nothing}}")})
    answer = new_designer.get(f"{DOCUMENT}/forecast")
    assert (answer.status, answer.json["nodes"]) == (200, None)
    assert "nothing" in answer.json["problem"]
    write_pipeline(new_designer.project, {"first": node("true")})
    answer = new_designer.get(f"{DOCUMENT}/forecast")
    assert (set(answer.json["nodes"]), answer.json["problem"]) == ({"first"}, "")


def test_a_pipeline_without_code_says_why(new_designer: LocalDesigner) -> None:
    jobs = {"first": node("true"), "choice": {"type": "if_else", "condition": "true", "true_block": "first"}}
    path = write_pipeline(new_designer.project, jobs)
    answer = new_designer.get(f"{DOCUMENT}/sdk")
    assert (answer.status, answer.json["code"]) == (200, None)
    assert "if_else" in answer.json["problem"]
    path.write_text(yaml.safe_dump({"type": "pipeline", "jobs": {"first": node("true")}}), encoding="utf-8")
    assert "def " in new_designer.get(f"{DOCUMENT}/sdk").json["code"]


def test_a_document_that_is_not_there_is_an_error(new_designer: LocalDesigner) -> None:
    assert new_designer.get("/api/documents/gone.yaml/sdk").status == 404


def test_data_that_are_not_there_or_elsewhere_are_said_to_be(new_designer: LocalDesigner) -> None:
    named = {"type": "uri_folder", "path": "azureml:photos:1"}
    path = write_pipeline(new_designer.project, {"first": node("true")})
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**content, "inputs": {"photos": named}}), encoding="utf-8")
    for asked, told in (("azureml:photos:1", "not on this machine"), ("images", "no such file")):
        answer = new_designer.get(f"/api/preview?document=pipeline.yaml&path={asked}")
        assert (answer.status, answer.json["kind"]) == (200, "missing"), asked
        assert told in answer.json["message"]
    assert new_designer.get("/api/preview?document=pipeline.yaml&path=azureml:other:1").status == 403


def test_a_run_whose_text_is_not_kept_has_no_pipeline(new_designer: LocalDesigner) -> None:
    path = write_pipeline(new_designer.project, {"first": node("true", outputs={"out": FOLDER})})
    result = run_pipeline(path, run_folder=new_designer.project / "runs" / "older")
    assert new_designer.get("/api/runs/older/pipeline").json["nodes"][0]["name"] == "first"
    (result.run_folder / SOURCE_FILE).unlink()
    answer = new_designer.get("/api/runs/older/pipeline")
    assert (answer.status, answer.json) == (200, None)
