"""Python of a job: which interpreter `python` is, a debugger in front of it, and a place for what the job installs.

RUN/work/python/         first on the job's PATH, where one of these is needed; removed with the working directories

A job that installs packages gets a virtual environment of its own, in which all packages of the interpreter are found:
`pip install` changes that one and never the Python that runs the harness. Whether a job installs is seen in its command
and in the shell scripts and Python files of its code.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.harness.environments.built_environments import BuiltEnvironments, built_environments
from pytorch_designer.harness.environments.containers import Containers, open_containers
from pytorch_designer.storage.output import writing_errors
from pytorch_designer.system.regular_files import read_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytorch_designer.harness.schema.assets import Assets
    from pytorch_designer.harness.schema.specification import CommandSpec
    from pytorch_designer.system.stop_requests import StopRequest

ENVIRONMENTS = ("build", "docker")
_INSTALLS = re.compile(r"\b(pip3?|uv)\b['\", \t]+(?:[\w=.-]+['\", \t]+)*?install\b")
_SCRIPTS = (".sh", ".bash", ".py")
_MAX_SCRIPT_BYTES = 1 << 18
_SECONDS = 60.0
_NAMES = ("python", "python3")
_GUARD = "DESIGNER_HARNESS_DEBUGPY"
_ABOUT = """
import importlib.metadata, json, platform, site, sys

def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None

print(json.dumps({
    'version': sys.version, 'machine': platform.machine(), 'system': platform.system(),
    'path': [entry for entry in sys.path if entry], 'is_virtual': sys.prefix != sys.base_prefix,
    'packages': site.getsitepackages(), 'mlflow': version('mlflow'), 'mlflow_skinny': version('mlflow-skinny'),
}))
"""


@dataclass(frozen=True)
class JobPython:
    """Python of a job.

    Attributes:
        executable: The interpreter; None: the one that runs the harness.
        debugpy_port: The port of the loopback interface on which the job's first Python waits for a debugger, or None.
        environments: Builds the environment of each job that names one; None: it is not built.
        containers: Runs each job that names an environment in its image; None: jobs run in no container.
        image: The image of one job, or None.
    """

    executable: Path | None = None
    debugpy_port: int | None = None
    environments: BuiltEnvironments | None = None
    containers: Containers | None = None
    image: str | None = None

    def check(self) -> None:
        """Refuse an interpreter that cannot be used; starts it once.

        Raises:
            UnsupportedEnvironmentError: It does not run, or has no debugpy where that is asked for.
        """
        if self.executable is not None:
            about_python(self.executable)
        if self.debugpy_port is not None and not _runs(self._path, "import debugpy"):
            raise UnsupportedEnvironmentError(
                f"{self._path} has no debugpy.", where="--debugpy", advice="Install it: pip install debugpy"
            )

    def check_job(self, spec: CommandSpec) -> None:
        """Refuse a job whose environment is to be built and cannot be; nothing is built yet.

        Raises:
            UnsupportedLocallyError: It does not say which packages it has, or this machine lacks what it needs.
            InvalidSpecError: A file that it names cannot be read.
        """
        if self.environments is not None:
            self.environments.source(spec)
        if self.containers is not None:
            self.containers.source(spec)

    def of(self, spec: CommandSpec, say: Callable[[str], None], stop: StopRequest) -> JobPython:
        """The Python of one job, whose environment or image is made where that is asked for and it is not kept.

        Args:
            spec: The job.
            say: Is told what is built.
            stop: Ends the build.

        Raises:
            UnsupportedEnvironmentError: The packages cannot be installed.
            FailedToWriteOutputsError: The environment cannot be written.
            InterruptedRunError: `stop` was requested.
        """
        if self.containers is not None and (image := self.containers.source(spec)) is not None:
            return replace(self, image=self.containers.image(image, say, stop))
        built = None if self.environments is None else self.environments.python(spec, say, stop)
        return self if built is None else replace(self, executable=built)

    def environment_key(self, spec: CommandSpec) -> str | None:
        """Hash of the job's packages where its environment is built; None where they are those that are here.

        Raises:
            DesignerError: As `check_job`.
            OSError: A file of the build context cannot be read.
        """
        if self.containers is not None:
            image = self.containers.source(spec)
            return None if image is None else f"image {image.key}"
        source = None if self.environments is None else self.environments.source(spec)
        return None if source is None else source.key

    def folders(self, place: Path, command: str, scripts: Iterable[Path]) -> list[Path]:
        """First folders of the PATH of a job.

        Args:
            place: A folder of the job, which is made where it is needed.
            command: Its command.
            scripts: The files of its code.

        Raises:
            FailedToWriteOutputsError: The folder cannot be written.
            UnsupportedEnvironmentError: The interpreter cannot make a virtual environment.
        """
        path = self._path
        if _installs(command, scripts):
            path = _overlay(path, place / "environment")
        if self.debugpy_port is not None:
            return [_launchers(place / "debugger", path, self.debugpy_port), path.parent]
        if self.executable is not None and path == self._path and not _is_found(path):
            return [_launchers(place / "launchers", path), path.parent]
        return [path.parent]

    def has_own_mlflow(self, command: str, scripts: Iterable[Path]) -> bool:
        """True if a job may import another MLflow than this process: that of its Python or image, or one it installs.

        Args:
            command: The command of the job.
            scripts: The files of its code.

        Raises:
            UnsupportedEnvironmentError: The interpreter does not run.
        """
        if self.image is not None or _installs(command, scripts):
            return True
        if self.executable is None:
            return False
        about = about_python(self.executable)
        versions = (about["mlflow"], about["mlflow_skinny"])  # mlflow-skinny alone cannot use a database
        return any(versions) and versions[0] != importlib.metadata.version("mlflow")

    @property
    def _path(self) -> Path:
        return Path(sys.executable) if self.executable is None else self.executable.absolute()


OWN_PYTHON = JobPython()


def choose_python(
    executable: Path | None = None,
    environments: str | None = None,
    *,
    assets: Assets | None = None,
    debugpy_port: int | None = None,
) -> JobPython:
    """The Python of jobs, or what makes it.

    Args:
        executable: The interpreter; None: the one that runs the harness.
        environments: One of `ENVIRONMENTS`, or None.
        assets: Where registered environments are.
        debugpy_port: See `JobPython`.

    Raises:
        UnsupportedLocallyError: There is no container engine where one is asked for.
        UnsupportedEnvironmentError: The user has no home folder, in which the cache folder would be.
    """
    built = built_environments(assets) if environments == "build" else None
    containers = open_containers(assets) if environments == "docker" else None
    return JobPython(executable, debugpy_port, built, containers)


@lru_cache(maxsize=8)
def about_python(executable: Path) -> dict[str, Any]:
    """Facts of an interpreter: version, machine, system, path, packages.

    Raises:
        UnsupportedEnvironmentError: It is not a Python that runs.
    """
    try:
        done = _ask(executable, "-c", _ABOUT)
        done.check_returncode()
        about: dict[str, Any] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise UnsupportedEnvironmentError(
            f"{executable} is not a Python that runs here.",
            where="--python",
            advice="Name the interpreter of a virtual environment, such as .venv/bin/python.",
        ) from error
    return about


def _runs(executable: Path, program: str) -> bool:
    return _ask(executable, "-c", program).returncode == 0


def _ask(executable: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an interpreter in its own folder: it would import what lies about in the working directory."""
    command = [str(executable.absolute()), *arguments]
    return subprocess.run(
        command, cwd=executable.absolute().parent, capture_output=True, text=True, check=False, timeout=_SECONDS
    )


def _installs(command: str, scripts: Iterable[Path]) -> bool:
    return _INSTALLS.search(command) is not None or any(
        _is_installing(path, *_size_and_time(path)) for path in scripts if path.suffix in _SCRIPTS
    )


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:  # the copy of the code will name it
        return _MAX_SCRIPT_BYTES + 1, 0
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=10_000)  # nodes share their code
def _is_installing(path: Path, num_bytes: int, changed_ns: int) -> bool:
    if num_bytes > _MAX_SCRIPT_BYTES:
        return False
    try:
        data = read_regular(path)
    except OSError:
        return False
    is_likely = b"install" in data and b"pip" in data
    return is_likely and _INSTALLS.search(data.decode("utf-8", "replace")) is not None


def _overlay(executable: Path, place: Path) -> Path:
    """Make a virtual environment in which the packages of `executable` are found, and return its interpreter."""
    about = about_python(executable)
    options = ["--without-pip", *(() if about["is_virtual"] else ("--system-site-packages",))]
    done = _ask(executable, "-m", "venv", *options, str(place.absolute()))
    if done.returncode != 0:
        raise UnsupportedEnvironmentError(
            "The job installs packages, and no virtual environment can be made for them.",
            where=executable,
            examples=done.stderr.splitlines()[-1:] or done.stdout.splitlines()[-1:],
            advice="Leave `pip install` out of the command, or install Python's module venv.",
            reason="no_overlay",
        )
    inner = place / ("bin" if os.name == "posix" else "Scripts") / "python"
    with writing_errors(place):
        lines = [f"import site; site.addsitedir({folder!r})\n" for folder in about["packages"]]
        for packages in place.glob("[lL]ib/**/site-packages"):
            (packages / "_packages_of_the_harness.pth").write_text("".join(lines), encoding="utf-8")
        for name in ("pip", "pip3"):
            _write_script(inner.with_name(name), f'exec {shlex.quote(str(inner))} -m pip "$@"')
    return inner


def _launchers(place: Path, executable: Path, debugpy_port: int | None = None) -> Path:
    """Make a folder in which `python` starts `executable`, the first time under a debugger if there is a port."""
    run = f'exec {shlex.quote(str(executable))} "$@"'
    if debugpy_port is not None:
        listen = f"-m debugpy --listen 127.0.0.1:{debugpy_port} --wait-for-client"
        debug = f'export {_GUARD}=1\nexec {shlex.quote(str(executable))} {listen} "$@"'
        run = f'[ -n "${_GUARD}" ] && {run}\n{debug}'
    with writing_errors(place):
        place.mkdir(parents=True, exist_ok=True)
        for name in _NAMES:
            _write_script(place / name, run)
    return place


def _write_script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


def _is_found(executable: Path) -> bool:
    """True if `python` and `python3` in the folder of an interpreter are that interpreter."""
    return all(
        (executable.parent / name).exists() and (executable.parent / name).samefile(executable) for name in _NAMES
    )
