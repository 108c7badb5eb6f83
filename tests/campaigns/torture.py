"""Kills a small training run at random moments, again and again, and compares what it ends in with an unharmed run.

    python -m tests.campaigns.torture [--kills 200] [--workers 2] [--seed 1]

Each kill is that of a real process by SIGKILL, SIGTERM or SIGINT, at a moment drawn at random: anywhere from its start,
shortly after a step, or while the model is written. The same command is then started again, and killed again, until
it has been killed often enough and may end. Equal must be: the bytes of the weights, the history with all its metrics,
and the files in the output, so that nothing of the killed processes is left behind.

A checkpoint is written after every step (PYTORCH_DESIGNER_CHECKPOINT_SECONDS=0). Most processes are forked from one
that has imported the libraries, which saves ten seconds a kill; `FRESH_SHARE` of them start with the interpreter.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from tests.commands import succeed
from tests.images.digits import write_digits

PARAMETERS = ("--epochs", "4", "--batch-size", "8", "--learning-rate", "0.05")
ENVIRONMENT = {
    "PYTORCH_DESIGNER_CHECKPOINT_SECONDS": "0",
    "PYTORCH_DESIGNER_TRACKING": "off",
    "PYTORCH_DESIGNER_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
MOMENTS = {"any time": 0.2, "after a step": 0.7, "writing the model": 0.1}
FRESH_SHARE = 0.1
KILLS_PER_RUN = 15
_PROCESS_SECONDS = 300
_TOP = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Kill:
    """One process that a signal has ended.

    Attributes:
        signal: Name of the signal.
        moment: One of `MOMENTS`.
        position: Number of the newest checkpoint after it, -1 without one.
        is_fresh: Whether the process was started with its interpreter, and not forked.
        seconds: Time from the signal to the end of the process.
    """

    signal: str
    moment: str
    position: int
    is_fresh: bool
    seconds: float


@dataclass
class Report:
    """What has happened; `faults` is empty if all is well."""

    kills: list[Kill]
    num_runs: int
    faults: list[str]

    def lines(self) -> Iterator[str]:
        """What people read."""
        counts = Counter((kill.signal, kill.moment) for kill in self.kills)
        yield f"{len(self.kills)} kills, {sum(kill.is_fresh for kill in self.kills)} of them of fresh interpreters"
        for (name, moment), count in sorted(counts.items()):
            yield f"  {name:8} {moment:18} {count}"
        longest = max((kill.seconds for kill in self.kills), default=0.0)
        yield f"at most {longest:.1f} s from a signal to the end of the process"
        yield f"{len({kill.position for kill in self.kills})} different positions of the newest checkpoint after a kill"
        yield f"{self.num_runs} runs ended; {len(self.faults)} faults"
        yield from self.faults


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill training runs at random and compare their results.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        report = _run_worker(options.worker, options.kills, options.seed)
        print(json.dumps(asdict(report)))
        return 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = torture(Path(folder), num_kills=options.kills, num_workers=options.workers, seed=options.seed)
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, seed {options.seed}, ", end="")
    print(f"{time.monotonic() - started:,.0f} s")
    print(*report.lines(), sep="\n")
    return 1 if report.faults else 0


def torture(top: Path, *, num_kills: int, num_workers: int, seed: int) -> Report:
    """Kill `num_kills` processes, in `num_workers` runs at a time, in the folder `top`."""
    write_digits(top / "training", classes=3, per_class=20)
    write_digits(top / "validation", classes=3, per_class=10, skip=20)
    network = ("--model-name", "shufflenet_v2_x0_5", "--pretrained", "False", "--untrained-model", "untrained")
    succeed("image-model", *network, cwd=top)
    succeed(*_arguments(Path("unharmed")), cwd=top, **ENVIRONMENT)
    command = [sys.executable, "-m", "tests.campaigns.torture", "--worker", str(top)]
    workers = [
        subprocess.Popen(
            [*command, "--kills", str(num_kills // num_workers), "--seed", str(seed * 1000 + worker)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=_TOP,
            env=os.environ | ENVIRONMENT,
        )
        for worker in range(num_workers)
    ]
    reports = []
    for worker in workers:
        with worker:
            reports.append(json.loads(worker.communicate()[0]))
    return Report(
        kills=[Kill(**kill) for report in reports for kill in report["kills"]],
        num_runs=sum(report["num_runs"] for report in reports),
        faults=[fault for report in reports for fault in report["faults"]],
    )


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


def _run_worker(top: Path, num_kills: int, seed: int) -> Report:
    """One output folder after the other: kill what writes into it several times, let it end, compare."""
    import pytorch_designer.cli.main  # so that the forked processes need not
    import pytorch_designer.training.run  # noqa: F401

    dice = random.Random(seed)  # noqa: S311 (moments, not secrets)
    expected = outcome(top / "unharmed")
    report = Report([], 0, [])
    while len(report.kills) < num_kills and not report.faults:
        output = top / f"run_{seed}_{report.num_runs}"
        for _ in range(min(KILLS_PER_RUN, num_kills - len(report.kills))):
            if not _kill_one(top, output, dice, report):
                break
            if (output / "_meta.yaml").exists() and outcome(output)["weights"] != expected["weights"]:
                report.faults.append(f"{output.name}: complete after {report.kills[-1]}, with other weights")
        exit_code = _wait(_start(top, output, is_fresh=False))
        report.num_runs += 1
        if exit_code != 0:
            report.faults.append(f"{output.name}: exit code {exit_code}: {_log_of(output)}")
        elif (found := outcome(output)) != expected:
            differing = [name for name in expected if found[name] != expected[name]]
            report.faults.append(f"{output.name}: other {', '.join(differing)}")
        print(f"{output.name} has ended after {len(report.kills)} kills in all", file=sys.stderr, flush=True)
    return report


def _kill_one(top: Path, output: Path, dice: random.Random, report: Report) -> bool:
    """Start the command and send a signal at a random moment; returns False if the run was faster."""
    chosen, moment = dice.choice(SIGNALS), dice.choices(list(MOMENTS), list(MOMENTS.values()))[0]
    is_fresh = dice.random() < FRESH_SHARE
    pid = _start(top, output, is_fresh=is_fresh)
    exit_code = None
    if moment == "any time":
        end = time.monotonic() + dice.uniform(0, 10 if is_fresh else 4)
        exit_code = _wait(pid, until=lambda: time.monotonic() > end)
    elif moment == "after a step":
        enough = _newest_checkpoint(output) + dice.randint(1, 3)
        exit_code = _wait(pid, until=lambda: _newest_checkpoint(output) >= enough, more=dice.uniform(0, 0.2))
    else:
        staging = output / ".staging"
        exit_code = _wait(pid, until=(staging / "model.safetensors").exists, more=dice.random() ** 2)
    signalled_at = time.monotonic()
    if exit_code is None:
        os.kill(pid, chosen)
        exit_code = _wait(pid)
    if exit_code == 0:
        return False
    if exit_code not in {-chosen, 128 + chosen}:
        report.faults.append(f"{output.name}: {moment}, {chosen.name}: exit code {exit_code}: {_log_of(output)}")
        return False
    seconds = time.monotonic() - signalled_at
    report.kills.append(Kill(chosen.name, moment, _newest_checkpoint(output), is_fresh, seconds))
    return True


def _start(top: Path, output: Path, *, is_fresh: bool) -> int:
    """Start the training command; returns the number of its process."""
    pid = os.fork()
    if pid == 0:
        _become_command(top, output, is_fresh=is_fresh)
    return pid


def _become_command(top: Path, output: Path, *, is_fresh: bool) -> NoReturn:
    exit_code = 1
    try:
        os.chdir(top)
        log = os.open(output.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if is_fresh:
            os.execv(sys.executable, [sys.executable, "-m", "pytorch_designer", *_arguments(output)])  # noqa: S606
        from pytorch_designer.cli.main import main as run_command

        exit_code = run_command(_arguments(output))
    except KeyboardInterrupt:  # before the command's own handling: the interpreter would end like this
        exit_code = 128 + signal.SIGINT
    except BaseException:  # noqa: BLE001 (nothing may get out of a forked process)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)


def _arguments(output: Path) -> list[str]:
    ports = ("untrained-model=untrained", "training-dataset=training", "validation-dataset=validation")
    return ["train-pytorch-model", *(f"--{port}" for port in ports), *PARAMETERS, "--trained-model", str(output)]


def _wait(pid: int, *, until: Callable[[], bool] | None = None, more: float = 0.0) -> int | None:
    """Wait for the end of a process, or for `more` seconds after `until`; the exit code, or None if it goes on."""
    deadline = time.monotonic() + _PROCESS_SECONDS
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            return None if until else -1
        if until is not None and until():
            until, deadline = None, time.monotonic() + more
            while time.monotonic() < deadline:
                time.sleep(0.002)
            return None
        time.sleep(0.002)


def _newest_checkpoint(output: Path) -> int:
    return max((int(path.stem) for path in output.glob(".checkpoint/*.json") if path.stem.isdigit()), default=-1)


def _log_of(output: Path) -> str:
    return output.with_suffix(".log").read_text(encoding="utf-8")[-1000:]


if __name__ == "__main__":
    sys.exit(main())
