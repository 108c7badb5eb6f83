"""Training commands as processes that are watched, killed, and compared at the end: what `torture` is made of."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

NUM_EPOCHS = 4
NUM_STEPS = 8  # of an epoch: 60 images, 8 at a time
PARAMETERS = ("--epochs", str(NUM_EPOCHS), "--batch-size", "8", "--learning-rate", "0.01")
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
    """What the files below an output say about a run.

    Attributes:
        position: Number of the newest checkpoint, -1 without one.
        step: Steps of the epoch that it was written after.
        num_epochs: Epochs that have ended.
        saving_ns: When half a checkpoint was written last, 0 without one. What a killed process leaves has its time.
        writing_ns: When the folder in which the model is put together was changed last, 0 without one.
        is_complete: Whether the model is there.
    """

    position: int
    step: int
    num_epochs: int
    saving_ns: int
    writing_ns: int
    is_complete: bool

    def is_writing_since(self, before: Progress) -> bool:
        """Whether a process that had found `before` is putting the model together."""
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
        return "validation" if self.step == NUM_STEPS else "training"


class RunProcess:
    """The training command in a process of its own.

    Args:
        top: The folder of the inputs, where it is started.
        output: Where its model goes; what it prints goes to a file beside that.
        is_fresh: Start it with its interpreter, and do not fork it from this process.
        is_tracked: Let it track to MLflow.
    """

    def __init__(self, top: Path, output: Path, *, is_fresh: bool, is_tracked: bool = False) -> None:
        self._exit_code: int | None = None
        variables = ENVIRONMENT
        if is_tracked:
            uri = f"sqlite:///{output.with_suffix('.db').as_posix()}"
            variables = ENVIRONMENT | {"PYTORCH_DESIGNER_TRACKING": "auto", "MLFLOW_TRACKING_URI": uri}
        # Held back until the child is where it handles them: it must never go on as a second campaign.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        self.pid = os.fork()
        if self.pid == 0:
            _become_command(top, output, variables, before, is_fresh=is_fresh)
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


def progress_of(output: Path) -> Progress:
    """Look at an output that a process may be changing."""
    checkpoints = output / ".checkpoint"
    content: dict[str, Any] = {"step": 0, "history": []}
    position = -1
    for path in sorted(_files(checkpoints, "*.json"), reverse=True):
        if path.stem.isdigit():
            try:
                content = json.loads(path.read_text(encoding="utf-8"))
            except FileNotFoundError:  # replaced by newer ones in this moment
                return progress_of(output)
            position = int(path.stem)
            break
    return Progress(
        position=position,
        step=content["step"],
        num_epochs=len(content["history"]),
        saving_ns=max(map(_changed_ns, _files(checkpoints, "*.partial")), default=0),
        writing_ns=_changed_ns(output / ".staging"),
        is_complete=(output / "_meta.yaml").exists(),
    )


def _files(folder: Path, pattern: str) -> list[Path]:
    """Those that are there; none if the folder goes away in this moment."""
    try:
        return list(folder.glob(pattern))
    except FileNotFoundError:
        return []


def outcome(model: Path) -> dict[str, Any]:
    """What two runs must have in common: weights, history without its times, and the names of all files."""
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


def arguments(output: Path) -> list[str]:
    """The command line, without the program."""
    ports = ("untrained-model=untrained", "training-dataset=training", "validation-dataset=validation")
    return ["train-pytorch-model", *(f"--{port}" for port in ports), *PARAMETERS, "--trained-model", str(output)]


def _changed_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _become_command(
    top: Path, output: Path, variables: dict[str, str], blocked: set[int | signal.Signals], *, is_fresh: bool
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
            os.execv(sys.executable, [sys.executable, "-m", "pytorch_designer", *arguments(output)])  # noqa: S606
        from pytorch_designer.cli.main import main as run_command

        exit_code = run_command(arguments(output))
    except KeyboardInterrupt:  # before the command's own handling: the interpreter would end like this
        exit_code = 128 + signal.SIGINT
    except BaseException:  # noqa: BLE001 (nothing may get out of a forked process)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)
