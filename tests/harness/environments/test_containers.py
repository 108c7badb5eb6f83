"""Jobs in containers, run by a program that stands in for docker: arguments, mounts, ends; and errors without one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

import pytorch_designer
from pytorch_designer.cli.main import main
from pytorch_designer.errors import (
    InterruptedRunError,
    InvalidSpecError,
    TimeLimitError,
    UnsupportedEnvironmentError,
    UnsupportedLocallyError,
)
from pytorch_designer.harness.environments.containers import open_containers
from pytorch_designer.harness.environments.job_python import JobPython, choose_python
from pytorch_designer.harness.fault_injection.injected_faults import parse_faults
from pytorch_designer.harness.job.job_run import run_job
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.reuse.reuse_cache import ReuseCache
from pytorch_designer.harness.runs.run_metrics import read_values
from pytorch_designer.harness.schema.assets import Assets
from pytorch_designer.system.stop_requests import StopRequest
from tests.harness.fixture_types import MakeRequest
from tests.harness.pipeline_files import FOLDER, component, make_folder, text_of, write_pipeline, write_yaml

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
STAND_IN = Path(__file__).with_name("stand_in_docker.py")
IMAGE = {"image": "some-image"}
SLEEPS = "trap 'echo asked > asked; exit 3' TERM; touch started; while true; do sleep 0.05; done"


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stand-in for docker, which is first on the PATH."""
    folder = tmp_path / "docker"
    for name in ("bin", "images", "containers"):
        (folder / name).mkdir(parents=True)
    program = folder / "bin" / "docker"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {STAND_IN} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("STAND_IN_DOCKER", str(folder))
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
    return folder


def _calls(docker: Path, word: str) -> list[list[str]]:
    calls = [json.loads(line) for line in text_of(docker / "calls.jsonl").splitlines()]
    return [call for call in calls if call[0] == word]


def _python(assets: Assets | None = None) -> JobPython:
    return JobPython(containers=open_containers(assets))


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert path.exists()


def _values(call: list[str], option: str) -> list[str]:
    return [value for word, value in pairwise(call) if word == option]


def test_a_node_runs_in_the_image_of_its_environment(
    tmp_path: Path, docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_CALLER", "x")
    make_folder(tmp_path / "a, b", **{"one.txt": "1"})
    command = 'cat "${{inputs.data}}/one.txt" > ${{outputs.result}}/copy; echo "$PWD|$OWN|$SECRET_OF_THE_CALLER|$HOME"'
    keys = {"inputs": {"data": FOLDER}, "outputs": {"result": FOLDER}, "resources": {"shm_size": "4g"}}
    write_yaml(tmp_path / "part.yaml", component(command, **keys) | {"environment": IMAGE})
    node = {
        "type": "command",
        "component": "part.yaml",
        "inputs": {"data": {"type": "uri_folder", "path": "a, b"}},
        "environment_variables": {"OWN": "a b"},
    }
    pipeline = write_pipeline(tmp_path, {"part": node})
    cache = ReuseCache(tmp_path / "reuse", 1 << 20)

    results = [
        run_pipeline(pipeline, run_folder=tmp_path / str(number), python=python, cache=cache)
        for number, python in enumerate((_python(), _python(), JobPython()))
    ]

    assert [result.nodes["part"].state.value for result in results] == ["completed", "reused", "completed"]
    folder = tmp_path / "0" / "nodes" / "part"
    assert text_of(folder / "named-outputs" / "result" / "copy") == "1"
    *told, line = text_of(folder / "user_logs" / "std_log.txt").splitlines()
    assert line == f"{folder}/work/node_0|a b||/tmp"
    assert told == []
    assert _calls(docker, "pull") == [["pull", "some-image"]]
    (call,) = _calls(docker, "run")
    assert {"--rm", "--init"} <= set(call)
    assert _values(call, "--user") == [f"{os.getuid()}:{os.getgid()}"]
    assert (_values(call, "--shm-size"), _values(call, "--network")) == (["4g"], ["host"])
    mounts = _values(call, "--mount")
    data = tmp_path / "a, b"
    assert f'type=bind,"source={data}","target={data}",readonly' in mounts
    assert f"type=bind,source={folder},target={folder}" in mounts
    assert {"OWN", "AZUREML_RUN_ID", "AZURE_ML_INPUT_data"} <= set(_values(call, "--env"))
    assert not any("a b" in word for word in call[: call.index("some-image")] if "=" in word and "mount" not in word)
    assert "SECRET_OF_THE_CALLER" not in call
    (removal,) = _calls(docker, "rm")
    assert removal[-1:] == _values(call, "--name")


@pytest.mark.slow
def test_a_build_context_and_a_conda_file_are_built(tmp_path: Path, docker: Path, make_request: MakeRequest) -> None:
    make_folder(tmp_path / "spec" / "context", Dockerfile="FROM some-image\n", **{"one.txt": "1"})
    write_yaml(tmp_path / "spec" / "conda.yaml", {"name": "x", "dependencies": ["python=3.10", "numpy"]})
    said: list[str] = []

    for environment, copied in (
        ({"build": {"path": "context"}}, ["Dockerfile", "one.txt"]),
        ({"image": "some-image", "conda_file": "conda.yaml"}, ["Dockerfile", "conda.yaml"]),
    ):
        request = make_request("true", spec={"environment": environment}, python=_python())
        assert run_job(request, lambda _, line: said.append(line)).has_succeeded
        assert json.loads(text_of(docker / "context.json")) == copied
        assert _calls(docker, "run")[-1][-3:-1] == ["sha256:built", "-c"]

    assert "conda env create" in text_of(docker / "Dockerfile")
    assert sum(line.startswith("Building the image of ") for line in said) == 2


def test_a_registered_environment_and_one_without(tmp_path: Path, docker: Path, make_request: MakeRequest) -> None:
    write_yaml(tmp_path / "env.yaml", IMAGE)
    python = _python(Assets({"registered": tmp_path / "env.yaml"}))

    assert run_job(make_request("true", spec={"environment": "azureml:registered:1"}, python=python)).has_succeeded
    assert run_job(make_request("true", python=python)).has_succeeded
    with pytest.raises(UnsupportedLocallyError, match="azureml:other:1 is not on this machine"):
        run_job(make_request("true", spec={"environment": "azureml:other:1"}, python=python))
    assert len(_calls(docker, "run")) == 1


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"build": {"path": "gone"}}, "Dockerfile .* cannot be read"),
        ({"conda_file": {"dependencies": []}}, "names no image and no build context"),
    ],
)
def test_what_makes_no_image_is_refused(
    docker: Path, make_request: MakeRequest, environment: object, message: str
) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        run_job(make_request("true", spec={"environment": environment}, python=_python()))


def test_an_image_that_cannot_be_pulled_is_named(docker: Path, make_request: MakeRequest) -> None:
    request = make_request("true", spec={"environment": {"image": "missing-image"}}, python=_python())

    with pytest.raises(UnsupportedEnvironmentError, match="manifest unknown") as caught:
        run_job(request)
    assert caught.value.reason == "environment_not_built"


def test_faults_and_containers_exclude_each_other(docker: Path, make_request: MakeRequest) -> None:
    request = make_request("true", spec={"environment": IMAGE}, python=_python(), faults=parse_faults(["kill-after=1"]))

    with pytest.raises(UnsupportedLocallyError, match="cannot be injected into a container"):
        run_job(request)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["stop", "limit", "deaf"])
def test_a_container_that_must_end_is_asked_to_and_removed(
    docker: Path, make_request: MakeRequest, tmp_path: Path, way: str
) -> None:
    command = "trap '' TERM; touch started; while true; do sleep 0.05; done" if way == "deaf" else SLEEPS
    request = make_request(command, spec={"environment": IMAGE}, python=_python(), grace_seconds=1.0)
    work = tmp_path / "run" / "work" / "node_0"
    stop = StopRequest()
    if way == "limit":
        object.__setattr__(request.spec, "timeout_seconds", 6)

    def on_memory(_: int) -> None:
        raise AssertionError("the memory of the client says nothing")

    def on_line(_rank: int, _line: str) -> None:
        return

    def stop_soon() -> None:
        _wait_for(work / "started")
        stop.request()

    if way != "limit":
        threading.Thread(target=stop_soon, daemon=True).start()
    with pytest.raises(TimeLimitError if way == "limit" else InterruptedRunError):
        run_job(request, on_line, stop, on_memory)

    assert (work / "asked").exists() is (way != "deaf")
    assert list((docker / "containers").iterdir()) == []


@pytest.mark.slow
def test_a_killed_harness_leaves_no_container(docker: Path, tmp_path: Path) -> None:
    write_yaml(tmp_path / "part.yaml", component(SLEEPS) | {"environment": IMAGE})
    arguments = ["run", "part.yaml", "--no-mlflow", "--environments", "docker", "--run-folder", "here"]
    with subprocess.Popen([sys.executable, "-m", "pytorch_designer", *arguments]) as harness:
        _wait_for(tmp_path / "here" / "work" / "node_0" / "started")
        (record,) = (docker / "containers").iterdir()
        group = int(record.read_text())
        harness.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while (record.exists() or _is_running(group)) and time.monotonic() < deadline:
        time.sleep(0.02)

    assert not record.exists()
    assert not _is_running(group)


def _is_running(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_what_a_container_logs_is_in_the_database_which_it_does_not_see(
    tmp_path: Path, docker: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = "mlflow.log_metric('m', 2.5, step=3); mlflow.log_param('p', 'x'); mlflow.log_text('hi', 'a.txt')"
    command = f'{sys.executable} -c "import mlflow; {steps}"'
    write_yaml(tmp_path / "part.yaml", component(command) | {"environment": IMAGE})

    assert main(["run", "part.yaml", "--environments", "docker", "--run-folder", "here"]) == 0

    assert "Python      that of the image some-image\n" in capsys.readouterr().out
    run_id = json.loads(text_of(tmp_path / "here" / "run.json"))["run_id"]
    values = read_values(tmp_path / "mlflow.db", [run_id])[run_id]
    assert values.parameters == {"p": "x"}
    assert [(point.step, point.value) for point in values.metrics["m"]] == [(3, 2.5)]
    assert [text_of(path) for path in (tmp_path / "mlruns").rglob("a.txt")] == ["hi"]
    (call,) = _calls(docker, "run")
    assert [mount.rpartition("=")[2] for mount in _values(call, "--mount")] == [
        str(tmp_path / "here"),
        str(tmp_path / "mlruns"),
    ]


def test_without_docker_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_yaml(tmp_path / "part.yaml", component("true") | {"environment": IMAGE})
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    assert main(["run", "part.yaml", "--environments", "docker"]) == 1
    shown = capsys.readouterr().err
    assert "There is neither docker nor podman on this machine." in shown
    assert "Install Docker Engine or Podman" in shown
    program = tmp_path / "bin" / "podman"
    program.write_text("#!/bin/sh\necho cannot connect >&2\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    with pytest.raises(UnsupportedLocallyError, match=r"does not answer .*podman") as caught:
        choose_python(environments="docker")
    assert caught.value.examples == ("cannot connect",)
    assert not (tmp_path / "runs").exists()


def test_podman_keeps_the_user_and_rootless_docker_is_the_user(tmp_path: Path, docker: Path) -> None:
    program = docker / "bin" / "docker"
    program.write_text("#!/bin/sh\necho 'Security Options:'; echo '  rootless'\n", encoding="utf-8")
    assert open_containers().options == ()
    program.rename(program.with_name("podman"))
    assert open_containers().options == ("--userns", "keep-id")


@pytest.mark.slow
def test_environments_of_the_python_interface(tmp_path: Path, docker: Path) -> None:
    write_yaml(tmp_path / "part.yaml", component("echo ran") | {"environment": IMAGE})
    write_pipeline(tmp_path, {"part": {"type": "command", "component": "part.yaml"}})

    component_run = pytorch_designer.run_component("part.yaml", environments="docker")
    pipeline_run = pytorch_designer.run_pipeline("pipeline.yaml", environments="docker", reuse=False)
    own = pytorch_designer.run_component("part.yaml", environments=sys.executable)

    assert (component_run.has_succeeded, pipeline_run.has_succeeded, own.has_succeeded) == (True, True, True)
    assert len(_calls(docker, "run")) == 2
    for wrong, message in (("bild", "no interpreter .*bild"), (Path("part.yaml"), "is not a Python that runs here")):
        with pytest.raises(pytorch_designer.errors.DesignerError, match=message):
            pytorch_designer.run_component("part.yaml", environments=wrong)
