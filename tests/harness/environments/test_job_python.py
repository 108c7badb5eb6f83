"""Python of a job: another interpreter, what the job installs, and debuggers."""

from __future__ import annotations

import subprocess
import sys
import venv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.errors import UnsupportedEnvironmentError, UnsupportedLocallyError
from pytorch_designer.harness.environments.job_python import JobPython, about_python
from pytorch_designer.harness.job.job_run import JobRequest, run_job
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.reuse.reuse_cache import ReuseCache
from tests.harness.fixture_types import MakeRequest
from tests.harness.pipeline_files import component, make_folder, node, text_of, write_pipeline, write_yaml

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="the launchers are shell scripts")
WHERE = "import sys; print(sys.prefix)"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an empty virtual environment."""
    folder = tmp_path_factory.mktemp("other") / "env"
    venv.create(folder, with_pip=False, symlinks=True)
    return folder / "bin" / "python"


def _lines(request: JobRequest) -> list[str]:
    result = run_job(request)
    assert result.has_succeeded, text_of(result.log_files[0])
    return text_of(result.log_files[0]).splitlines()


@posix_only
@pytest.mark.parametrize("name", ["python", "python3"])
def test_python_is_the_one_that_was_asked_for(make_request: MakeRequest, other: Path, name: str) -> None:
    request = make_request(f'{name} -c "{WHERE}"')

    assert _lines(request) == [sys.prefix]
    assert _lines(replace(request, python=JobPython(other))) == [str(other.parent.parent)]


@pytest.mark.slow
@posix_only
@pytest.mark.parametrize("module", ["json", "platform", "venv"])
def test_modules_in_the_working_directory_are_not_imported(
    make_request: MakeRequest, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / f"{module}.py").write_text(
        "raise SystemExit('from the working directory')\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path / "here")
    about_python.cache_clear()

    assert _lines(make_request(f"pip install --no-deps --no-index {wheel} > pip.log && echo installed")) == [
        "installed"
    ]


@posix_only
def test_an_interpreter_of_another_name_is_python_too(make_request: MakeRequest, other: Path, tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    alone = tmp_path / "alone" / "python3.x"
    alone.write_text(f'#!/bin/sh\nexec {other} "$@"\n', encoding="utf-8")
    alone.chmod(0o755)

    assert _lines(replace(make_request(f'python -c "{WHERE}"'), python=JobPython(alone))) == [str(other.parent.parent)]


@pytest.mark.parametrize("content", [None, "#!/bin/sh\necho no\n", "#!/bin/sh\nexit 1\n"])
def test_what_is_no_python_is_named_before_anything_runs(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "no_python"
    if content is not None:
        path.write_text(content, encoding="utf-8")
        path.chmod(0o755)

    with pytest.raises(UnsupportedEnvironmentError, match="is not a Python that runs here"):
        run_pipeline(write_pipeline(tmp_path, {"a": node("true")}), run_folder=tmp_path / "run", python=JobPython(path))
    assert not (tmp_path / "run").exists()


@posix_only
def test_results_of_another_python_are_not_reused(tmp_path: Path, other: Path) -> None:
    path, cache = write_pipeline(tmp_path, {"a": node("true")}), ReuseCache(tmp_path / "cache", 1 << 30)
    states = []
    for number, python in enumerate((None, other, None, other)):
        options: Any = {"cache": cache, "python": JobPython(python), "explains": True}
        result = run_pipeline(path, run_folder=tmp_path / str(number), **options)
        states.append(result.nodes["a"].state.value)

    assert states == ["completed", "completed", "reused", "reused"]


@pytest.mark.slow
@posix_only
@pytest.mark.parametrize("where", ["command", "script", "program"])
def test_what_a_job_installs_is_gone_with_it(
    tmp_path: Path, make_request: MakeRequest, wheel: Path, where: str
) -> None:
    pytest.importorskip("pip")
    install = f"pip install --quiet --no-index --disable-pip-version-check {wheel}"
    arguments = ", ".join(repr(word) for word in install.split()[1:])
    program = f"import subprocess, sys; subprocess.check_call([sys.executable, '-m', 'pip', {arguments}])"
    make_folder(tmp_path / "code", **{"setup.sh": f"{install}\n", "setup.py": program + "\n"})
    command = {"command": install, "script": "sh setup.sh", "program": "python setup.py"}[where]
    (tmp_path / "code" / {"command": "setup.sh", "script": "setup.py", "program": "setup.sh"}[where]).unlink()
    check = 'python -c "import sample_of_tests, pytest, pytorch_designer; print(sample_of_tests.__file__)"'

    lines = _lines(make_request(f"{command} && {check}", spec={"code": str(tmp_path / "code")}))

    assert lines[-1].startswith(f"{tmp_path}/run/work/python/")
    assert not (tmp_path / "run" / "work").exists()
    done = subprocess.run(
        [sys.executable, "-c", "import sample_of_tests"], capture_output=True, check=False, timeout=300
    )
    assert done.returncode != 0, "this Python is as it was"


@pytest.mark.slow
@posix_only
def test_a_job_in_the_foreground_has_the_terminal(tmp_path: Path) -> None:
    write_yaml(tmp_path / "c.yaml", component("python -c 'x = 41; breakpoint(); print(x)'; exit 3"))
    write_pipeline(tmp_path, {"a": {"component": "c.yaml"}, "b": node("true")})
    command = [sys.executable, "-m", "pytorch_designer", "run", "--no-mlflow"]

    for arguments in (["c.yaml", "--foreground"], ["pipeline.yaml", "--debug", "a"]):
        done = subprocess.run(
            [*command, *arguments], input="x + 1\nc\n", capture_output=True, text=True, check=False, timeout=60
        )
        assert "(Pdb) 42" in done.stdout, done.stdout + done.stderr
        assert done.returncode == (3 if "--foreground" in arguments else 1)


def test_several_processes_have_no_terminal_to_share(make_request: MakeRequest) -> None:
    two = {"type": "pytorch", "process_count_per_instance": 2}

    with pytest.raises(UnsupportedLocallyError, match="cannot share the terminal"):
        run_job(make_request("true", spec={"distribution": two}, is_in_foreground=True))


@posix_only
def test_a_debugger_is_put_in_front_of_the_first_python(tmp_path: Path, other: Path, make_request: MakeRequest) -> None:
    program = "import sys; print(*sys.argv[1:5]); exec(sys.argv[5])\n"
    package = tmp_path / "packages" / "debugpy"
    make_folder(package, **{"__main__.py": program, "__init__.py": ""})
    variables = {"PYTHONPATH": str(package.parent)}
    nested = "import os; os.system('python -c 1'); print('ran')"
    request = make_request(f'python -c "{nested}"', environment_variables=variables)

    lines = _lines(replace(request, python=JobPython(other, debugpy_port=5678)))

    assert lines == ["--listen 127.0.0.1:5678 --wait-for-client -c", "ran"]
    with pytest.raises(UnsupportedEnvironmentError, match="has no debugpy"):
        JobPython(other, debugpy_port=5678).check()
