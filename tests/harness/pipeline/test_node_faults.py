"""Faults that are injected into a node of a pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytorch_designer.cli.main import main
from pytorch_designer.errors import UnknownNameError, UnsupportedLocallyError
from pytorch_designer.harness.fault_injection.injected_faults import parse_faults
from pytorch_designer.harness.job.node import NodeState
from pytorch_designer.harness.pipeline.pipeline_request import prepare_pipeline
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.pipeline.reuse_forecast import forecast
from pytorch_designer.harness.reuse.reuse_cache import chosen_cache
from tests.harness.pipeline_files import FOLDER, node, write_pipeline

OPENS = "cat ${{inputs.data}}/* > /dev/null; echo 1 > ${{outputs.out}}/a.txt"


def pipeline(folder: Path) -> Path:
    (folder / "data").mkdir()
    (folder / "data" / "a.txt").write_text("a")
    data = {"type": "uri_folder", "path": "data"}
    return write_pipeline(folder, {"a": node(OPENS, inputs={"data": data}, outputs={"out": FOLDER})})


def test_the_node_runs_although_its_result_is_kept_and_its_result_is_not_kept(tmp_path: Path) -> None:
    path, cache = pipeline(tmp_path), chosen_cache()
    slow = {"a": parse_faults(["no-network"])}
    request = prepare_pipeline(path, run_folder=tmp_path / "none", cache=cache, faults=slow)
    assert forecast(request)["a"].reason == "runs with no-network"
    first = run_pipeline(path, run_folder=tmp_path / "1", cache=cache, faults=slow)
    second = run_pipeline(path, run_folder=tmp_path / "2", cache=cache)
    third = run_pipeline(path, run_folder=tmp_path / "3", cache=cache, faults=slow)
    fourth = run_pipeline(path, run_folder=tmp_path / "4", cache=cache)
    states = [run.nodes["a"].state for run in (first, second, third, fourth)]
    assert states == [NodeState.COMPLETED, NodeState.COMPLETED, NodeState.COMPLETED, NodeState.REUSED]
    assert third.nodes["a"].reason == "runs with no-network"


def test_nodes_and_outputs_that_are_not_there_are_named_before_anything_runs(tmp_path: Path) -> None:
    path = pipeline(tmp_path)
    for faults, error in (
        ({"b": parse_faults(["no-network"])}, "no node 'b'"),
        ({"a": parse_faults(["read-only-output=model"])}, "model"),
    ):
        with pytest.raises((UnknownNameError, UnsupportedLocallyError), match=error):
            prepare_pipeline(path, run_folder=tmp_path / "run", faults=faults)


def test_the_command_takes_them_by_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_pipeline(tmp_path, {"a": node("sleep 20"), "b": node("true")})
    assert main(["run", str(path), "--no-mlflow", "--fault", "a:kill-after=0.1"]) == 1
    assert "exit code 137" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["run", str(path), "--fault", "kill-after=0.1"])
    assert "in a pipeline it is --fault NODE:FAULT" in capsys.readouterr().err


def test_the_text_that_was_given_is_kept_whatever_the_file_says(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, {"a": node("true")})
    run_pipeline(path, run_folder=tmp_path / "run", source_text="# as it was\n")
    assert (tmp_path / "run" / "pipeline.source.yaml").read_text() == "# as it was\n"
