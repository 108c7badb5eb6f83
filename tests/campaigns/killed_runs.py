"""Training commands as processes that are watched, killed, and compared at the end: what `torture` is made of."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pytorch_designer.training.state import training_slices

NUM_EPOCHS = 4
NUM_IMAGES = 30  # four steps per epoch
BATCH_SIZE = 8  # of all processes together, as far as it can be shared evenly
PARAMETERS = ("--epochs", str(NUM_EPOCHS), "--learning-rate", "0.01")
ENVIRONMENT = {
    "PYTORCH_DESIGNER_CHECKPOINT_SECONDS": "0",
    "PYTORCH_DESIGNER_TRACKING": "off",
    "PYTORCH_DESIGNER_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
PHASES = ("start-up", "training", "saving a checkpoint", "validation", "final write", "MLflow's worker")
_PROCESS_SECONDS = 300
_POLL_SECONDS = 0.004


@dataclass(frozen=True)
class Progress:
    """State of a run, as read from the files below its output.

    Attributes:
        position: Number of the newest checkpoint, -1 without one.
        step: Steps of the epoch that it was written after.
        num_epochs: Epochs that have ended.
        saving_ns: When half a checkpoint was written last, 0 without one. What a killed process leaves has its time.
        writing_ns: When the folder in which the model is put together was changed last, 0 without one.
        is_complete: Whether the model is there.
        num_steps: Steps of an epoch.
    """

    position: int
    step: int
    num_epochs: int
    saving_ns: int
    writing_ns: int
    is_complete: bool
    num_steps: int

    def is_writing_since(self, before: Progress) -> bool:
        """True if a process that had found `before` is putting the model together."""
        return self.writing_ns not in (0, before.writing_ns)

    def phase(self, before: Progress) -> str:
        """One of `PHASES`, for a process that had found `before`."""
        if self.is_complete or self.is_writing_since(before):
            return "final write"
        if self.saving_ns not in (0, before.saving_ns):
            return "saving a checkpoint"
        if self.position == before.position:
            return "start-up"
        if self.num_epochs == NUM_EPOCHS:
            return "final write"
        return "validation" if self.step == self.num_steps else "training"


class RunProcess:
    """The training command in a process of its own.

    Args:
        top: The folder of the inputs, where it is started.
        output: Where its model goes; what it prints goes to a file beside that.
        is_fresh: Start it with its interpreter, and do not fork it from this process.
        is_tracked: Let it track to MLflow.
        rank: Number of the process, of several.
        num_processes: Number of processes.
        port: Where several meet.
    """

    def __init__(
        self,
        top: Path,
        output: Path,
        *,
        is_fresh: bool,
        is_tracked: bool = False,
        rank: int = 0,
        num_processes: int = 1,
        port: int = 0,
    ) -> None:
        self._exit_code: int | None = None
        variables = ENVIRONMENT
        if num_processes > 1:
            numbers = {"WORLD_SIZE": num_processes, "RANK": rank, "LOCAL_RANK": rank, "MASTER_PORT": port}
            variables = variables | {name: str(value) for name, value in numbers.items()} | {"MASTER_ADDR": "127.0.0.1"}
        if is_tracked:
            uri = f"sqlite:///{output.with_suffix('.db').as_posix()}"
            variables = variables | {"PYTORCH_DESIGNER_TRACKING": "auto", "MLFLOW_TRACKING_URI": uri}
        # Held back until the child is where it handles them: it must never go on as a second campaign.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        self.pid = os.fork()
        if self.pid == 0:
            command = arguments(output, num_processes)
            _become_command(top, output, variables, before, command, is_fresh=is_fresh)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def exit_code(self) -> int | None:
        """The exit code, negative for a signal, or None as long as it runs."""
        if self._exit_code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self._exit_code = os.waitstatus_to_exitcode(status) if ended else None
        return self._exit_code

    def wait_until(self, condition: Callable[[], bool], *, more_seconds: float = 0.0) -> bool:
        """Wait for a condition and then so much longer; returns whether the process still runs."""
        deadline = time.monotonic() + _PROCESS_SECONDS
        while not condition() and self.exit_code() is None and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        deadline = time.monotonic() + more_seconds
        while self.exit_code() is None and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return self.exit_code() is None

    def wait(self) -> int:
        """Wait for the end; a process that takes more than five minutes is killed."""
        if self.wait_until(lambda: False):
            os.kill(self.pid, signal.SIGKILL)
            self._exit_code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        assert self._exit_code is not None
        return self._exit_code

    def workers(self) -> list[int]:
        """The processes that it has started and that run; on Linux only."""
        lists = Path(f"/proc/{self.pid}/task").glob("*/children")
        try:
            return [int(pid) for path in lists for pid in path.read_text(encoding="ascii").split()]
        except (FileNotFoundError, ProcessLookupError):
            return []


class RunProcesses:
    """The training command in several processes that train together, or in one.

    Args:
        top: See `RunProcess`.
        output: See `RunProcess`.
        num_processes: How many.
        is_fresh: See `RunProcess`.
        is_tracked: See `RunProcess`.
    """

    def __init__(
        self, top: Path, output: Path, num_processes: int, *, is_fresh: bool, is_tracked: bool = False
    ) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        self.members = [
            RunProcess(
                top,
                output,
                is_fresh=is_fresh,
                is_tracked=is_tracked,
                rank=rank,
                num_processes=num_processes,
                port=port,
            )
            for rank in range(num_processes)
        ]

    def wait_until(self, condition: Callable[[], bool], *, more_seconds: float = 0.0) -> bool:
        """See `RunProcess.wait_until`; whether all still run."""
        return self.members[0].wait_until(condition, more_seconds=more_seconds) and all(
            member.exit_code() is None for member in self.members
        )

    def wait(self) -> list[int]:
        """Wait for the end of all; the exit codes by rank."""
        return [member.wait() for member in self.members]

    def workers(self) -> list[int]:
        """The processes that the first one has started; on Linux only."""
        return self.members[0].workers()


def progress_of(output: Path, num_processes: int = 1) -> Progress:
    """Look at an output that a process, or several, may be changing."""
    checkpoints = output / ".checkpoint"
    content: dict[str, Any] = {"step": 0, "history": []}
    position = -1
    for path in sorted(_files(checkpoints, "*.json"), reverse=True):
        if path.stem.isdigit():
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
            except FileNotFoundError:  # replaced by newer ones in this moment
                return progress_of(output, num_processes)
            position = int(path.stem)
            break
    return Progress(
        position=position,
        step=content["step"],
        num_epochs=len(content["history"]),
        saving_ns=max(map(_changed_ns, _files(checkpoints, "*.partial")), default=0),
        writing_ns=_changed_ns(output / ".staging"),
        is_complete=(output / "_meta.yaml").exists(),
        num_steps=len(training_slices(NUM_IMAGES, batch_size(num_processes), num_processes)),
    )


def _files(folder: Path, pattern: str) -> list[Path]:
    """Those that are there; none if the folder goes away in this moment."""
    try:
        return list(folder.glob(pattern))
    except FileNotFoundError:
        return []


def outcome(model: Path) -> dict[str, Any]:
    """Weights, history without its times, and names of all files: equal in two runs."""
    run = json.loads((model / "report/run.json").read_text(encoding="utf-8"))
    for record in run["history"]:
        del record["seconds"], record["images_per_second"]
    return {
        "weights": hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest(),
        "history": run["history"],
        "best_epoch": run["best_epoch"],
        "files": sorted(path.relative_to(model).as_posix() for path in model.rglob("*")),
    }


def end_of_log(output: Path) -> str:
    """The end of what the processes of a run have printed."""
    return output.with_suffix(".log").read_text(encoding="utf-8")[-1000:]


def batch_size(num_processes: int) -> int:
    """Images per step and process."""
    return max(1, BATCH_SIZE // num_processes)


def arguments(output: Path, num_processes: int = 1) -> list[str]:
    """The command line, without the program."""
    parameters = (*PARAMETERS, "--batch-size", str(batch_size(num_processes)))
    ports = ("untrained-model=untrained", "training-dataset=training", "validation-dataset=validation")
    return ["train-pytorch-model", *(f"--{port}" for port in ports), *parameters, "--trained-model", str(output)]


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _become_command(
    top: Path,
    output: Path,
    variables: dict[str, str],
    blocked: set[int | signal.Signals],
    command: list[str],
    *,
    is_fresh: bool,
) -> NoReturn:
    exit_code = 1
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        os.chdir(top)
        os.environ.update(variables)
        log = os.open(output.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if is_fresh:
            os.execv(sys.executable, [sys.executable, "-m", "pytorch_designer", *command])
        from pytorch_designer.cli.main import main as run_command

        exit_code = run_command(command)
    except KeyboardInterrupt:  # before the command's own handling: the interpreter would end like this
        exit_code = 128 + signal.SIGINT
    except BaseException:  # noqa: BLE001 (nothing may get out of a forked process)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)
