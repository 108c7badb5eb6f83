"""`run_component`, `run_pipeline` and `lint` in one import, with defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import pytorch_designer
from pytorch_designer.errors import InvalidSpecError, NullOrEmptyError, UnknownNameError, UnsupportedLocallyError

COMPONENT = {
    "type": "command",
    "name": "count",
    "inputs": {"texts": {"type": "uri_folder"}, "least": {"type": "integer", "default": 1}},
    "outputs": {"counts": {"type": "uri_folder"}},
    "environment": "azureml:any@latest",
    "command": 'ls "${{inputs.texts}}" | wc -l > "${{outputs.counts}}/number"; echo least ${{inputs.least}}',
}
PIPELINE: dict[str, Any] = {
    "type": "pipeline",
    "inputs": {"texts": {"type": "uri_folder", "path": "./texts"}},
    "outputs": {"counts": {"type": "uri_folder"}},
    "jobs": {
        "count": {
            "type": "command",
            "component": "./count.yaml",
            "inputs": {"texts": "${{parent.inputs.texts}}"},
            "outputs": {"counts": "${{parent.outputs.counts}}"},
        }
    },
}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTORCH_DESIGNER_REUSE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("a")
    (tmp_path / "count.yaml").write_text(yaml.safe_dump(COMPONENT))
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(PIPELINE))


def test_component_runs_in_a_new_folder_and_leaves_no_database(tmp_path: Path) -> None:
    runs = [
        pytorch_designer.run_component("count.yaml", inputs={"texts": tmp_path / "texts"}, parameters={"least": 3})
        for _ in range(2)
    ]
    assert all(run.has_succeeded for run in runs)
    assert runs[0].log == "least 3\n"
    assert (runs[0].outputs["counts"] / "number").read_text().strip() == "1"
    assert runs[0].run_folder.parent == tmp_path / "runs"
    assert runs[0].run_folder != runs[1].run_folder
    assert not (tmp_path / "mlflow.db").exists()
    with pytest.raises(NullOrEmptyError, match="there is no"):
        pytorch_designer.run_component("count.yaml", inputs={"texts": tmp_path / "missing"})


def test_pipeline_is_reused_unless_asked_not_to(tmp_path: Path) -> None:
    states = []
    for reuse in (True, True, False):
        run = pytorch_designer.run_pipeline("pipeline.yaml", reuse=reuse)
        run.assert_succeeded()
        assert run.has_succeeded
        states.append(run.nodes["count"].state)
        assert (run.outputs["counts"] / "number").read_text().strip() == "1"
    assert states == ["completed", "reused", "completed"]
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.slow
def test_time_limit_ends_a_run(tmp_path: Path) -> None:
    (tmp_path / "slow.yaml").write_text(
        yaml.safe_dump({"type": "command", "name": "slow", "command": "sleep 60", "environment": "azureml:any@latest"})
    )
    with pytest.raises(TimeoutError, match="did not end within 1 s"):
        pytorch_designer.run_component("slow.yaml", timeout_seconds=1)


def test_lint_takes_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(COMPONENT | {"command": "echo ${{inputs.nothing}}"}))
    clean = pytorch_designer.lint("pipeline.yaml", tmp_path / "count.yaml")
    assert (clean.num_errors, clean.num_files) == (0, 2)
    found = pytorch_designer.lint(tmp_path)
    assert found.num_errors > 0
    assert {Path(str(finding.place.file)).name for finding in found.findings} == {"wrong.yaml"}
    with pytest.raises(InvalidSpecError, match="There is no such file"):
        pytorch_designer.lint("missing.yaml")
    with pytest.raises(UnknownNameError, match="There is no rule"):
        pytorch_designer.lint("pipeline.yaml", ignored_rules=["no-rule"])


def test_python_says_what_the_command_says(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "odd.yaml").write_text(yaml.safe_dump({**COMPONENT, "additional": 1}))
    job = {**PIPELINE["jobs"]["count"], "component": "./odd.yaml"}
    (tmp_path / "odd_pipeline.yaml").write_text(yaml.safe_dump({**PIPELINE, "jobs": {"count": job}}))
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump({**PIPELINE, "jobs": {"count": job, "other": {"type": "x"}}}))

    pipeline = pytorch_designer.run_pipeline("odd_pipeline.yaml")
    component = pytorch_designer.run_component("odd.yaml", inputs={"texts": tmp_path / "texts" / "a.txt"})

    assert any("additional" in line for line in pipeline.warnings)
    assert any("is a file" in line for line in component.warnings)
    assert set(pipeline.warnings) <= {record.getMessage() for record in caplog.records}
    with pytest.raises(UnsupportedLocallyError, match=r"wrong\.yaml:"):
        pytorch_designer.run_pipeline("wrong.yaml")
