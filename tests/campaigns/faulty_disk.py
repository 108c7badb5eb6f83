"""Makes the Nth change to a disk fail, for every N, in each component, and looks at what is left.

    python -m tests.campaigns.faulty_disk [--component NAME ...] [--stride 1]

A component runs in a process whose system calls this one decides on (harness/fault_injection): each open for writing,
write, rename, mkdir, unlink and the like below its output is counted, whoever makes it, Python or a library, and the
Nth one ends with "no space left on device" or "input/output error" instead of being carried out. Then:

- the component ended well all the same (the change did not matter), or with a FailedToWriteOutputsError whose path lies
  in the output; any other exception is a fault
- nothing in the output can be taken for a result: no `_meta.yaml`, no `MLmodel`, unless it ended well
- the same run again, on the same output, without a fault, gives what a run on a good disk gives
- nothing was written into an input

The same for reading: the Nth open below an input ends with "input/output error", once; and again, with every later open
of the same path.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytorch_designer.harness.fault_injection.system_call_watch import GO_ON, Answer, SystemCallWatch
from tests.campaigns.component_cases import CASES, outcome, write_case_inputs

_ERRORS = (errno.ENOSPC, errno.EIO)
_NAMED_IN_OUTPUT = "FailedToWriteOutputsError"
_TOP = Path(__file__).parent.parent.parent


@dataclass
class Sweep:
    """Findings of a sweep over one component.

    Attributes:
        num_changes: Changes to the disk of a run without a fault.
        num_reads: Opens below an input of a run without a fault.
        num_failed: Runs that ended in a named error.
        num_unharmed: Runs that ended well all the same.
        faults: What was not as it should be; empty if all is well.
    """

    num_changes: int = 0
    num_reads: int = 0
    num_failed: int = 0
    num_unharmed: int = 0
    faults: list[str] = field(default_factory=list)


class FaultyDisk:
    """Judge of the system calls: fails one of them, and notes what is changed in an input."""

    def __init__(self, inputs: Path) -> None:
        self._inputs = f"{inputs}{os.sep}"
        self._output = ""
        self._number = 0
        self._is_read = False
        self._is_lasting = False
        self.num_calls = 0
        self.failed_path: str | None = None
        self.changed_inputs: list[str] = []

    def arm(self, output: Path, number: int, *, is_read: bool = False, is_lasting: bool = False) -> None:
        """Fail change (or read) number `number` below `output`, and where it is lasting all later ones of its path.

        No change fails for the number 0.
        """
        self._output, self._number, self._is_read = f"{output}{os.sep}", number, is_read
        self._is_lasting = is_lasting
        self.num_calls, self.failed_path = 0, None

    def on_read(self, path: str) -> Answer:
        return self._judge(path, self._inputs, errno.EIO) if self._is_read else GO_ON

    def on_change(self, path: str) -> Answer:
        if path.startswith(self._inputs):
            self.changed_inputs.append(path)
        return GO_ON if self._is_read else self._judge(path, self._output, _ERRORS[self._number % 2])

    def _judge(self, path: str, prefix: str, error: int) -> Answer:
        if not path.startswith(prefix):
            return GO_ON
        self.num_calls += 1
        if self.num_calls == self._number:
            self.failed_path = path
            return Answer(error=error)
        return Answer(error=error) if self._is_lasting and path == self.failed_path else GO_ON


class ComponentProcess:
    """Runs components one after the other, in one process whose system calls `disk` judges."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(self, component: str, inputs: Path, outputs: Path) -> dict[str, Any]:
        """Run it; returns `error`, the name of the exception or None, with its `where` and `message`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([component, str(inputs), str(outputs)]), file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@contextmanager
def component_process(disk: FaultyDisk) -> Iterator[ComponentProcess]:
    """A process for components, ended with the context."""
    environment = {
        "PYTORCH_DESIGNER_CHECKPOINT_SECONDS": "0",
        "PYTORCH_DESIGNER_TRACKING": "off",
        "PYTORCH_DESIGNER_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    with SystemCallWatch(disk, changes=True) as watch:
        command, descriptors = watch.wrap([sys.executable, "-m", "tests.campaigns.faulty_disk", "--serve"])
        with subprocess.Popen(
            command,
            pass_fds=descriptors,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_TOP,
            env=os.environ | environment,
        ) as process:
            yield ComponentProcess(process)
            assert process.stdin is not None
            process.stdin.close()


def sweep(
    process: ComponentProcess,
    disk: FaultyDisk,
    component: str,
    top: Path,
    *,
    stride: int = 1,
    changes: bool = True,
    reads: bool = True,
) -> Sweep:
    """Fail every `stride`-th change and read of a component; `top/inputs` holds what `write_case_inputs` writes."""
    found = Sweep()
    inputs = top / "inputs"
    good = top / component / f"good_{changes}_{reads}"
    disk.arm(good, 0)
    answer = process.run(component, inputs, good)
    assert answer["error"] is None, answer
    found.num_changes = disk.num_calls if changes else 0
    expected = outcome(good)
    if reads:
        disk.arm(inputs, 0, is_read=True)
        process.run(component, inputs, good.with_name("good_to_count_reads"))
        found.num_reads = disk.num_calls
    passes = (("change", found.num_changes), ("read", found.num_reads), ("every_read", found.num_reads))
    for kind, num_calls in passes:
        is_read = kind != "change"
        for number in range(1, num_calls + 1, stride):
            output = top / component / f"{kind}_{number}"
            disk.arm(output, number, is_read=is_read, is_lasting=kind == "every_read")
            answer = process.run(component, inputs, output)
            failed_path = disk.failed_path
            label = f"{component}, {output.name} ({failed_path})"
            found.faults += [f"{label}: {fault}" for fault in _faults(answer, output, is_read=is_read)]
            found.num_failed += answer["error"] is not None
            found.num_unharmed += answer["error"] is None
            disk.arm(output, 0)
            again = process.run(component, inputs, output) if answer["error"] is not None else answer
            if again["error"] is not None:
                found.faults.append(f"{label}: again: {again['message']}")
            else:
                differing = {name for name, _ in outcome(output).items() ^ expected.items()}
                if answer["error"] is None:  # the fault may have been in the removal of a file that is hidden
                    differing = {name for name in differing if not name.split("/")[1].startswith(".")}
                if differing and not _is_listed(failed_path, output):
                    found.faults.append(f"{label}: other outcome: {sorted(differing)}")
    found.faults += [f"{component}: wrote into the input {path}" for path in disk.changed_inputs]
    disk.changed_inputs.clear()
    return found


def _faults(answer: dict[str, Any], output: Path, *, is_read: bool) -> Iterable[str]:
    if answer["error"] is None:
        return
    if not answer["is_named"]:
        yield f"no named error: {answer['message']}"
    elif not is_read and answer["error"] != _NAMED_IN_OUTPUT:
        yield f"another error: {answer['message']}"
    elif not is_read and not str(answer["where"]).startswith(str(output)):
        yield f"another path: {answer['where']}"
    elif answer["where"] is None:
        yield f"no path: {answer['message']}"
    for name in ("_meta.yaml", "MLmodel"):
        if list(output.glob(f"*/{name}")):
            yield f"{name} in a failed output"


def _is_listed(failed_path: str | None, output: Path) -> bool:
    """True if an image that cannot be read is listed beside the scores of the others, as is documented."""
    lists = list(output.glob("scored_dataset/_unscored.csv"))
    return failed_path is not None and bool(lists) and Path(failed_path).name in lists[0].read_text(encoding="utf-8")


def serve() -> None:
    """Run the components that the lines of standard input ask for, and answer each with a line."""
    from pytorch_designer.errors import DesignerError

    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a component prints is no answer
    for line in sys.stdin:
        component, inputs, outputs = json.loads(line)
        answer: dict[str, Any] = {"error": None, "is_named": True, "where": None, "message": ""}
        try:
            CASES[component].run(Path(inputs), Path(outputs))
        except DesignerError as error:
            answer |= {"error": error.name, "where": error.where, "message": str(error)}
        except Exception as error:  # noqa: BLE001 (a bug of a component is what is looked for)
            answer |= {"error": type(error).__name__, "is_named": False, "message": traceback.format_exc()[-1500:]}
        print(json.dumps(answer), file=answers, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Make each change to the disk fail in turn.")
    parser.add_argument("--component", action="append", choices=list(CASES))
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return 0
    started = time.monotonic()
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores\n")
    print("| component | changes | reads | named error | ended well | faults |\n|---|---|---|---|---|---|")
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder).resolve()
        write_case_inputs(top / "inputs")
        disk = FaultyDisk(top / "inputs")
        with component_process(disk) as process:
            for name in options.component or CASES:
                found = sweep(process, disk, name, top, stride=options.stride)
                row = (found.num_changes, found.num_reads, found.num_failed, found.num_unharmed, len(found.faults))
                print(f"| {name} | {' | '.join(map(str, row))} |", flush=True)
                faults += found.faults
    print(f"\n{time.monotonic() - started:,.0f} s", *faults, sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
