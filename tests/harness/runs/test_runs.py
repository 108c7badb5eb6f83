"""Runs in folders: listed, found by name, compared; their logs by offset and their metrics without MLflow."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytorch_designer.errors import FailedToWriteOutputsError, UnknownNameError, UnsupportedEnvironmentError
from pytorch_designer.harness.job.job_run import run_job
from pytorch_designer.harness.job.node import NodeResult, NodeState
from pytorch_designer.harness.job.run_store import open_run_store
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult
from pytorch_designer.harness.runs.log_reading import read_log
from pytorch_designer.harness.runs.run_comparison import compare_runs
from pytorch_designer.harness.runs.run_list import find_run, list_runs
from pytorch_designer.harness.runs.run_metrics import read_values
from pytorch_designer.mlflow_database import transaction
from tests.harness.fixture_types import MakeRequest, WriteComponent
from tests.harness.pipeline_files import component, node, write_pipeline, write_yaml
from tests.waiting import killed_at_last, wait_until


def _run(folder: Path, name: str, word: str = "one", command: str = "true") -> PipelineResult:
    write_yaml(folder / "c.yaml", component(command, inputs={"word": {"type": "string"}}))
    jobs = {"a": {"component": "c.yaml", "inputs": {"word": "${{parent.inputs.word}}"}}, "same": node("true")}
    path = write_pipeline(folder, jobs, inputs={"word": word})
    return run_pipeline(path, run_folder=folder / "runs" / name)


def test_runs_are_listed_the_latest_first_and_found_by_the_beginning_of_their_name(tmp_path: Path) -> None:
    _run(tmp_path, "first")
    second = _run(tmp_path, "second")
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "pipeline.json").write_text("{", encoding="utf-8")
    (tmp_path / "runs" / "other").mkdir()

    found = list_runs(tmp_path / "runs")

    assert [(run.name, run.result is None) for run in found] == [("second", False), ("first", False), ("broken", True)]
    assert find_run("sec") == find_run("second") == find_run(str(tmp_path / "runs" / "second")) == second
    assert list_runs(tmp_path / "nowhere") == []


@pytest.mark.parametrize(("name", "message"), [("x", "no run 'x'"), ("run", "2 runs have names")])
def test_a_run_that_is_not_one_is_named(tmp_path: Path, name: str, message: str) -> None:
    for run in ("run1", "run2"):
        _run(tmp_path, run)

    with pytest.raises(UnknownNameError, match=message):
        find_run(name)


def test_a_component_is_listed_as_a_run_of_one_node(tmp_path: Path, make_request: MakeRequest) -> None:
    run_job(make_request("exit 3", spec={"inputs": {"n": {"type": "integer", "default": 4}}}))

    (found,) = list_runs(tmp_path)

    assert found.result is not None
    assert (found.result.state, found.result.inputs) == ("failed", {"n": "4"})
    assert {name: one.state for name, one in found.result.nodes.items()} == {"sample": NodeState.FAILED}


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_a_component_whose_harness_was_killed_is_interrupted(tmp_path: Path, write_component: WriteComponent) -> None:
    path = write_component(f"touch {tmp_path}/started; sleep 60")
    program = (
        "import pathlib; from pytorch_designer.harness.job.job_run import JobRequest, run_job;"
        "from pytorch_designer.harness.schema.component_file import read_component;"
        f"run_job(JobRequest(read_component(pathlib.Path({str(path)!r})), pathlib.Path('run')))"
    )
    with killed_at_last(subprocess.Popen([sys.executable, "-c", program])):
        wait_until((tmp_path / "started").exists)
        assert find_run("run").state == "running"

    assert find_run("run").state == "interrupted"
    assert find_run("run").nodes["sample"].state is NodeState.INTERRUPTED


def test_a_second_job_is_kept_out_of_a_run_folder(tmp_path: Path, make_request: MakeRequest) -> None:
    refused: list[str] = []

    def start_another(rank: int, line: str) -> None:
        with pytest.raises(FailedToWriteOutputsError) as caught:
            run_job(make_request("true"))
        refused.append(caught.value.what)

    assert run_job(make_request("echo here"), start_another).has_succeeded
    assert refused == ["Another run uses this run folder."]


def test_runs_are_compared_by_what_differs(tmp_path: Path) -> None:
    runs = [_run(tmp_path, "one"), _run(tmp_path, "two", "other", command="exit 1")]

    rows = {(row.section, row.name): row for row in compare_runs(runs)}

    assert rows["input", "word"].values == ("one", "other")
    assert rows["node", "a"].values == tuple(run.nodes["a"] for run in runs)
    assert {row.name for row in rows.values() if row.differs} == {"word", "a"}


def test_metrics_are_read_from_the_database_alone(tmp_path: Path) -> None:
    store = open_run_store(tmp_path / "mlflow.db")
    run_id = store.start_run("x")
    values = [(0, 0.5, 0), (1, 0.25, 0), (2, 0.0, 1), (3, 1.7976931348623157e308, 0), (4, -1.7976931348623157e308, 0)]
    with transaction(store.database) as connection:
        connection.executemany(
            "INSERT INTO metrics (key, value, timestamp, run_uuid, step, is_nan) VALUES ('loss', ?, ?, ?, ?, ?)",
            [(value, 1000 * step, run_id, step, is_nan) for step, value, is_nan in values],
        )
        connection.execute("INSERT INTO params (key, value, run_uuid) VALUES ('rate', '0.1', ?)", (run_id,))

    found = read_values(store.database, [run_id, None, "unknown"])

    assert found.keys() == {run_id}
    points = found[run_id].metrics["loss"]
    assert [(point.step, point.time) for point in points] == [(step, step) for step in range(5)]
    assert [point.value for point in points[:2]] == [0.5, 0.25]
    assert math.isnan(points[2].value)
    assert [point.value for point in points[3:]] == [math.inf, -math.inf]
    assert found[run_id].last() == {"loss": -math.inf}
    assert found[run_id].parameters == {"rate": "0.1"}


def test_a_database_that_is_not_there_knows_nothing_and_a_broken_one_is_named(tmp_path: Path) -> None:
    assert read_values(None, ["x"]) == read_values(tmp_path / "none.db", ["x"]) == {}
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "broken.db").write_text("text " * 1000, encoding="utf-8")

    with pytest.raises(UnsupportedEnvironmentError):
        read_values(tmp_path / "broken.db", ["x"])


class TestLog:
    def _node(self, folder: Path, data: bytes, state: NodeState = NodeState.COMPLETED) -> NodeResult:
        (folder / "user_logs").mkdir()
        (folder / "user_logs" / "std_log.txt").write_bytes(data)
        return NodeResult("n", folder, state)

    def test_its_parts_together_are_all_of_it(self, tmp_path: Path) -> None:
        text = "one\ntwo \N{GREEK SMALL LETTER ALPHA}\r40 %\rthree\n\nlast without an end"
        node = self._node(tmp_path, text.encode())

        parts, offset = [], 0
        while True:
            part = read_log(node, offset=offset, max_bytes=14)
            if not part.text:
                break
            parts.append(part.text)
            offset = part.next_offset

        assert "".join(parts) == text
        assert all(part.endswith(("\n", "\r")) for part in parts[:-2])
        assert read_log(node, offset=10_000).text == ""

    def test_a_line_that_is_being_written_waits(self, tmp_path: Path) -> None:
        node = self._node(tmp_path, b"one\nhal", NodeState.RUNNING)

        part = read_log(node)

        assert (part.text, part.next_offset, part.num_bytes) == ("one\n", 4, 7)

    @pytest.mark.parametrize(
        ("offset", "text"), [(-3, ""), (-4, "two\n"), (-5, "two\n"), (-7, "two\n"), (-8, "one\ntwo\n")]
    )
    def test_its_end_begins_with_a_line(self, tmp_path: Path, offset: int, text: str) -> None:
        assert read_log(self._node(tmp_path, b"one\ntwo\n"), offset=offset).text == text

    def test_each_process_has_its_own(self, tmp_path: Path) -> None:
        two = {"type": "pytorch", "process_count_per_instance": 2}
        jobs = {"n": node("echo rank $RANK", distribution=two)}
        result = run_pipeline(write_pipeline(tmp_path, jobs), run_folder=tmp_path / "run")

        assert [read_log(result.nodes["n"], rank).text for rank in (0, 1)] == ["rank 0\n", "rank 1\n"]
        with pytest.raises(UnknownNameError, match="no log of a process 2"):
            read_log(result.nodes["n"], 2)
