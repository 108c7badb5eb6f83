"""Reuse of nodes: changes that make a node run again, and those that do not."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.errors import InterruptedRunError
from pytorch_designer.harness.job.run_store import open_run_store
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult
from pytorch_designer.harness.reuse.reuse_cache import ReuseCache
from pytorch_designer.system.stop_requests import StopRequest
from tests.harness.pipeline_files import FOLDER, component, make_folder, node, text_of, write_pipeline, write_yaml

WRITE = (
    "cat ${{inputs.data}}/a code.txt > ${{outputs.out}}/x; echo ${{inputs.rate}} $LEVEL >> ${{outputs.out}}/x;"
    " mkdir -p outputs; echo report > outputs/report; echo said"
)


class Bench:
    """A pipeline of two nodes, the second of which reads what the first has written."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.cache = ReuseCache(top / "cache", 1 << 30)
        self.component = component(
            WRITE,
            inputs={"data": FOLDER, "rate": {"type": "number", "default": 1}},
            outputs={"out": FOLDER},
            code="code",
        )
        self.first: dict[str, Any] = {"component": "c.yaml", "inputs": {"data": "${{parent.inputs.data}}"}}
        self.second_command = "cat ${{inputs.d}}/x > ${{outputs.o}}/y"
        self.settings: dict[str, Any] = {}
        self.num_runs = 0
        make_folder(top / "data", a="data\n")
        make_folder(top / "code", **{"code.txt": "code\n"})

    def run(self, **options: Any) -> PipelineResult:
        write_yaml(self.top / "c.yaml", self.component)
        second = component(self.second_command, inputs={"d": FOLDER}, outputs={"o": FOLDER})
        jobs = {
            "first": self.first,
            "second": {
                "component": second,
                "inputs": {"d": "${{parent.jobs.first.outputs.out}}"},
                "outputs": {"o": "${{parent.outputs.result}}"},
            },
        }
        ports = {"inputs": {"data": {**FOLDER, "path": "data"}}, "outputs": {"result": FOLDER}}
        self.num_runs += 1
        options = {"run_folder": self.top / f"run{self.num_runs}", "cache": self.cache, **options}
        return run_pipeline(write_pipeline(self.top, jobs, **ports, settings=self.settings), **options)

    def states(self, **options: Any) -> list[str]:
        return [found.state.value for found in self.run(**options).nodes.values()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_what_has_not_changed_is_not_run_again_and_leaves_the_same(bench: Bench) -> None:
    first = bench.run()
    second = bench.run()

    assert [found.state.value for found in first.nodes.values()] == ["completed", "completed"]
    assert [found.state.value for found in second.nodes.values()] == ["reused", "reused"]
    assert text_of(second.outputs["result"] / "y") == text_of(first.outputs["result"] / "y") == "data\ncode\n1.0\n"
    node = second.nodes["first"]
    assert node.reused_from is not None
    assert (text_of(node.run_folder / "outputs" / "report"), text_of(node.log_files[0])) == ("report\n", "said\n")


def test_a_copy_elsewhere_is_the_same_input(bench: Bench) -> None:
    bench.run()
    shutil.copytree(bench.top / "data", bench.top / "copy")

    assert bench.states(inputs={"data": bench.top / "copy"}) == ["reused", "reused"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    ["input", "code", "parameter", "environment", "variable", "command", "output mode", "processes", "conda file"],
)
def test_a_change_makes_a_node_run_again(bench: Bench, change: str) -> None:
    bench.component["environment"] = {"image": "ubuntu", "conda_file": "conda.yaml"}
    (bench.top / "conda.yaml").write_text("name: x\n", encoding="utf-8")
    bench.run()

    if change == "input":
        (bench.top / "data" / "a").write_text("DATA\n", encoding="utf-8")
    elif change == "code":
        (bench.top / "code" / "code.txt").write_text("CODE\n", encoding="utf-8")
    elif change == "parameter":
        bench.first["inputs"]["rate"] = 2
    elif change == "environment":
        bench.first["environment"] = "azureml:other:1"
    elif change == "variable":
        bench.first["environment_variables"] = {"LEVEL": "3"}
    elif change == "command":
        bench.component["command"] += "; true"
    elif change == "output mode":
        bench.first["outputs"] = {"out": {"mode": "upload"}}
    elif change == "processes":
        bench.first["distribution"] = {"type": "pytorch"}
    else:
        (bench.top / "conda.yaml").write_text("name: y\n", encoding="utf-8")

    assert bench.states()[0] == "completed"


@pytest.mark.parametrize("change", ["name", "compute", "default", "shm"])
def test_what_does_not_matter_to_the_result_does_not_make_it_run_again(bench: Bench, change: str) -> None:
    bench.run()

    if change == "name":
        bench.component |= {"display_name": "Other", "version": 2, "description": "d"}
    elif change == "compute":
        bench.first["compute"] = "azureml:gpu"
    elif change == "default":
        bench.first["inputs"]["rate"] = "1.0"
    else:
        bench.first["resources"] = {"shm_size": "4g"}

    assert bench.states() == ["reused", "reused"]


def test_a_node_whose_input_came_out_equal_is_reused_though_another_made_it(bench: Bench) -> None:
    bench.run()
    bench.component["command"] += "; true"

    assert bench.states() == ["completed", "reused"]


def test_a_component_that_is_not_deterministic_always_runs(bench: Bench) -> None:
    bench.component["is_deterministic"] = False
    bench.run()

    assert bench.states() == ["completed", "reused"]


@pytest.mark.parametrize("way", ["argument", "settings"])
def test_a_forced_rerun_runs_everything_and_keeps_it(bench: Bench, way: str) -> None:
    bench.run()
    if way == "settings":
        bench.settings["force_rerun"] = True

    assert bench.states(force_rerun=way == "argument") == ["completed", "completed"]

    bench.settings.clear()
    assert bench.states() == ["reused", "reused"]


def test_what_runs_write_into_the_code_folder_is_no_code(bench: Bench) -> None:
    bench.component["code"] = "."
    shutil.move(bench.top / "code" / "code.txt", bench.top / "code.txt")
    options = {"store": open_run_store(bench.top / "mlflow.db"), "outputs": {"result": bench.top / "mine"}}
    bench.run(**options)

    assert bench.states(**options) == ["reused", "reused"]


def test_a_node_without_outputs_is_reused(bench: Bench) -> None:
    path = write_pipeline(bench.top, {"n": node("echo said")})

    states = [
        run_pipeline(path, run_folder=bench.top / name, cache=bench.cache).nodes["n"].state.value for name in ("a", "b")
    ]

    assert states == ["completed", "reused"]


def test_a_failure_is_not_kept(bench: Bench) -> None:
    bench.second_command = "exit 3"
    bench.run()

    assert bench.states() == ["reused", "failed"]


def test_without_a_cache_everything_runs(bench: Bench) -> None:
    bench.run()

    assert bench.states(cache=None) == ["completed", "completed"]


def test_an_output_that_holds_the_very_result_stays_as_it_is(bench: Bench) -> None:
    outputs = {"result": bench.top / "mine"}
    bench.run(outputs=outputs)
    before = (bench.top / "mine" / "y").stat().st_mtime_ns

    assert bench.states(outputs=outputs) == ["reused", "reused"]
    assert (bench.top / "mine" / "y").stat().st_mtime_ns == before


def test_an_output_of_the_user_that_holds_something_else_is_written_by_the_job_and_not_kept(bench: Bench) -> None:
    bench.run()
    make_folder(bench.top / "mine", other="x")

    result = bench.run(outputs={"result": bench.top / "mine"})

    assert result.nodes["second"].state.value == "completed"
    assert sorted(path.name for path in (bench.top / "mine").iterdir()) == ["other", "y"]
    bench.run()
    assert [path.name for path in (bench.top / "run3" / "named-outputs" / "result").iterdir()] == ["y"]


def test_nothing_of_an_earlier_run_in_the_same_folder_stays(bench: Bench) -> None:
    bench.second_command = "touch ${{outputs.o}}/old"
    bench.run(run_folder=bench.top / "run")
    bench.second_command = "touch ${{outputs.o}}/new"

    result = bench.run(run_folder=bench.top / "run")

    assert [path.name for path in result.outputs["result"].iterdir()] == ["new"]


def test_an_output_that_the_user_names_is_not_emptied_even_in_the_run_folder(bench: Bench) -> None:
    mine = make_folder(bench.top / "run" / "named-outputs" / "mine", other="x")

    bench.run(run_folder=bench.top / "run", outputs={"result": mine})

    assert sorted(path.name for path in mine.iterdir()) == ["other", "y"]


def test_an_interrupted_node_goes_on_from_what_it_has_written(bench: Bench) -> None:
    bench.second_command = (
        f"[ -e ${{{{outputs.o}}}}/half ] && exit 0; touch ${{{{outputs.o}}}}/half {bench.top}/started; sleep 60"
    )
    stop = StopRequest()

    def ask() -> None:
        while not (bench.top / "started").exists() and thread.is_alive():
            done.wait(0.02)
        stop.request()

    done = threading.Event()
    thread = threading.current_thread()
    asker = threading.Thread(target=ask)
    asker.start()
    with pytest.raises(InterruptedRunError):
        bench.run(run_folder=bench.top / "run", stop=stop, grace_seconds=1)
    asker.join(10)

    assert bench.states(run_folder=bench.top / "run") == ["reused", "completed"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # SQLAlchemy's, of what MLflow does
@pytest.mark.slow
def test_metrics_of_a_reused_node_are_those_of_the_run_that_made_it(bench: Bench) -> None:
    mlflow = pytest.importorskip("mlflow")
    bench.second_command = "python -c \"import mlflow; mlflow.log_metric('m', 0.5, step=2)\"; touch ${{outputs.o}}/y"
    store = open_run_store(bench.top / "mlflow.db")
    first = bench.run(store=store)

    second = bench.run(store=store)

    run_ids = [result.nodes["second"].run_id for result in (first, second)]
    assert second.nodes["second"].state.value == "reused"
    assert run_ids[0] != run_ids[1]
    run = mlflow.MlflowClient(tracking_uri=store.tracking_uri).get_run(run_ids[1])
    assert (run.data.metrics, run.info.status) == ({"m": 0.5}, "FINISHED")
    assert run.data.tags["pytorch_designer.reused_from_run"] == run_ids[0]
    assert run.data.tags["mlflow.parentRunId"] == second.run_id


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_an_input_that_cannot_be_hashed_is_not_reused(bench: Bench) -> None:
    make_folder(bench.top / "data" / "closed").chmod(0)

    assert bench.states() == ["completed", "completed"]
    assert bench.states() == ["completed", "reused"]


@pytest.mark.slow
def test_two_runs_at_a_time_share_a_cache(bench: Bench) -> None:
    bench.run()
    shutil.rmtree(bench.cache.folder)
    results: list[PipelineResult] = []
    path = bench.top / "pipeline.yaml"

    def work(name: str) -> None:
        results.append(run_pipeline(path, run_folder=bench.top / name, cache=bench.cache, stop=StopRequest()))

    threads = [threading.Thread(target=work, args=(f"at_once{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert [text_of(result.outputs["result"] / "y") for result in results] == ["data\ncode\n1.0\n"] * 3
    assert bench.states() == ["reused", "reused"]


def test_a_stop_is_heard_while_a_large_input_is_read(bench: Bench) -> None:
    with (bench.top / "data" / "large").open("wb") as stream:
        stream.truncate(1 << 40)  # without content: hours of reading, and no room on the disk
    stop = StopRequest()
    timer = threading.Timer(0.3, stop.request)
    timer.start()
    with pytest.raises(InterruptedRunError):
        bench.run(stop=stop)
    timer.join(120)
