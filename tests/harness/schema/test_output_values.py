"""Outputs of simple types: values that a job hands on to other nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.errors import FailedToWriteOutputsError, InvalidSpecError
from pytorch_designer.harness.job.job_run import JobRequest, run_job
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.reuse.reuse_cache import open_cache
from pytorch_designer.harness.schema.component_file import read_component
from pytorch_designer.harness.schema.specification import OutputSpec
from pytorch_designer.harness.schema.values import read_output_value
from tests.harness.pipeline_files import component, node, text_of, write_pipeline, write_yaml

VALUE_OF_FIRST = "${{parent.jobs.first.outputs.v}}"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("boolean", "true\n", True),
        ("boolean", "False", False),
        ("integer", " 7 \r\n", 7),
        ("number", "1e-3\n", 0.001),
        ("string", "two words\n", "two words"),
        ("string", "", ""),
    ],
)
def test_the_text_of_the_file_is_the_value(tmp_path: Path, kind: str, text: str, value: object) -> None:
    (tmp_path / "v").write_text(text)
    assert read_output_value(OutputSpec("v", kind), tmp_path / "v") == value


@pytest.mark.parametrize(
    ("kind", "written", "said"),
    [
        ("boolean", b"maybe", "wrote 'maybe', which is not a value of this type"),
        ("integer", b"2.5", "wrote '2.5'"),
        ("number", b"nan", "wrote 'nan'"),
        ("string", b"\xff\xfe", "not text in UTF-8"),
        ("integer", None, r"For its output v \(integer\) the job wrote no file"),
    ],
)
def test_a_job_without_a_usable_value_has_failed(tmp_path: Path, kind: str, written: bytes | None, said: str) -> None:
    command = "true"
    if written is not None:
        (tmp_path / "prepared").write_bytes(written)
        command = f'cp {tmp_path}/prepared "${{{{outputs.v}}}}"'
    file = write_yaml(tmp_path / "c.yaml", component(command, outputs={"v": {"type": kind, "is_control": True}}))
    with pytest.raises(FailedToWriteOutputsError, match=said):
        run_job(JobRequest(read_component(file), tmp_path / "run"))


@pytest.mark.parametrize("mode", ["rw_mount", "upload"])
def test_another_node_gets_the_value_and_not_the_path(tmp_path: Path, mode: str) -> None:
    jobs = {
        "first": node('echo 41 > "${{outputs.v}}"', outputs={"v": {"type": "integer", "mode": mode}}),
        "second": node(
            "echo ${{inputs.n}} ${{inputs.s}} $V > ${{outputs.out}}/x",
            inputs={"n": VALUE_OF_FIRST, "s": f"n={VALUE_OF_FIRST}"},
            outputs={"out": None},
            environment_variables={"V": VALUE_OF_FIRST},
        ),
    }
    result = run_pipeline(write_pipeline(tmp_path, jobs), run_folder=tmp_path / "run")
    assert text_of(result.nodes["second"].outputs["out"] / "x") == "41 n=41 41\n"


def test_an_equal_value_lets_a_node_be_reused(tmp_path: Path) -> None:
    def states(command: str, folder: str) -> list[str]:
        jobs = {
            "first": node(command, outputs={"v": {"type": "integer"}}),
            "second": node("test ${{inputs.n}} -gt 0", inputs={"n": VALUE_OF_FIRST}),
        }
        file = write_pipeline(tmp_path, jobs)
        cache = open_cache(tmp_path / "cache", 1 << 30)
        return [
            found.state.value for found in run_pipeline(file, run_folder=tmp_path / folder, cache=cache).nodes.values()
        ]

    assert states('echo 1 > "${{outputs.v}}"', "a") == ["completed", "completed"]
    assert states('echo 1 | cat > "${{outputs.v}}"', "b") == ["completed", "reused"]
    assert states('echo 2 > "${{outputs.v}}"', "c") == ["completed", "completed"]


def test_a_value_is_no_data(tmp_path: Path) -> None:
    consumer: dict[str, Any] = component("ls ${{inputs.d}}", inputs={"d": {"type": "uri_folder"}})
    jobs = {
        "first": node("echo 1 > ${{outputs.v}}", outputs={"v": {"type": "integer"}}),
        "second": {"type": "command", "component": consumer, "inputs": {"d": VALUE_OF_FIRST}},
    }
    with pytest.raises(InvalidSpecError, match="v is integer, and d expects uri_folder"):
        run_pipeline(write_pipeline(tmp_path, jobs), run_folder=tmp_path / "run")
