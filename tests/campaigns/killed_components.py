"""Kills every component but training at random moments of its life, and compares what the same command ends in then.

    python -m tests.campaigns.killed_components [--kills 120] [--fresh-share 0.3] [--seed 1] [--seconds 600]
    python -m tests.campaigns.killed_components --count-operations [--kills 120] [--seed 1]

Each kill is that of a real process, by SIGKILL or SIGTERM, at a moment drawn evenly from the time that the command
takes undisturbed: it may hit the start of the interpreter, the reading of an archive, the renames and the exit. A share
of the kills (`AIMED_SHARE`) comes shortly after the process has begun to write its output, or has made the last rename
(`_AIMS`). After SIGTERM nothing may be left in the folder for temporary files. The same command is then killed again
(one time in four), and at last ends, or names the output that was complete when the process was killed. The output must
have the files of an undisturbed run, of the same bytes wherever two undisturbed runs agree, nothing may be left in the
folders for temporary files and outputs (but for the lock and the list of renames beside an output that was complete
when the process was killed, which no reader takes for a part of it), no process may go on, and the inputs must be as
they were.

With `--count-operations`, each kill comes before an operation on an output or a temporary file. These are counted, so
that a seed names the same kills on every machine, however busy it is. The tests run a share of those.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import platform
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

from pytorch_designer.components.registry import COMPONENTS
from pytorch_designer.storage.output import OWN_ENTRIES
from tests.campaigns.component_cases import CASES, hashes, without_tracking, write_case_inputs
from tests.commands import fork_context, forked_after, start

SIGNALS = {"SIGKILL": 0.6, "SIGTERM": 0.4}
FRESH_SHARE = 0.3
AIMED_SHARE = 0.4
_AGAIN_SHARE = 0.25
_AIMS = {"*/.staging": 0.1, "*/_meta.yaml": 0.02}  # seconds within which the kill comes after there is such an entry
_OPERATIONS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}
_SECONDS = 300
_POLL_SECONDS = 0.002
_ARCHIVED = {"training": (".zip", ".tar.gz"), "validation": (".zip",)}
_FORMATS = {".zip": "zip", ".tar.gz": "gztar"}


@dataclass(frozen=True)
class Command:
    """A component's command line, but for its outputs.

    Attributes:
        name: The component, with the extension of the archive that it reads.
        component: The component.
        inputs: Folders on its input ports, below the folder of the inputs.
    """

    name: str
    component: str
    inputs: dict[str, str]

    def arguments(self, outputs: Path) -> list[str]:
        """The words after the name of the program."""
        component = COMPONENTS[self.component]
        ports = {port: f"inputs/{name}" for port, name in self.inputs.items()}
        ports |= {port.name: str(outputs / port.name) for port in component.outputs}
        options = {**ports, **CASES[self.component].parameters}
        return [component.command, *(f"--{name.replace('_', '-')}={value}" for name, value in options.items())]


@dataclass
class Undisturbed:
    """What a command ends in when it is left alone.

    Attributes:
        files: Its files by name, with their hashes; empty where two runs disagree.
        seconds: How long it takes, forked and fresh.
        num_operations: How many operations on outputs and temporary files it takes.
    """

    files: dict[str, str]
    seconds: dict[bool, float]
    num_operations: int = 0


@dataclass(frozen=True)
class Moment:
    """When a signal is sent to a process, and which.

    Attributes:
        number: The signal; None: none is sent.
        delay: Seconds after the start of the process, or after there is what `aim` names.
        aim: A pattern below the outputs.
        operation: Number of the operation on an output or a temporary file before which the process sends the signal
            to itself, instead of after a time; 0: they are only counted.
    """

    number: signal.Signals | None = None
    delay: float = math.inf
    aim: str = ""
    operation: int = 0

    def __str__(self) -> str:
        when = f"before operation {self.operation}" if self.operation else f"after {self.delay:.2f} s"
        return f"{self.number.name if self.number else 'no signal'} {when}"


@dataclass
class KillReport:
    """Results of the campaign; `faults` is empty if all is well."""

    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    num_fresh: int = 0
    num_aimed: int = 0
    num_too_late: int = 0
    num_equal: int = 0
    num_complete: int = 0
    faults: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """The report in lines: kills by command and signal."""
        yield f"| component | {' | '.join(SIGNALS)} |"
        yield "|---|---|---|"
        names = sorted({name for name, _ in self.kills})
        for name in (*names, "all"):
            counts = [sum(self.kills[other, s] for other in names if name in (other, "all")) for s in SIGNALS]
            yield f"| {name} | {' | '.join(map(str, counts))} |"
        yield f"{self.kills.total()} kills, {self.num_fresh} of fresh interpreters, the others forked"
        yield f"{self.num_aimed} soon after the output was begun or complete, the others at any moment"
        yield f"{self.num_complete} commands were killed when their output was complete, which the rerun keeps"
        yield f"{self.num_too_late} signals came when the process had ended"
        yield f"{self.num_equal} commands that were killed ended equal; {len(self.faults)} faults"
        yield from self.faults


class Killer:
    """Kills the commands in the folder `top`, one after the other, and compares.

    Args:
        top: A new folder.
        seed: Seed of what is drawn.
        fresh_share: Share of the processes that are fresh interpreters.
        counts_operations: Kill before an operation on a file that is drawn, not at a time: the same ones on each
            machine, however busy it is. All processes are forked.
    """

    def __init__(self, top: Path, seed: int, fresh_share: float, *, counts_operations: bool = False) -> None:
        self._top = top
        self._dice = random.Random(seed)
        self._fresh_share = 0.0 if counts_operations else fresh_share
        self._counts_operations = counts_operations
        self._num_operations = fork_context().Value("i", 0)
        self._temporary = top / "temporary"
        self._temporary.mkdir()
        self.report = KillReport()
        self._commands = write_inputs(top / "inputs")
        self._inputs = hashes(top / "inputs")
        self._undisturbed: dict[str, Undisturbed] = {}

    def run(self, num_kills: int, seconds: float) -> KillReport:
        """Kill so often, and no longer than this; each command in turn."""
        end, number = time.monotonic() + seconds, 0
        while self.report.kills.total() < num_kills and time.monotonic() < end:
            command = self._commands[number % len(self._commands)]
            self._kill_and_finish(command, self._top / f"outputs_{number}")
            number += 1
        if hashes(self._top / "inputs") != self._inputs:
            self.report.faults.append("an input has changed")
        return self.report

    def _kill_and_finish(self, command: Command, outputs: Path) -> None:
        expected = self._undisturbed_of(command)
        num_before = self.report.kills.total()
        while (was_killed := self._kill_one(command, outputs, expected)) and self._dice.random() < _AGAIN_SHARE:
            if is_complete(outputs, expected):
                break
        faults = self._finish(command, outputs, expected, was_killed=was_killed)
        self.report.num_equal += self.report.kills.total() > num_before and not faults
        self.report.faults += [f"{outputs.name}, {command.name}: {fault}" for fault in faults]
        shutil.rmtree(outputs, ignore_errors=True)

    def _undisturbed_of(self, command: Command) -> Undisturbed:
        if command.name not in self._undisturbed:
            seconds, found = {}, []
            for number, is_fresh in enumerate((False, not self._counts_operations)):
                outputs = self._top / f"undisturbed_{number}"
                started = time.monotonic()
                exit_code, printed = self._run(command, outputs, is_fresh=is_fresh)
                seconds[is_fresh] = time.monotonic() - started
                if exit_code != 0:
                    raise RuntimeError(f"{command.name} has failed undisturbed: {printed}")
                found.append(files(outputs))
                shutil.rmtree(outputs)
            same = {name: content if content == found[1].get(name) else "" for name, content in found[0].items()}
            self._undisturbed[command.name] = Undisturbed(same, seconds, self._num_operations.value)
        return self._undisturbed[command.name]

    def _kill_one(self, command: Command, outputs: Path, expected: Undisturbed) -> bool:
        """Send a signal at a random moment; whether it ended the process."""
        is_fresh = self._dice.random() < self._fresh_share
        moment = self._draw_moment(expected, is_fresh=is_fresh)
        assert moment.number is not None
        number, name = moment.number, moment.number.name
        before = self._temporary_names()  # what SIGKILL has left, which this process may not come to remove
        exit_code, printed = self._run(command, outputs, is_fresh=is_fresh, moment=moment)
        if exit_code == 0:
            self.report.num_too_late += 1
            return False
        self.report.kills[command.name, name] += 1
        self.report.num_fresh += is_fresh
        self.report.num_aimed += bool(moment.aim)
        what = f"{outputs.name}, {command.name}, {moment}"
        if exit_code not in (-number, 128 + number):
            self.report.faults.append(f"{what}: exit code {exit_code}: {printed}")
        if name == "SIGTERM" and (left := self._temporary_names() - before):
            self.report.faults.append(f"{what}: left {sorted(left)}")
        return True

    def _draw_moment(self, expected: Undisturbed, *, is_fresh: bool) -> Moment:
        number = signal.Signals[self._dice.choices(list(SIGNALS), list(SIGNALS.values()))[0]]
        if self._counts_operations:
            return Moment(number, operation=self._dice.randint(1, expected.num_operations))
        aim = self._dice.choice(list(_AIMS)) if self._dice.random() < AIMED_SHARE else ""
        return Moment(number, self._dice.uniform(0, _AIMS.get(aim, expected.seconds[is_fresh])), aim)

    def _finish(self, command: Command, outputs: Path, expected: Undisturbed, *, was_killed: bool) -> list[str]:
        was_complete = is_complete(outputs, expected)
        self.report.num_complete += was_killed and was_complete
        exit_code, printed = self._run(command, outputs, is_fresh=False)
        if exit_code != 0 and not (was_complete and "0160" in printed):  # a complete output is kept
            return [f"exit code {exit_code}: {printed}"]
        found = files(outputs)
        if exit_code != 0:  # the refused command has changed nothing, so what a kill left is there until another one
            found = {name: content for name, content in found.items() if OWN_ENTRIES.isdisjoint(name.split("/"))}
            elsewhere = outputs.with_name("elsewhere")
            self._run(command, elsewhere, is_fresh=False)
            shutil.rmtree(elsewhere, ignore_errors=True)
        differing = sorted(name for name, content in expected.files.items() if content and found.get(name) != content)
        faults = [f"other {differing}"] if differing else []
        if set(found) != set(expected.files):
            faults.append(f"other names: {sorted(set(found) ^ set(expected.files))}")
        if left := self._temporary_names():
            faults.append(f"left {sorted(left)}")
            for name in left:
                shutil.rmtree(self._temporary / name, ignore_errors=True)
        return faults

    def _temporary_names(self) -> set[str]:
        return {path.name for path in self._temporary.iterdir()}

    def _run(
        self,
        command: Command,
        outputs: Path,
        *,
        is_fresh: bool,
        moment: Moment = Moment(),
    ) -> tuple[int, str]:
        """Run the command, and send it a signal; its exit code and the end of what it printed."""
        arguments, variables = command.arguments(outputs), {"TMPDIR": str(self._temporary), "OMP_NUM_THREADS": "1"}
        if is_fresh:
            with start(*arguments, cwd=self._top, **variables) as process:
                children = _signal_after(process.pid, process.poll, moment, outputs)
                printed = process.communicate(timeout=_SECONDS)[1]
                exit_code: int | None = process.returncode
        else:
            folders = (str(outputs), str(self._temporary))
            count = partial(_count_operations, moment, folders, self._num_operations)
            before = count if self._counts_operations else None
            with forked_after(before, *arguments, cwd=self._top, **variables) as (child, streams):
                children = _signal_after(child.pid, lambda: child.exitcode, moment, outputs)
                child.join(_SECONDS)
                exit_code = child.exitcode
                printed = streams[1].read_text(encoding="utf-8") if streams[1].exists() else ""
        self._check_ended(command, children)
        return 1 if exit_code is None else exit_code, printed[-500:]

    def _check_ended(self, command: Command, children: Sequence[int]) -> None:
        deadline = time.monotonic() + 10
        while any(_lives(pid) for pid in children) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.report.faults += [f"{command.name}: its process {pid} goes on" for pid in children if _lives(pid)]


def write_inputs(inputs: Path) -> list[Command]:
    """Write what the commands read, as folders and as archives, and return the commands."""
    with without_tracking():
        write_case_inputs(inputs, per_class=30, side=64)
    commands = [Command(name, name, dict(case.inputs)) for name, case in CASES.items() if name != "train_pytorch_model"]
    for folder, extensions in _ARCHIVED.items():
        for extension in extensions:
            packed = inputs / f"{folder}{extension}.folder"
            packed.mkdir()
            shutil.make_archive(str(packed / folder), _FORMATS[extension], inputs / folder)
    archives = {
        "convert_to_image_directory": ("input_dataset", "training", (".zip", ".tar.gz")),
        "split_image_directory": ("input_image_directory", "training", (".zip",)),
        "apply_image_transformation": ("input_image_directory", "training", (".tar.gz",)),
        "score_image_model": ("dataset", "validation", (".zip",)),
    }
    for name, (port, folder, extensions) in archives.items():
        for extension in extensions:
            replaced = {**CASES[name].inputs, port: f"{folder}{extension}.folder"}
            commands.append(Command(f"{name} of {extension}", name, replaced))
    return commands


def is_complete(outputs: Path, expected: Undisturbed) -> bool:
    """Whether all outputs are complete, which the same command refuses to replace."""
    return all((outputs / name).exists() for name in expected.files if name.endswith("/_meta.yaml"))


def files(folder: Path) -> dict[str, str]:
    """Names of all files and folders, hidden ones too, with the hashes of the files."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for path in folder.rglob("*")
    }


def _count_operations(moment: Moment, folders: tuple[str, ...], num_operations: Synchronized[int]) -> None:
    """Count the operations of this process on files below the folders, and send it the signal of the moment."""
    num_operations.value = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        is_read = event == "open" and not int(str(arguments[2])) & (os.O_WRONLY | os.O_RDWR)
        if event in _OPERATIONS and not is_read and str(arguments[0]).startswith(folders):
            num_operations.value += 1
            if moment.number is not None and num_operations.value == moment.operation:
                os.kill(os.getpid(), moment.number)

    sys.addaudithook(count)


def _signal_after(pid: int | None, exit_code: Callable[[], int | None], moment: Moment, outputs: Path) -> list[int]:
    """Watch a process until its moment has come, then send the signal; the processes that it had started meanwhile."""
    assert pid is not None
    children: set[int] = set()
    number = moment.number
    while moment.aim and exit_code() is None and not any(outputs.glob(moment.aim)):
        children.update(_children(pid))
        time.sleep(_POLL_SECONDS)
    end = time.monotonic() + min(moment.delay, _SECONDS)
    while exit_code() is None and time.monotonic() < end:
        children.update(_children(pid))
        time.sleep(_POLL_SECONDS)
    if number is not None and not moment.operation and exit_code() is None:
        children.update(_children(pid))
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    return sorted(children)


def _children(pid: int) -> list[int]:
    """Those of a process, on Linux only."""
    found: list[int] = []
    with suppress(OSError):  # the listing fails, too, once the process has ended
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            with suppress(OSError):
                found += map(int, path.read_text(encoding="ascii").split())
    return found


def _lives(pid: int) -> bool:
    with suppress(OSError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill components at random and compare their results.")
    parser.add_argument("--kills", type=int, default=120)
    parser.add_argument("--fresh-share", type=float, default=FRESH_SHARE)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=math.inf, help="kill no longer than this")
    parser.add_argument("--count-operations", action="store_true", help="kill before operations on files")
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        killer = Killer(Path(folder), options.seed, options.fresh_share, counts_operations=options.count_operations)
        report = killer.run(options.kills, options.seconds)
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, seed {options.seed}, ", end="")
    print(f"{time.monotonic() - started:,.0f} s\n")
    print(*report.lines(), sep="\n")
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
