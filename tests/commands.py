"""This program's commands, run as a user would: in a separate process.

Most of a short command's time is the import of torch and MLflow. `run` and `succeed` therefore fork their processes
from a server that has imported them; `start` and `run_fresh` start a new interpreter, as a shell does.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tests.images.digits import write_digits

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

CAN_FORK = "forkserver" in multiprocessing.get_all_start_methods()
# What commands and worlds import on their way, so that no forked process does so again.
PRELOADED = (
    "torch",
    "torchvision",
    "torch.distributed",
    "mlflow.models",
    "matplotlib.figure",
    "sklearn.metrics",
    "pyarrow.parquet",
    "pytorch_designer.cli.main",
    "pytorch_designer.components.registry",
    "pytorch_designer.training.training_run",
    "tests.distributed.worlds",
)
_SECONDS = 300
Result = TypeVar("Result")


def start(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """Start a command; MLflow is off unless the environment says otherwise."""
    return subprocess.Popen(
        [sys.executable, "-m", "pytorch_designer", *map(str, arguments)],
        cwd=cwd,
        env=complete_environment(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def run_fresh(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end in a new interpreter, whatever its exit code."""
    with start(*arguments, cwd=cwd, **environment) as process:
        stdout, stderr = process.communicate(timeout=_SECONDS)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def run(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever its exit code."""
    if not CAN_FORK:
        return run_fresh(*arguments, cwd=cwd, **environment)
    with forked(*arguments, cwd=cwd, **environment) as (process, streams):
        process.join(_SECONDS)
        if process.exitcode is None:
            raise subprocess.TimeoutExpired(arguments, _SECONDS)
        stdout, stderr = (path.read_text(encoding="utf-8") for path in streams)
        return subprocess.CompletedProcess(arguments, process.exitcode, stdout, stderr)


def forked(
    *arguments: str | Path, cwd: Path, **environment: str
) -> AbstractContextManager[tuple[BaseProcess, tuple[Path, Path]]]:
    """The process of a command, and the files of its standard output and standard error; killed at the end."""
    return forked_after(None, *arguments, cwd=cwd, **environment)


@contextmanager
def forked_after(
    before: Callable[[], None] | None, *arguments: str | Path, cwd: Path, **environment: str
) -> Iterator[tuple[BaseProcess, tuple[Path, Path]]]:
    """See `forked`; the process calls `before` first."""
    with tempfile.TemporaryDirectory() as folder:
        streams = (Path(folder, "stdout"), Path(folder, "stderr"))
        command = ([str(argument) for argument in arguments], cwd, complete_environment(environment), streams)
        process = fork_context().Process(target=_be_prepared_command, args=(before, *command))
        process.start()
        try:
            yield process, streams
        finally:
            process.kill()
            process.join(60)


def killed_at_file(folder: Path, name: str, number: int, *arguments: str | Path, cwd: Path, **environment: str) -> int:
    """Run a command that gets a signal as soon as it has given a file its name; its exit code, negative for a signal.

    The process sends it to itself: on a busy machine, one that looks from outside comes too late for a short run.
    """
    before = partial(_send_at_file, folder / name, number)
    with forked_after(before, *arguments, cwd=cwd, **environment) as (process, (_, errors)):
        process.join(_SECONDS)
        assert process.exitcode, errors.read_text(encoding="utf-8")
        return process.exitcode


def call_in_fork(function: Callable[..., Result], *arguments: Any) -> Result:
    """The result of a module's function in a process of its own, which is forked like those of commands."""
    with ProcessPoolExecutor(1, mp_context=fork_context()) as pool:
        return pool.submit(function, *arguments).result(_SECONDS)


def fork_context() -> ForkServerContext:
    """Start of processes by fork from a server, of which each process of the suite has one."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def succeed(*arguments: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command that must succeed; returns its standard output."""
    return succeeded(run(*arguments, cwd=cwd, **environment))


def write_small_inputs(top: Path, *, classes: int, training: int, validation: int) -> None:
    """Write `training` and `validation`, folders with so many digits per class, and `untrained`, a small network."""
    write_digits(top / "training", classes=classes, per_class=training)
    write_digits(top / "validation", classes=classes, per_class=validation, skip=20)
    network = ("--model-name", "shufflenet_v2_x0_5", "--pretrained", "False", "--untrained-model", "untrained")
    succeed("image-model", *network, cwd=top)


def succeeded(done: subprocess.CompletedProcess[str]) -> str:
    """The standard output of a command that must have succeeded."""
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def complete_environment(environment: dict[str, str]) -> dict[str, str]:
    """The variables of a command: those of this process, no tracking, and these."""
    return {**os.environ, "PYTORCH_DESIGNER_TRACKING": "off", **environment}


def _be_prepared_command(before: Callable[[], None] | None, *command: Any) -> None:
    if before is not None:
        before()
    be_command(*command)


def _send_at_file(path: Path, number: int) -> None:
    """Send this process a signal after the file has been renamed to this path: at the next event of any kind."""
    is_due = False

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal is_due
        if event == "os.rename" and Path(os.fsdecode(arguments[1])).absolute() == path:
            is_due = True
        elif is_due and path.exists():
            is_due = False
            os.kill(os.getpid(), number)

    sys.addaudithook(watch)


def be_command(arguments: list[str], cwd: Path, environment: dict[str, str], streams: tuple[Path, Path]) -> None:
    """Make this process what `pytorch-designer` would be: its folder, variables, streams and command line."""
    from pytorch_designer.cli.main import main

    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in enumerate(streams, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 (a descriptor, for good)
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, errors="backslashreplace")  # noqa: SIM115 (the same)
    sys.argv = ["pytorch-designer", *arguments]
    sys.exit(main())
