"""`pytorch-designer run` with a pipeline, and `cache`, as a user sees them: in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.pipeline_files import FOLDER, component, make_folder, node, text_of, write_pipeline, write_yaml
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

PROGRAM = (sys.executable, "-m", "pytorch_designer")
COPY = "cp ${{inputs.d}}/a ${{outputs.o}}/a; echo ${{inputs.word}} >> ${{outputs.o}}/a; echo copied"


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)], capture_output=True, text=True, encoding="utf-8", timeout=100, check=False
    )


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    make_folder(tmp_path / "data", a="text\n")
    inputs = {"d": "${{parent.inputs.data}}", "word": "${{parent.inputs.word}}"}
    jobs = {"copy": node(COPY, inputs=inputs, outputs={"o": "${{parent.outputs.result}}"})}
    ports = {"inputs": {"data": {**FOLDER, "path": "data"}, "word": "w"}, "outputs": {"result": FOLDER}}
    return write_pipeline(tmp_path, jobs, display_name="Copy a file", **ports)


def test_a_pipeline_runs_and_says_where_everything_is(tmp_path: Path, pipeline: Path) -> None:
    make_folder(tmp_path / "other", a="other\n")

    done = _run("run", pipeline, "--input", "data=other", "--param", "word=x", "--output", "result=out")

    assert (done.returncode, done.stderr) == (0, "")
    for text in (
        f"Copy a file, {pipeline}",
        f"data = {tmp_path}/other\n",
        "copy = running\ncopy | copied\ncopy = completed after",
        "1 completed",
        f"result = {tmp_path}/out",
        f"in {tmp_path}/mlflow.db",
        f"Run folder  {tmp_path}/runs/pipeline-",
    ):
        assert text in done.stdout
    assert text_of(tmp_path / "out" / "a") == "other\nx\n"


def test_a_failed_node_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    path = write_pipeline(tmp_path, {"bad": node("echo why; exit 3"), "good": node("true")})

    done = _run("run", path, "--no-mlflow", "--run-folder", "here", "--max-parallel", "1")

    assert done.returncode == 1
    assert "1 completed, 1 failed" in done.stdout
    assert f"The end of {tmp_path}/here/nodes/bad/user_logs/std_log.txt:\n  why\n" in done.stdout


def test_logs_of_processes_that_end_alike_are_shown_once(tmp_path: Path) -> None:
    wait = "touch ended.$RANK; until [ $(ls ended.* | wc -l) = 3 ]; do sleep 0.05; done"  # the first ends the others
    command = f"seq 5; if [ $RANK = 1 ]; then echo alone; fi; {wait}; exit 3"
    distribution = {"type": "pytorch", "process_count_per_instance": 3}
    path = write_pipeline(tmp_path, {"bad": node(command, distribution=distribution)})

    done = _run("run", path, "--no-mlflow", "--run-folder", "here")

    assert done.returncode == 1
    logs = f"{tmp_path}/here/nodes/bad/user_logs/std_log_process"
    numbers = "  1\n  2\n  3\n  4\n  5\n"
    assert f"The end of {logs}_00.txt:\n{numbers}std_log_process_02.txt: the same\n" in done.stdout
    assert f"The end of {logs}_01.txt:\n{numbers}  alone\n" in done.stdout


def test_what_is_kept_is_reused_listed_and_cleared(tmp_path: Path, pipeline: Path) -> None:
    _run("run", pipeline, "--no-mlflow")

    assert "copy = reused, from 20" in _run("run", pipeline, "--no-mlflow").stdout
    assert "copy = completed" in _run("run", pipeline, "--no-mlflow", "--force-rerun").stdout
    listed = _run("cache", "list").stdout
    assert listed.startswith("1 result, ")
    assert str(tmp_path / "cache") in listed
    assert "copy (copy)" in listed
    assert _run("cache", "clear").stdout.startswith("Removed 1 result,")
    assert "copy = completed" in _run("run", pipeline, "--no-mlflow").stdout


def test_registered_names_are_found_by_the_assets_file(tmp_path: Path) -> None:
    make_folder(tmp_path / "data", a="text")
    write_yaml(tmp_path / "c.yaml", component("cat ${{inputs.d}}/a", inputs={"d": FOLDER}))
    write_yaml(tmp_path / "assets.yaml", {"azureml:show:1": "c.yaml", "azureml:texts": "data"})
    jobs = {"n": {"component": "azureml:show:1", "inputs": {"d": {**FOLDER, "path": "azureml:texts:7"}}}}
    path = write_pipeline(tmp_path, jobs)

    assert "n | text" in _run("run", path, "--no-mlflow", "--assets", "assets.yaml").stdout
    refused = _run("run", path, "--no-mlflow")
    assert refused.returncode == 1
    assert "UnsupportedLocallyError" in refused.stderr
    assert "azureml:show:1" in refused.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--env", "A=1"], ["--max-parallel", "0"], ["--max-parallel", "x"], ["--param", "a=1", "--param", "a=2"]],
)
def test_wrong_usage_is_refused(pipeline: Path, arguments: list[str]) -> None:
    done = _run("run", pipeline, *arguments)

    assert done.returncode == 2
    assert done.stderr.startswith("pytorch-designer run: ")


def test_options_of_pipelines_are_refused_for_a_component(tmp_path: Path) -> None:
    done = _run("run", write_yaml(tmp_path / "c.yaml", component("true")), "--force-rerun")

    assert done.returncode == 2
    assert "--force-rerun is for pipelines only" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_children_and_leaves_a_readable_state(tmp_path: Path, number: signal.Signals) -> None:
    command = f"sleep 60 & echo $! > {tmp_path}/{{}}; wait"
    path = write_pipeline(tmp_path, {name: node(command.format(name)) for name in "ab"})
    arguments = ["run", str(path), "--run-folder", "here", "--no-mlflow", "--max-parallel", "2"]
    harness = subprocess.Popen([*PROGRAM, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: all((tmp_path / name).exists() and text_of(tmp_path / name) for name in "ab"))

    harness.send_signal(number)
    _, stderr = harness.communicate(timeout=100)

    assert harness.returncode == 128 + number
    assert "InterruptedRunError" in stderr
    for name in "ab":
        status = Path(f"/proc/{text_of(tmp_path / name).strip()}/status")
        assert not status.exists() or "zombie" in text_of(status)
    state = json.loads(text_of(tmp_path / "here" / "pipeline.json"))
    assert (state["state"], [found["state"] for found in state["nodes"].values()]) == ("canceled", ["canceled"] * 2)


def test_nothing_slow_is_imported(pipeline: Path) -> None:
    program = (
        "import sys; from pytorch_designer.cli.main import main\n"
        f"assert main(['run', {str(pipeline)!r}]) == 0\n"
        "slow = {'azure', 'mlflow', 'torch', 'numpy', 'pandas', 'pyarrow', 'PIL', 'matplotlib'} & sys.modules.keys()\n"
        "assert not slow, slow\n"
    )

    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=100)


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_cache_whose_lock_cannot_be_taken_ends_no_run(tmp_path: Path, pipeline: Path) -> None:
    assert _run("run", pipeline, "--no-mlflow").returncode == 0
    (record,) = (tmp_path / "cache" / "entries").glob("*/entry.json")
    record.write_text("{}", encoding="utf-8")
    (tmp_path / "mine").write_text("years", encoding="utf-8")
    (tmp_path / "cache" / "lock").unlink()
    (tmp_path / "cache" / "lock").symlink_to(tmp_path / "mine")

    done = _run("run", pipeline, "--no-mlflow")
    cleared = _run("cache", "clear")

    assert (done.returncode, done.stderr) == (0, "")
    assert "is not reused" in done.stdout
    assert cleared.returncode == 1
    assert "FailedToWriteOutputsError" in cleared.stderr
    assert "Traceback" not in cleared.stderr
    assert text_of(tmp_path / "mine") == "years"


def test_an_edited_result_is_named_and_the_node_runs(tmp_path: Path, pipeline: Path) -> None:
    assert _run("run", pipeline, "--no-mlflow").returncode == 0
    (record,) = (tmp_path / "cache" / "entries").glob("*/entry.json")
    record.write_text(record.read_text(encoding="utf-8").replace('"node"', '"nodes"'), encoding="utf-8")

    done = _run("run", pipeline, "--no-mlflow", "--output", "result=out")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("A kept result is damaged") == 1
    assert "1 completed" in done.stdout
    assert text_of(tmp_path / "out" / "a") == "text\nw\n"
    assert _run("cache", "list").stdout.startswith("1 result, ")
