"""Kills a small training run at random moments, again and again, and compares what it ends in with an unharmed run.

    python -m tests.campaigns.torture [--kills 240] [--processes 1] [--fresh-share 0.1] [--workers 2] [--seed 1]
        [--seconds 200]

Each kill is that of a real process, in a phase of the run drawn at random (`AIMS`) and at a random moment of it, by
SIGKILL, SIGTERM or SIGINT, or by SIGTERM and, a moment later, SIGKILL, as machines are taken away. The same command is
then started again, and killed again, a random number of times, often before it has got any further, until it may end.
Equal must be: the bytes of the weights, the history with all its metrics, and the files in the output, so that nothing
of the killed processes is left behind. Some of the processes track to MLflow: it is then MLflow's worker that is
killed, and the run has to go on; or the run, and the worker has to end by itself.

With `--processes 2` or more, so many train together. One of them is killed, drawn at random, or sometimes all: the
others must end by themselves, soon and not with 0.

A checkpoint is written after every step (PYTORCH_DESIGNER_CHECKPOINT_SECONDS=0). `--fresh-share` of the processes start
with their interpreter, as everywhere else; the others are forked from one that has imported all libraries, to save
time. The phase that is reported is the one that the files of the run showed when the signal was sent.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.campaigns.killed_runs import (
    ENVIRONMENT,
    NUM_IMAGES,
    PHASES,
    Progress,
    RunProcesses,
    end_of_log,
    outcome,
    progress_of,
)
from tests.commands import PRELOADED, succeed
from tests.images.digits import write_digits

SIGNALS = {"SIGKILL": 0.55, "SIGTERM": 0.2, "SIGINT": 0.15, "SIGTERM, SIGKILL": 0.1}
AIMS = {
    "start-up": 0.25,
    "training": 0.25,
    "saving a checkpoint": 0.15,
    "validation": 0.1,
    "final write": 0.15,
    "MLflow's worker": 0.1,
}
TRACKED_SHARE = 0.05
ALL_SHARE = 0.2
FRESH_SHARE = 0.1
MAX_KILLS_PER_RUN = 20
_WORKER_SECONDS = 60  # what is left of a killed run has five on an idle machine
_TOP = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Kill:
    """One process that a signal has ended, or whose MLflow worker it has.

    Attributes:
        run: Name of the output.
        signals: One of `SIGNALS`.
        phase: One of `PHASES`.
        position: Number of the newest checkpoint after it, -1 without one.
        is_fresh: Whether the process was started with its interpreter, and not forked.
        is_tracked: Whether it tracked to MLflow.
        is_repeated: Whether the process had not got further than the one that was killed before it.
        seconds: Time from the signal to the end of the process.
    """

    run: str
    signals: str
    phase: str
    position: int
    is_fresh: bool
    is_tracked: bool
    is_repeated: bool
    seconds: float


@dataclass
class Report:
    """Results of the campaign; `faults` is empty if all is well."""

    kills: list[Kill] = field(default_factory=list)
    equal_runs: list[str] = field(default_factory=list)
    num_signals_too_late: int = 0
    faults: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """The report in lines: kills by phase and signal, in runs that ended like the unharmed one or not."""
        yield f"{'phase':20} {' '.join(f'{name:>17}' for name in SIGNALS)} {'equal':>7} {'unequal':>7}"
        for phase in (*PHASES, "all"):
            kills = [kill for kill in self.kills if phase in (kill.phase, "all")]
            counts = Counter(kill.signals for kill in kills)
            num_equal = sum(kill.run in self.equal_runs for kill in kills)
            cells = " ".join(f"{counts[name]:17}" for name in SIGNALS)
            yield f"{phase:20} {cells} {num_equal:7} {len(kills) - num_equal:7}"
        yield f"{sum(kill.is_fresh for kill in self.kills)} of fresh interpreters, the others forked"
        yield f"{sum(kill.is_tracked for kill in self.kills)} while MLflow was tracking"
        yield f"{sum(kill.is_repeated for kill in self.kills)} before the process had got further than the one before"
        yield f"{self.num_signals_too_late} signals came too late: the run ended well"
        longest = max((kill.seconds for kill in self.kills if kill.phase != PHASES[-1]), default=0.0)
        yield f"at most {longest:.1f} s from a signal to the end of the process"
        yield f"{len({kill.position for kill in self.kills})} different positions of the newest checkpoint after a kill"
        num_runs = len({kill.run for kill in self.kills} | set(self.equal_runs))
        yield f"{len(self.equal_runs)} of {num_runs} runs equal; {len(self.faults)} faults"
        yield from self.faults


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill training runs at random and compare their results.")
    parser.add_argument("--kills", type=int, default=240)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--fresh-share", type=float, default=FRESH_SHARE)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=math.inf, help="kill no longer than this")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        report = _Torturer(options.worker, options.seed, options.fresh_share, options.processes).run(
            options.kills, options.seconds
        )
        print(json.dumps(asdict(report)))
        return 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = torture(
            Path(folder),
            num_kills=options.kills,
            num_workers=options.workers,
            seed=options.seed,
            fresh_share=options.fresh_share,
            num_processes=options.processes,
            seconds=options.seconds,
        )
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, seed {options.seed}, ", end="")
    if options.processes > 1:
        print(f"{options.processes} processes at a time, ", end="")
    print(f"{len(report.kills)} kills, {time.monotonic() - started:,.0f} s")
    print(*report.lines(), sep="\n")
    return 1 if report.faults else 0


def torture(
    top: Path,
    *,
    num_kills: int,
    num_workers: int,
    seed: int,
    fresh_share: float = FRESH_SHARE,
    num_processes: int = 1,
    seconds: float = math.inf,
) -> Report:
    """Kill `num_kills` processes, in `num_workers` runs of `num_processes` at a time, in the folder `top`.

    After `seconds` the runs that go on are let end.
    """
    write_digits(top / "training", classes=3, per_class=NUM_IMAGES // 3)
    write_digits(top / "validation", classes=3, per_class=4, skip=NUM_IMAGES // 3)
    network = ("--model-name", "shufflenet_v2_x0_5", "--pretrained", "False", "--untrained-model", "untrained")
    succeed("image-model", *network, cwd=top)
    unharmed = RunProcesses(top, top / "unharmed", num_processes, is_fresh=True).wait()
    if any(unharmed):
        raise RuntimeError(f"the unharmed run has failed: {unharmed}: {end_of_log(top / 'unharmed')}")
    command = [sys.executable, "-m", "tests.campaigns.torture", "--worker", str(top)]
    workers = [
        subprocess.Popen(
            [
                *command,
                f"--kills={num_kills // num_workers + (worker < num_kills % num_workers)}",
                f"--fresh-share={fresh_share}",
                f"--processes={num_processes}",
                f"--seconds={seconds}",
                f"--seed={seed * 1000 + worker}",
            ],
            stdout=subprocess.PIPE,
            text=True,
            cwd=_TOP,
            env=os.environ | ENVIRONMENT,
        )
        for worker in range(num_workers)
    ]
    report = Report()
    for worker in workers:
        with worker:
            part = json.loads(worker.communicate()[0])
        report.kills += [Kill(**kill) for kill in part["kills"]]
        report.equal_runs += part["equal_runs"]
        report.num_signals_too_late += part["num_signals_too_late"]
        report.faults += part["faults"]
    return report


class _Torturer:
    """Kills what writes into one output several times, lets it end, compares; then the next output."""

    def __init__(self, top: Path, seed: int, fresh_share: float, num_processes: int) -> None:
        for module in PRELOADED:  # so that the forked processes need not
            importlib.import_module(module)
        self._top = top
        self._seed = seed
        self._fresh_share = fresh_share
        self._num_processes = num_processes
        self._dice = random.Random(seed)
        self._expected = outcome(top / "unharmed")
        self._report = Report()
        kinds = {fresh_share > 0, fresh_share >= 1}  # whether a process may be a fresh one
        self._start_seconds = {is_fresh: self._measure_start(is_fresh=is_fresh) for is_fresh in sorted(kinds)}

    def run(self, num_kills: int, seconds: float) -> Report:
        report, number, started = self._report, 0, time.monotonic()

        def has_time() -> bool:
            return time.monotonic() - started < seconds

        while len(report.kills) < num_kills and not report.faults and has_time():
            output = self._top / f"run_{self._seed}_{number}"
            for _ in range(min(self._dice.randint(1, MAX_KILLS_PER_RUN), num_kills - len(report.kills))):
                if not has_time() or not self._kill_one(output):
                    break
            if not report.faults:
                self._finish(output)
            number += 1
            done = f"{len(report.kills)} of {num_kills} kills, {time.monotonic() - started:,.0f} s"
            print(f"{output.name} has ended: {done}", file=sys.stderr, flush=True)
        return report

    def _measure_start(self, *, is_fresh: bool) -> float:
        """Seconds from the start of a process to its first checkpoint."""
        output = self._top / f"start_{self._seed}_{is_fresh}"
        started = time.monotonic()
        process = RunProcesses(self._top, output, self._num_processes, is_fresh=is_fresh)
        process.wait_until(lambda: self._progress(output).position >= 0)
        seconds = time.monotonic() - started
        for member in process.members:
            os.kill(member.pid, signal.SIGKILL)
        process.wait()
        return seconds

    def _kill_one(self, output: Path) -> bool:
        """Start the command and send a signal at a random moment; returns False if the run has ended."""
        signals, aim = _draw(self._dice, SIGNALS), _draw(self._dice, AIMS)
        is_fresh = self._dice.random() < self._fresh_share
        is_tracked = aim == "MLflow's worker" or self._dice.random() < TRACKED_SHARE
        before = self._progress(output)
        process = RunProcesses(self._top, output, self._num_processes, is_fresh=is_fresh, is_tracked=is_tracked)
        victims = self._draw_victims()
        is_running = self._wait_for_moment(process, output, aim, before, self._start_seconds[is_fresh])
        phase = self._progress(output).phase(before)
        workers = process.workers() if is_tracked else []
        is_aimed_at_worker = aim == "MLflow's worker" and bool(workers)
        if is_aimed_at_worker:
            signals, phase = "SIGKILL", aim
            _send("SIGKILL", workers[:1], 0.0)
        elif is_running:
            _send(signals, [process.members[rank].pid for rank in victims], self._dice.uniform(0, 0.3))
        signalled_at = time.monotonic()
        exit_codes = process.wait()
        exit_code = exit_codes[victims[0]]
        seconds = time.monotonic() - signalled_at
        if exit_code == 0 and not is_aimed_at_worker:
            self._report.num_signals_too_late += is_running
            return False
        after = self._progress(output)
        is_repeated = after.position == before.position and exit_code != 0
        self._report.kills.append(
            Kill(output.name, signals, phase, after.position, is_fresh, is_tracked, is_repeated, seconds)
        )
        if after.position < before.position and not (after.writing_ns or after.is_complete):
            self._report.faults.append(f"{self._report.kills[-1]}: fell back from checkpoint {before.position}")
        self._judge(output, exit_code, workers)
        if len({code == 0 for code in exit_codes}) > 1:
            self._report.faults.append(f"{self._report.kills[-1]}: exit codes {exit_codes}: {end_of_log(output)}")
        return exit_code != 0

    def _progress(self, output: Path) -> Progress:
        return progress_of(output, self._num_processes)

    def _draw_victims(self) -> list[int]:
        """Ranks of the processes that get the signals: mostly one."""
        if self._num_processes > 1 and self._dice.random() < ALL_SHARE:
            return list(range(self._num_processes))
        return [self._dice.randrange(self._num_processes)] if self._num_processes > 1 else [0]

    def _wait_for_moment(
        self, process: RunProcesses, output: Path, aim: str, before: Progress, start_seconds: float
    ) -> bool:
        uniform = self._dice.uniform

        def look() -> Progress:
            return self._progress(output)

        if aim == "start-up":
            end = time.monotonic() + uniform(0, start_seconds)
            return process.wait_until(lambda: time.monotonic() > end)
        if aim == "training":
            enough = before.position + self._dice.randint(1, 4)
            return process.wait_until(lambda: self._progress(output).position >= enough, more_seconds=uniform(0, 0.2))
        if aim == "saving a checkpoint":
            return process.wait_until(lambda: self._progress(output).saving_ns not in (0, before.saving_ns))
        if aim == "validation":
            return process.wait_until(
                lambda: _is_validating(self._progress(output), before), more_seconds=uniform(0, 0.05)
            )
        if aim == "final write":
            more_seconds = uniform(0, start_seconds / 2)
            return process.wait_until(lambda: look().is_writing_since(before), more_seconds=more_seconds)
        return process.wait_until(lambda: bool(process.workers()), more_seconds=uniform(0, start_seconds))

    def _judge(self, output: Path, exit_code: int, workers: Sequence[int]) -> None:
        """Note what must not be after a kill."""
        kill = self._report.kills[-1]
        names = kill.signals.split(", ")
        expected = {code for name in names for code in (-signal.Signals[name], 128 + signal.Signals[name])}
        if kill.phase == "MLflow's worker":
            expected = {0}
        if exit_code not in expected:
            self._report.faults.append(f"{kill}: exit code {exit_code}: {end_of_log(output)}")
        elif self._progress(output).is_complete and outcome(output)["weights"] != self._expected["weights"]:
            self._report.faults.append(f"{kill}: complete, with other weights")
        deadline = time.monotonic() + _WORKER_SECONDS
        while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
            time.sleep(0.05)
        for pid in workers:
            if Path(f"/proc/{pid}").exists():
                self._report.faults.append(f"{kill}: its worker {pid} goes on")
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _finish(self, output: Path) -> None:
        is_fresh = self._dice.random() < self._fresh_share
        exit_codes = RunProcesses(self._top, output, self._num_processes, is_fresh=is_fresh).wait()
        if any(exit_codes):
            self._report.faults.append(f"{output.name}: exit codes {exit_codes}: {end_of_log(output)}")
        elif (found := outcome(output)) != self._expected:
            differing = [name for name in self._expected if found[name] != self._expected[name]]
            self._report.faults.append(f"{output.name}: other {', '.join(differing)}")
        else:
            self._report.equal_runs.append(output.name)


def _is_validating(progress: Progress, before: Progress) -> bool:
    return progress.step == progress.num_steps and progress.position != before.position


def _draw(dice: random.Random, shares: dict[str, float]) -> str:
    return dice.choices(list(shares), list(shares.values()))[0]


def _send(signals: str, pids: Sequence[int], pause_seconds: float) -> None:
    for number, name in enumerate(signals.split(", ")):
        time.sleep(pause_seconds if number else 0.0)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.Signals[name])


if __name__ == "__main__":
    sys.exit(main())
