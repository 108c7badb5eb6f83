"""Containers of jobs: the image of a job's environment, and the command line that runs a job in it.

    environment: {image: NAME}                      pulled where it is not there
    environment: {image: NAME, conda_file: FILE}    built on it: the conda of the image makes the environment
    environment: {build: {path: FOLDER}}            built; the engine keeps the layers, so that a second build is short

A job sees its run folder, inputs (read-only), outputs and MLflow artifacts at the paths that they have outside. It runs
as the user who runs the harness. Of the variables it has those of the platform and its own, not the caller's.

The name of a container is known before there is one, so that whoever is left can remove it. SIGTERM goes through
`docker run` to the init process of the container, and from there to all processes of the job.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.errors import UnsupportedLocallyError
from pytorch_designer.harness.environments.built_environments import not_built, run_logged
from pytorch_designer.harness.environments.environment_source import environment_mapping
from pytorch_designer.harness.schema.assets import Assets
from pytorch_designer.harness.schema.yaml_tree import read_yaml
from pytorch_designer.settings import user_cache_folder
from pytorch_designer.storage.output import writing_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytorch_designer.harness.schema.specification import CommandSpec
    from pytorch_designer.system.stop_requests import StopRequest

LABEL = "pytorch-designer.job"
_PROGRAMS = ("docker", "podman")
_SECONDS = 60.0
_SHM_SIZE = "2g"  # that of Azure ML
_CONDA_FILE = "conda.yaml"
_DOCKERFILE = """FROM {image}
COPY conda.yaml /azureml-envs/conda.yaml
RUN conda env create --prefix /azureml-envs/job --file /azureml-envs/conda.yaml
ENV PATH=/azureml-envs/job/bin:$PATH CONDA_DEFAULT_ENV=/azureml-envs/job
"""
_WAITING = "trap 'exit 143' TERM; "  # a shell that dies at once takes the container and its programs with it


@dataclass(frozen=True)
class ImageSource:
    """Sources of the image in which a job runs.

    Attributes:
        label: Its name in messages.
        image: Its name, or that of the image below the conda file; None with a Dockerfile.
        conda_file: Text of the conda file, or None.
        dockerfile: The Dockerfile, or None.
        context: The folder that its `COPY` starts from.
    """

    label: str
    image: str | None = None
    conda_file: str | None = None
    dockerfile: Path | None = None
    context: Path = Path()

    @property
    def key(self) -> str:
        """Hash of all that the image is made of, with the content of the build context.

        Raises:
            OSError: A file of the context cannot be read.
        """
        digest = hashlib.sha256(json.dumps((self.image, self.conda_file, str(self.dockerfile))).encode())
        for path in sorted(self.context.rglob("*")) if self.dockerfile is not None else ():
            if path.is_file():
                digest.update(f"{path}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()[:24]


@dataclass(frozen=True)
class Containers:
    """Images and containers of jobs, with the client of an engine that answers; `open_containers` makes it.

    Attributes:
        program: The client: docker or podman.
        folder: Where the logs of builds are.
        assets: Where registered environments are.
        options: Those of `run` that depend on the engine: user and GPUs.
    """

    program: Path
    folder: Path
    assets: Assets = field(default_factory=Assets)
    options: tuple[str, ...] = ()
    _images: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def source(self, spec: CommandSpec) -> ImageSource | None:
        """Sources of the image of a job; None if it names no environment.

        Raises:
            UnsupportedLocallyError: A registered environment is not in the assets file.
            InvalidSpecError: The environment cannot be read.
        """
        value, folder, place = environment_mapping(spec, self.assets)
        if value is None:
            return None
        build, conda, image = value.get("build"), value.get("conda_file"), value.get("image")
        if isinstance(build, dict) and build.get("path"):
            context = (folder / str(build["path"])).absolute()
            dockerfile = context / str(build.get("dockerfile_path") or "Dockerfile")
            if not dockerfile.is_file():
                raise place.error(f"The Dockerfile {dockerfile} cannot be read: there is no such file.")
            return ImageSource(str(dockerfile), dockerfile=dockerfile, context=context)
        if not image:
            raise place.error("The environment names no image and no build context.", "A conda file needs an image.")
        if not conda:
            return ImageSource(str(image), str(image))
        plain = read_yaml(folder / conda).root.plain if isinstance(conda, str) else conda
        return ImageSource(place.file, str(image), conda_file=json.dumps(plain))  # JSON is YAML, too

    def image(self, source: ImageSource, say: Callable[[str], None], stop: StopRequest) -> str:
        """The name or id of an image, which is pulled or built where that was not done before.

        Args:
            source: What it is made of.
            say: Is told what is pulled or built.
            stop: Ends that.

        Raises:
            UnsupportedEnvironmentError: It cannot be pulled or built.
            FailedToWriteOutputsError: The log cannot be written.
            InterruptedRunError: `stop` was requested.
        """
        with self._lock, writing_errors(self.folder):
            key = source.key
            if key not in self._images:
                self._images[key] = self._made(source, self.folder / f"image-{key}.log", say, stop)
            return self._images[key]

    def _made(self, source: ImageSource, log: Path, say: Callable[[str], None], stop: StopRequest) -> str:
        is_pulled = source.dockerfile is None and source.conda_file is None
        if is_pulled and _answers(self.program, "image", "inspect", str(source.image)):
            return str(source.image)
        self.folder.mkdir(parents=True, exist_ok=True)
        say(f"{'Pulling' if is_pulled else 'Building'} the image of {source.label}; its log is {log}.")
        with tempfile.TemporaryDirectory() as folder, log.open("w", encoding="utf-8") as stream:
            context, dockerfile = source.context, source.dockerfile
            if source.conda_file is not None:
                context, dockerfile = Path(folder, "context"), Path(folder, "context", "Dockerfile")
                context.mkdir()
                dockerfile.write_text(_DOCKERFILE.format(image=source.image), encoding="utf-8")
                (context / _CONDA_FILE).write_text(source.conda_file, encoding="utf-8")
            made = Path(folder, "id")
            build = ("build", "--iidfile", str(made), "--file", str(dockerfile), str(context))
            command = ("pull", str(source.image)) if is_pulled else build
            try:
                run_logged((str(self.program), *command), context, stream.fileno(), stop)
            except subprocess.CalledProcessError as error:
                raise not_built("The image of the environment cannot be made.", source.label, log) from error
            return str(source.image) if is_pulled else made.read_text(encoding="utf-8").strip()


def open_containers(assets: Assets | None = None) -> Containers:
    """The engine of this machine.

    Raises:
        UnsupportedLocallyError: There is no client, or no engine that answers it.
        UnsupportedEnvironmentError: The user has no home folder, in which the logs would be.
    """
    program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        raise UnsupportedLocallyError(
            "There is neither docker nor podman on this machine.",
            where="--environments docker",
            advice="Install Docker Engine or Podman, or use `--environments build`.",
        )
    about = _ask(Path(program), "info")
    if about.returncode != 0:
        raise UnsupportedLocallyError(
            f"The container engine does not answer {program}.",
            where="--environments docker",
            examples=(about.stderr.strip() or about.stdout.strip()).splitlines()[-1:],
            advice=f"Start the engine, and see that `{Path(program).name} info` works for this user.",
        )
    folder = user_cache_folder() / "environments"
    return Containers(Path(program), folder, assets or Assets(), _options(Path(program), about.stdout))


def _options(program: Path, about: str) -> tuple[str, ...]:
    """Options of `run` that depend on the engine, of which `about` is what its client says."""
    options: tuple[str, ...] = ()
    if "nvidia" in about and shutil.which("nvidia-smi") is not None:
        options = ("--gpus", "all")
    if program.stem == "podman":
        return (*options, "--userns", "keep-id")
    if not hasattr(os, "getuid") or re.search(r"^\s*rootless\s*$", about, re.MULTILINE):  # root in it is the user
        return options
    return (*options, "--user", f"{os.getuid()}:{os.getgid()}")


@dataclass(frozen=True)
class Container:
    """Container of one job, or of one process of it.

    Attributes:
        engine: Runs it.
        image: See `Containers.image`.
        read_only: Paths that it sees and cannot change.
        writable: Paths that it sees and can change.
        shm_size: Size of /dev/shm as Docker writes it, or None.
        name: Its name.
    """

    engine: Containers
    image: str
    read_only: Iterable[Path]
    writable: Iterable[Path]
    shm_size: str | None = None
    name: str = field(default_factory=lambda: f"pytorch-designer-{uuid.uuid4().hex}")

    def arguments(
        self, command: str, working_directory: Path, variables: Iterable[str], *, has_terminal: bool
    ) -> list[str]:
        """The program that runs a command in it with bash, and ends when that ends.

        Args:
            command: The command line.
            working_directory: Where it starts.
            variables: Names of the variables that it gets from the environment of this program: no list of processes
                shows their values.
            has_terminal: Whether it has the terminal.
        """
        written = dict.fromkeys(self.writable)
        mounts = [_mount(path) for path in written]
        mounts += [_mount(path, "readonly") for path in dict.fromkeys(self.read_only) if path not in written]
        return [
            *(
                str(self.engine.program),
                "run",
                "--rm",
                "--init",
                "--name",
                self.name,
                "--label",
                f"{LABEL}={self.name}",
            ),
            *("--network", "host", "--shm-size", self.shm_size or _SHM_SIZE, "--workdir", str(working_directory)),
            *("--security-opt", "label=disable", *self.engine.options),
            *(("--interactive", "--tty") if has_terminal else ()),
            *("--env", "HOME=/tmp", "--env", "TINI_KILL_PROCESS_GROUP=1"),
            *(word for name in sorted(variables) for word in ("--env", name)),
            *(word for mount in mounts for word in ("--mount", mount)),
            *("--entrypoint", "bash", self.image, "-c", _WAITING + command),
        ]

    @property
    def removal(self) -> tuple[str, ...]:
        """The program that ends and removes it, if it is still there."""
        return (str(self.engine.program), "rm", "--force", self.name)


def _mount(path: Path, *options: str) -> str:
    """A value of `--mount`, which is a line of comma-separated values."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(["type=bind", f"source={path}", f"target={path}", *options])
    return text.getvalue()


def _answers(program: Path, *arguments: str) -> bool:
    return _ask(program, *arguments).returncode == 0


def _ask(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(program), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))
