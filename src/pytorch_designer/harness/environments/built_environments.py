"""Virtual environments that are built from the environments of jobs, and kept by their content.

    CACHE/environments/KEY/           a virtual environment, or what micromamba has made
                          built.json  what it was made from; last, so that a half-built one is built again
                          build.log   what pip has written
    CACHE/environments/KEY.lock       held while it is built

Where micromamba, mamba or conda is installed, it makes what a conda file asks for. Elsewhere the pip part is installed
into a virtual environment, and packages of conda are refused by name.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.errors import UnsupportedEnvironmentError, UnsupportedLocallyError
from pytorch_designer.harness.environments.environment_source import EnvironmentSource, environment_source
from pytorch_designer.harness.schema.assets import Assets
from pytorch_designer.settings import user_cache_folder
from pytorch_designer.storage.locking import held_lock
from pytorch_designer.storage.output import writing_errors
from pytorch_designer.system.orphan_watch import OrphanWatch
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytorch_designer.harness.schema.specification import CommandSpec
    from pytorch_designer.system.stop_requests import StopRequest

_RECORD = "built.json"
_LOG = "build.log"
_CONDA_PROGRAMS = ("micromamba", "mamba", "conda")
_POLL_SECONDS = 0.2
_GRACE_SECONDS = 10.0
_SHOWN_LINES = 5


@dataclass(frozen=True)
class BuiltEnvironments:
    """The environments that are built for jobs.

    Attributes:
        folder: Where they are kept.
        assets: Where registered environments are.
    """

    folder: Path
    assets: Assets = field(default_factory=Assets)

    def source(self, spec: CommandSpec) -> EnvironmentSource | None:
        """Packages that the environment of a job asks for, or None where it names none.

        Raises:
            UnsupportedLocallyError: It cannot be built on this machine.
            InvalidSpecError: A file that it names cannot be read.
        """
        found = environment_source(spec, self.assets)
        if found is not None:
            _maker(found)
        return found

    def python(self, spec: CommandSpec, say: Callable[[str], None], stop: StopRequest) -> Path | None:
        """The interpreter of a job's environment, which is built where it is not kept; None where it names none.

        Args:
            spec: The job.
            say: Is told what is built, and for how long.
            stop: Ends the build.

        Raises:
            UnsupportedEnvironmentError: The packages cannot be installed.
            FailedToWriteOutputsError: The folder cannot be written.
            InterruptedRunError: `stop` was requested.
        """
        source = self.source(spec)
        if source is None:
            return None
        place = self.folder / source.key
        with writing_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with held_lock(place.with_suffix(".lock")):
                if not (place / _RECORD).is_file():
                    self._build(source, place, say, stop)
                (place / _RECORD).touch()
        return _interpreter(place)

    def listing(self) -> list[Path]:
        """The folders of the environments that are kept."""
        return sorted(path.parent for path in self.folder.glob(f"*/{_RECORD}"))

    def clear(self) -> int:
        """Remove all of them, and return how many there were."""
        found = self.listing()
        for path in found:
            with held_lock(path.with_suffix(".lock")):
                shutil.rmtree(path)
        return len(found)

    def _build(self, source: EnvironmentSource, place: Path, say: Callable[[str], None], stop: StopRequest) -> None:
        shutil.rmtree(place, ignore_errors=True)
        log = place.with_suffix(".log")
        say(f"Building the environment of {source.label}; its log is {place / _LOG}.")
        started = time.monotonic()
        with log.open("w", encoding="utf-8") as stream:
            try:
                for command in _commands(source, place):
                    run_logged(command, source.folder, stream.fileno(), stop)
            except BaseException as error:
                shutil.rmtree(place, ignore_errors=True)
                if isinstance(error, subprocess.CalledProcessError):
                    what = "The packages of the environment cannot be installed."
                    raise not_built(what, source.label, log) from error
                raise
        log.rename(place / _LOG)
        about = {"made_from": source.label, "python": source.python_version, "requirements": source.requirements}
        (place / _RECORD).write_text(json.dumps(about), encoding="utf-8")
        say(f"Built it in {time.monotonic() - started:.0f} s.")


def built_environments(assets: Assets | None = None) -> BuiltEnvironments:
    """Those in the user's cache folder.

    Raises:
        UnsupportedEnvironmentError: The user has no home folder, in which the cache folder would be.
    """
    return BuiltEnvironments(user_cache_folder() / "environments", assets or Assets())


def run_logged(command: Sequence[str], folder: Path, log: int, stop: StopRequest) -> None:
    """Run a program that writes into the log, until it ends or is to stop. It does not outlive a killed harness.

    Raises:
        CalledProcessError: It failed.
        InterruptedRunError: `stop` was requested; it has ended.
    """
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    token = uuid.uuid4().hex
    with (
        OrphanWatch(token) as orphans,
        subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "DESIGNER_HARNESS_BUILD": token},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ) as process,
    ):
        orphans.add(process.pid)
        try:
            while (code := process.poll()) is None:
                stop.check("building an environment")
                time.sleep(_POLL_SECONDS)
        finally:
            _end(process)
            orphans.remove(process.pid)
    if code:
        raise subprocess.CalledProcessError(code, command)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it has started, if it still runs."""
    for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        if process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number) if hasattr(os, "killpg") else process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)


def not_built(what: str, label: str, log: Path) -> UnsupportedEnvironmentError:
    """The error that an environment cannot be built, with the end of the log."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return UnsupportedEnvironmentError(
        what,
        where=label,
        examples=lines[-_SHOWN_LINES:],
        advice=f"The whole log is {log}. Mend the environment, or leave `--environments` out.",
        reason="environment_not_built",
    )


def _commands(source: EnvironmentSource, place: Path) -> list[Sequence[str]]:
    """The programs that make an environment, in order."""
    maker = _maker(source)
    if source.conda_file is not None and Path(maker).stem in _CONDA_PROGRAMS:
        file = place.with_suffix(".yaml")
        file.write_text(source.conda_file, encoding="utf-8")
        create = ("env", "create") if Path(maker).stem == "conda" else ("create",)
        return [(maker, *create, "--yes", "--prefix", str(place), "--file", str(file))]
    commands: list[Sequence[str]] = [(maker, "-m", "venv", str(place))]
    if source.requirements:
        file = place.with_suffix(".txt")
        file.write_text("\n".join(source.requirements) + "\n", encoding="utf-8")
        install = ("install", "--disable-pip-version-check", "--no-input", "--requirement", str(file))
        commands.append((str(_interpreter(place)), "-m", "pip", *install))
    return commands


def _maker(source: EnvironmentSource) -> str:
    """The program that makes the environment: conda's, or a Python of the right version.

    Raises:
        UnsupportedLocallyError: There is none.
    """
    if source.conda_file is not None:
        for name in _CONDA_PROGRAMS:
            if (program := shutil.which(name)) is not None:
                return program
    if source.conda_packages:
        raise UnsupportedLocallyError(
            f"The environment needs {count(len(source.conda_packages), 'package')} of conda.",
            where=source.label,
            examples=source.conda_packages[:_SHOWN_LINES],
            advice="Install micromamba, or list the packages below pip in the conda file.",
        )
    wanted = None if source.python_version is None else ".".join(source.python_version.split(".")[:2])
    if wanted is None or wanted in {f"{sys.version_info.major}.{sys.version_info.minor}", str(sys.version_info.major)}:
        return sys.executable
    program = shutil.which(f"python{wanted}")
    if program is None:
        raise UnsupportedLocallyError(
            f"The environment needs Python {wanted}, which is not on this machine.",
            where=source.label,
            advice=f"Install it, so that python{wanted} is found, or install micromamba; or leave "
            "`--environments` out.",
        )
    return program


def _interpreter(place: Path) -> Path:
    return place / "bin" / "python" if os.name == "posix" else place / "Scripts" / "python.exe"
