"""Environments that are built: from conda files, Dockerfiles and registered names, once, and refused by name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.errors import InvalidSpecError, UnsupportedEnvironmentError, UnsupportedLocallyError
from pytorch_designer.harness.environments.built_environments import BuiltEnvironments
from pytorch_designer.harness.environments.environment_source import EnvironmentSource, environment_source
from pytorch_designer.harness.environments.job_python import JobPython
from pytorch_designer.harness.job.job_run import JobRequest, run_job
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.reuse.reuse_cache import ReuseCache
from pytorch_designer.harness.schema.assets import Assets
from pytorch_designer.harness.schema.specification import CommandSpec
from tests.harness.pipeline_files import FOLDER, component, text_of, write_pipeline, write_yaml
from tests.waiting import is_running

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")
OWN_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def _spec(folder: Path, environment: object, command: str = "true") -> CommandSpec:
    return CommandSpec("job", command, folder / "component.yaml", environment=environment)


def _source(folder: Path, environment: object, assets: Assets | None = None) -> EnvironmentSource:
    found = environment_source(_spec(folder, environment), assets or Assets())
    assert found is not None
    return found


def _conda(*dependencies: Any) -> dict[str, Any]:
    return {"name": "env", "channels": ["conda-forge"], "dependencies": list(dependencies)}


def test_a_job_without_an_environment_has_the_own_python(tmp_path: Path) -> None:
    assert environment_source(_spec(tmp_path, None), Assets()) is None
    assert environment_source(_spec(tmp_path, ""), Assets()) is None


@pytest.mark.parametrize(
    ("python", "version"),
    [
        ("python=3.10", "3.10"),
        ("python==3.8.13", "3.8.13"),
        ("python>=3.9", "3.9"),
        ("conda-forge::python=3.10", "3.10"),
        ("python=3.8.*", "3.8"),
        ("python", None),
        ("Python = 3.11", "3.11"),
    ],
)
def test_a_conda_file_says_python_and_packages(tmp_path: Path, python: str, version: str | None) -> None:
    content = _conda(python, "pip=23", {"pip": ["numpy==1.26", " ", "pandas"]}, "scipy=1.10")
    write_yaml(tmp_path / "env.yaml", content)

    for conda_file in ("env.yaml", content):
        source = _source(tmp_path, {"conda_file": conda_file, "image": "ubuntu"})
        assert (source.python_version, source.requirements) == (version, ("numpy==1.26", "pandas"))
        assert source.conda_packages == ("scipy=1.10",)


def test_a_registered_environment_is_the_file_of_the_assets(tmp_path: Path) -> None:
    write_yaml(tmp_path / "registered" / "conda.yaml", _conda({"pip": ["a-package"]}))
    write_yaml(tmp_path / "registered" / "env.yaml", {"image": "ubuntu", "conda_file": "conda.yaml"})
    assets = Assets({"env": tmp_path / "registered" / "env.yaml"})

    assert _source(tmp_path, "azureml:env:1", assets).requirements == ("a-package",)
    with pytest.raises(UnsupportedLocallyError, match="azureml:other:1 is not on this machine"):
        _source(tmp_path, "azureml:other:1", assets)


def test_a_dockerfile_says_what_it_installs(tmp_path: Path) -> None:
    (tmp_path / "docker" / "wheels").mkdir(parents=True)
    (tmp_path / "docker" / "requirements.txt").write_text("one\n", encoding="utf-8")
    (tmp_path / "docker" / "Dockerfile").write_text(
        "# pip install a-comment\nFROM registry.example/python:3.11-slim AS base\nRUN apt-get install -y git && \\\n"
        "    pip install --no-cache-dir 'two>=2' \\\n  -i https://index.example/simple three\n"
        "COPY requirements.txt /tmp/deps.txt\nRUN python -m pip install -r /tmp/deps.txt\n",
        encoding="utf-8",
    )

    source = _source(tmp_path, {"build": {"path": "docker"}})

    path = tmp_path / "docker" / "requirements.txt"
    assert source.python_version == "3.11"
    assert source.requirements == ("two>=2", "-i https://index.example/simple", "three", f"-r {path}")


def test_a_dockerfile_may_use_a_conda_file(tmp_path: Path) -> None:
    write_yaml(tmp_path / "docker" / "conda.yaml", _conda("python=3.9", {"pip": ["one"]}))
    (tmp_path / "docker" / "Other").write_text(
        "FROM ubuntu\nCOPY conda.yaml .\nRUN conda env create -p /env -f conda.yaml -q && rm conda.yaml\n",
        encoding="utf-8",
    )

    source = _source(tmp_path, {"build": {"path": "docker", "dockerfile_path": "Other"}})

    assert (source.python_version, source.requirements) == ("3.9", ("one",))


@pytest.mark.parametrize(
    ("environment", "error", "message"),
    [
        ({"image": "ubuntu"}, UnsupportedLocallyError, "an image alone does not say which packages"),
        ({"conda_file": "missing.yaml"}, InvalidSpecError, "missing.yaml"),
        ({"conda_file": {"name": "x"}}, InvalidSpecError, "no list of dependencies"),
        ({"build": {"path": "."}}, InvalidSpecError, "Dockerfile .* cannot be read"),
        (["a", "list"], InvalidSpecError, "neither a name nor a mapping"),
        ({"conda_file": _conda("numpy=1", {"pip": ["x"]})}, UnsupportedLocallyError, "needs 1 package of conda"),
        ({"conda_file": _conda("python=2.6")}, UnsupportedLocallyError, "needs Python 2.6, which is not on this"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: object, error: type[Exception], message: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(error, match=message):
        BuiltEnvironments(tmp_path / "cache").source(_spec(tmp_path, environment))
    assert not (tmp_path / "cache").exists()


def test_the_key_covers_the_files_that_requirements_name(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("-r most.txt\n", encoding="utf-8")
    (tmp_path / "most.txt").write_text("one\n", encoding="utf-8")
    environment = {"conda_file": _conda({"pip": ["-r more.txt"]})}
    before = _source(tmp_path, environment).key
    assert _source(tmp_path, environment).key == before

    (tmp_path / "most.txt").write_text("two\n", encoding="utf-8")

    assert _source(tmp_path, environment).key != before


@pytest.mark.slow
def test_an_environment_is_built_once_and_its_result_is_reused(tmp_path: Path, wheel: Path) -> None:
    environment = {"conda_file": _conda(f"python={OWN_VERSION}", {"pip": [str(wheel)]})}
    command = 'python -c "import sys, sample_of_tests; print(sys.prefix)" > ${{outputs.result}}/prefix'
    write_yaml(tmp_path / "part.yaml", component(command, outputs={"result": FOLDER}) | {"environment": environment})
    pipeline = write_pipeline(tmp_path, {"part": {"type": "command", "component": "part.yaml"}})
    python = JobPython(environments=BuiltEnvironments(tmp_path / "cache"))
    cache = ReuseCache(tmp_path / "reuse", 1 << 20)

    first = run_pipeline(pipeline, run_folder=tmp_path / "run", python=python, cache=cache)
    assert first.has_succeeded, text_of(first.nodes["part"].log_files[0])
    prefix = Path(text_of(first.nodes["part"].outputs["result"] / "prefix").strip())
    assert prefix.parent == tmp_path / "cache"
    made = (prefix / "pyvenv.cfg").stat().st_mtime_ns
    again = run_pipeline(pipeline, run_folder=tmp_path / "again", python=python, cache=cache)
    fresh = run_pipeline(pipeline, run_folder=tmp_path / "fresh", python=python)

    assert again.nodes["part"].state.value == "reused"
    assert fresh.has_succeeded
    assert (prefix / "pyvenv.cfg").stat().st_mtime_ns == made
    assert json.loads((prefix / "built.json").read_text(encoding="utf-8"))["requirements"] == [str(wheel)]
    assert python.environments is not None
    assert python.environments.clear() == 1
    assert not prefix.exists()


@pytest.mark.slow
def test_packages_that_cannot_be_installed_are_named_and_nothing_is_kept(tmp_path: Path) -> None:
    environment = {"conda_file": _conda({"pip": ["--no-index", "no-such-package-of-tests"]})}
    environments = BuiltEnvironments(tmp_path / "cache")
    request = JobRequest(_spec(tmp_path, environment), tmp_path / "run", python=JobPython(environments=environments))

    with pytest.raises(UnsupportedEnvironmentError, match="no-such-package-of-tests") as caught:
        run_job(request)

    assert caught.value.reason == "environment_not_built"
    assert environments.listing() == []


@posix_only
def test_conda_makes_what_a_conda_file_asks_for_where_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "micromamba"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nset -e\necho "$@" > {tmp_path}/asked\nmkdir -p $4/bin\nln -s {sys.executable} $4/bin/python\n'
        'ln -s python "$4/bin/python3"\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    request = JobRequest(
        _spec(tmp_path, {"conda_file": _conda("python=3.7", "numpy=1")}, "which python"),
        tmp_path / "run",
        python=JobPython(environments=BuiltEnvironments(tmp_path / "cache")),
    )
    said: list[str] = []

    result = run_job(request, lambda _, line: said.append(line))

    assert result.has_succeeded
    assert said[-1].startswith(str(tmp_path / "cache"))
    assert any("Building the environment" in line for line in said)
    words = (tmp_path / "asked").read_text(encoding="utf-8").split()
    assert words[:3] == ["create", "--yes", "--prefix"]
    assert json.loads(Path(words[-1]).read_text(encoding="utf-8"))["dependencies"] == ["python=3.7", "numpy=1"]


@pytest.mark.slow
@posix_only
def test_a_killed_harness_leaves_no_builder_and_no_half_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "micromamba"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\nset -e\nmkdir -p $4/bin\n[ -e {tmp_path}/again ] || {{ trap '' TERM; sleep 600 & echo $! > "
        f'{tmp_path}/part; mv {tmp_path}/part {tmp_path}/sleeper; wait; }}\nln -s {sys.executable} "$4/bin/python"\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
    environment = {"conda_file": _conda("numpy=1")}
    write_yaml(tmp_path / "part.yaml", component("true") | {"environment": environment})
    arguments = [sys.executable, "-m", "pytorch_designer", "run", "part.yaml", "--no-mlflow", "--environments", "build"]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL) as harness:
        deadline = time.monotonic() + 60
        while not (tmp_path / "sleeper").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        harness.send_signal(signal.SIGKILL)
    sleeper = int((tmp_path / "sleeper").read_text(encoding="utf-8"))
    deadline = time.monotonic() + 30
    while is_running(sleeper) and time.monotonic() < deadline:
        time.sleep(0.02)
    was_left = is_running(sleeper)
    if was_left:
        os.kill(sleeper, signal.SIGKILL)
    (tmp_path / "again").touch()
    again = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=60)

    assert not was_left
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Building the environment" in again.stdout
