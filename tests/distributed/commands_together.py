"""The training command in several processes, as Azure ML would start them, with a fault in one of them.

The processes are forked from the server of `tests.commands`. A fault that no signal and no file can bring about is
put into the process before it becomes the command: torch fails there as it does on a machine that is too small.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests.commands import be_command, complete_environment, fork_context

FAILING_STEP = 5
FULL_DISK_BYTES = 50_000
_TINY_DISK_BYTES = 2_000
_BAD_READ, _HANGING_READ = 17, 25  # after 16 reads of a few images before training
ENVIRONMENT = {
    "PYTORCH_DESIGNER_TRACKING": "off",
    "PYTORCH_DESIGNER_NUM_THREADS": "1",
    "PYTORCH_DESIGNER_CHECKPOINT_SECONDS": "0",
    "OMP_NUM_THREADS": "1",
}
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Member:
    """One process of a run.

    Attributes:
        process: The process.
        streams: Files of its standard output and standard error.
    """

    process: BaseProcess
    streams: tuple[Path, Path]

    @property
    def pid(self) -> int:
        """Number of the process."""
        assert self.process.pid is not None
        return self.process.pid

    def text(self) -> str:
        """The text that it has printed so far."""
        return "".join(path.read_text(encoding="utf-8", errors="replace") for path in self.streams if path.exists())


@dataclass(frozen=True)
class Run:
    """A run of several processes in a folder of its own.

    Attributes:
        folder: Working directory of all; the output is `out` in it.
        members: By rank.
        port: Where they meet.
    """

    folder: Path
    members: tuple[Member, ...]
    port: int

    def wait_until(self, condition: Callable[[], bool], seconds: float = 300) -> None:
        """Wait until something is so, or the test fails."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.logs()
            time.sleep(_POLL_SECONDS)

    def wait_for_training(self) -> None:
        """Wait until the first step has been taken."""
        self.wait_until(lambda: any((self.folder / "out/.checkpoint").glob("*.json")) or self.has_ended())

    def has_ended(self) -> bool:
        """True if all processes have ended."""
        return all(member.process.exitcode is not None for member in self.members)

    def exit_codes(self) -> list[int | None]:
        """Exit codes by rank, negative for signals."""
        return [member.process.exitcode for member in self.members]

    def error_info(self) -> dict[str, Any]:
        """The content of `error_info.json`."""
        found: dict[str, Any] = json.loads((self.folder / "outputs/error_info.json").read_text(encoding="utf-8"))
        return found

    def logs(self) -> str:
        """The text that all have printed."""
        return "\n".join(f"--- rank {rank}\n{member.text()}" for rank, member in enumerate(self.members))

    def leftovers(self) -> list[str]:
        """Leftovers of a run: temporary files, a process that one has started, a port that is listened on."""
        found = [str(path) for path in (self.folder / "tmp").rglob("*")]
        found += [str(path) for path in self.folder.rglob("*.partial")]
        for place in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):  # it has ended in this moment, or is another user's
                if f"TMPDIR={self.folder / 'tmp'}\0".encode() in place.read_bytes():
                    found.append(f"process {place.parent.name}")
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", self.port)) == 0:
                found.append(f"port {self.port}")
        return found


@contextmanager
def training_together(
    folder: Path,
    arguments: Sequence[str],
    size: int,
    *,
    fault: str = "",
    faulty_rank: int = 0,
    replaced: Sequence[str] = (),
    **variables: str,
) -> Iterator[Run]:
    """Start the training command in `size` processes; all are killed at the end.

    Args:
        folder: Working directory, which is created.
        arguments: The command line; `out` is the output.
        size: Number of processes.
        fault: What `_put_in` puts into one of them.
        faulty_rank: Into which.
        replaced: Options of that one that come after the others.
        variables: Environment variables of all, beside those that Azure ML sets.
    """
    (folder / "tmp").mkdir(parents=True)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    context = fork_context()
    members = []
    for rank in range(size):
        environment = {
            **ENVIRONMENT,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            "WORLD_SIZE": str(size),
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "TMPDIR": str(folder / "tmp"),
            **variables,
        }
        is_faulty = rank == faulty_rank
        streams = (folder / f"stdout_{rank}", folder / f"stderr_{rank}")
        own = [*arguments, *(replaced if is_faulty else ())]
        command = (own, folder, complete_environment(environment), streams)
        process = context.Process(target=_be_member, args=(fault if is_faulty else "", command))
        process.start()
        members.append(Member(process, streams))
    try:
        yield Run(folder, tuple(members), port)
    finally:
        for member in members:
            member.process.kill()
            member.process.join(60)


def _be_member(fault: str, command: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if fault:
        _put_in(fault)
    be_command(*command)


def _put_in(fault: str) -> None:
    if "disk" in fault:
        import resource

        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        num_bytes = FULL_DISK_BYTES if fault == "full disk" else _TINY_DISK_BYTES
        resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, limits[1]))  # of each file, as on a full disk
        return
    if fault.startswith("death in "):
        _die_in(fault.removeprefix("death in "))
        return
    if fault == "hanging bad dataset":
        _let_reads_hang()
        return
    import torch

    steps = 0

    def counted(result: Callable[..., Any], failure: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal steps
            steps += 1
            return (failure if steps == FAILING_STEP else result)(*arguments, **options)

        return call

    if fault == "non-finite loss":
        from torch.nn import functional

        from pytorch_designer.training.steps import step

        def diverge(logits: Any, *arguments: Any, **options: Any) -> Any:
            return functional.cross_entropy(logits * torch.nan, *arguments, **options)

        vars(step)["cross_entropy"] = counted(functional.cross_entropy, diverge)
        return

    def fail(*_: Any, **__: Any) -> None:
        if fault == "out of memory":
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 GB")
        raise ZeroDivisionError("a bug")

    torch.Tensor.backward = counted(torch.Tensor.backward, fail)  # type: ignore[method-assign]  # as a patch


def _die_in(phase: str) -> None:
    """The process is killed as soon as it says that it does this."""
    from pytorch_designer.distributed.process_world import ProcessWorld

    note = ProcessWorld.note

    def fatal(world: ProcessWorld, found: str, step: int | None = None) -> None:
        note(world, found, step)
        if found.startswith(phase):
            os.kill(os.getpid(), signal.SIGKILL)

    ProcessWorld.note = fatal  # type: ignore[method-assign, assignment]  # as a patch


def _let_reads_hang() -> None:
    """One file turns out to be bad, and soon nothing more is read."""
    from pytorch_designer.images import loader
    from pytorch_designer.images.bad_files import UndecodableImageError

    read, numbers = vars(loader)["read_image_file"], itertools.count(1)

    def fail(*arguments: Any, **options: Any) -> Any:
        number = next(numbers)
        if number == _BAD_READ:
            raise UndecodableImageError("damaged")
        if number >= _HANGING_READ:
            time.sleep(3600)
        return read(*arguments, **options)

    vars(loader)["read_image_file"] = fail
