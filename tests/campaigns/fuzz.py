"""Uses damaged inputs of all kinds, each of which must be taken or refused by name, in bounded time and memory.

    python -m tests.campaigns.fuzz [--files 20000] [--first 0] [--workers 2] [--kinds images archives ...]

The inputs are those of tests/campaigns/fuzz_trials.py by their number. They are used in processes of their own, under a
limit on the address space; one that dies ends the campaign with the number of the input that it died of.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KINDS = ("images", "archives", "directories", "models", "requests")
MAX_SECONDS = 5.0
MAX_GROWTH_BYTES = 256 * 2**20
ADDRESS_SPACE_BYTES = 2**30
_TOP = Path(__file__).parent.parent.parent
_NUM_WARM = 200


@dataclass
class Findings:
    """Counts of damaged inputs by their outcome.

    Attributes:
        taken: Inputs that were used, by format.
        refused: Inputs that were refused by name, by format.
        faults: Everything else; empty if all is well.
        slowest_seconds: The longest time that one input took.
        growth_bytes: How much the peak of the resident memory has grown, after the first `_NUM_WARM` inputs.
    """

    taken: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0
    growth_bytes: int = 0

    @property
    def num_files(self) -> int:
        return self.taken.total() + self.refused.total()


def use_inputs(first: int, end: int, kinds: Sequence[str], current: Path) -> Findings:
    """Use the inputs of these numbers; `current` holds the number that is being worked on."""
    from tests.campaigns.fuzz_trials import TRIALS

    findings = Findings()
    peak_at_start = 0
    for number in range(first, end):
        kind = kinds[number % len(kinds)]
        current.write_text(f"{number} ({kind})")
        started = time.perf_counter()
        try:
            name, is_taken = TRIALS[kind](number // len(kinds), current.parent)
            (findings.taken if is_taken else findings.refused)[name] += 1
        except (Exception, Warning) as error:  # noqa: BLE001 (what is looked for)
            findings.faults.append(f"{number} ({kind}): {type(error).__name__}: {error}"[:1000])
        seconds = time.perf_counter() - started
        findings.slowest_seconds = max(findings.slowest_seconds, seconds)
        if seconds > MAX_SECONDS:
            findings.faults.append(f"{number} ({kind}): {seconds:.1f} s")
        if number == first + _NUM_WARM:
            peak_at_start = _peak_bytes()
    if peak_at_start:
        findings.growth_bytes = _peak_bytes() - peak_at_start
    if findings.growth_bytes > MAX_GROWTH_BYTES:
        findings.faults.append(f"the memory grew by {findings.growth_bytes:,} bytes")
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(description="Use damaged inputs.")
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    end = options.first + options.files
    if options.worker is not None:
        _limit_address_space(options.worker.parent)
        print(json.dumps(vars(use_inputs(options.first, end, options.kinds, options.worker))))
        return 0
    started = time.monotonic()
    findings = fuzz(options.first, end, num_workers=options.workers, kinds=options.kinds)
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, ", end="")
    print(f"inputs {options.first} to {end - 1}, {time.monotonic() - started:,.0f} s\n")
    print("| format | taken | refused by name |\n|---|---|---|")
    for name in sorted(findings.taken | findings.refused):
        print(f"| {name} | {findings.taken[name]:,} | {findings.refused[name]:,} |")
    print(f"| all {findings.num_files:,} | {findings.taken.total():,} | {findings.refused.total():,} |\n")
    growth_mebibytes = findings.growth_bytes / 2**20
    print(f"slowest input {findings.slowest_seconds:.2f} s, growth of the peak memory {growth_mebibytes:.1f} MiB")
    print(f"{len(findings.faults)} faults", *findings.faults, sep="\n")
    return 1 if findings.faults else 0


def fuzz(first: int, end: int, *, num_workers: int, kinds: Sequence[str] = KINDS) -> Findings:
    """Use the inputs of these numbers in processes of their own."""
    share = -(-(end - first) // num_workers)
    total = Findings()
    with tempfile.TemporaryDirectory() as folder:
        workers = []
        for worker, start in enumerate(range(first, end, share)):
            current = Path(folder) / str(worker) / "current"
            current.parent.mkdir()
            options = ["--worker", str(current), "--first", str(start), "--files", str(min(share, end - start))]
            command = [sys.executable, "-W", "error", "-m", "tests.campaigns.fuzz", *options, "--kinds", *kinds]
            environment = os.environ | {"TMPDIR": str(current.parent)}
            with current.with_suffix(".log").open("w") as log:  # where C libraries say what they think of the files
                process = subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=_TOP, env=environment
                )
            workers.append((process, current))
        for process, current in workers:
            with process:
                printed = process.communicate()[0]
            if process.returncode != 0:
                number = current.read_text() if current.exists() else "none"
                log_end = current.with_suffix(".log").read_text(errors="replace")[-1000:]
                total.faults.append(f"a process ended with code {process.returncode} at input {number}: {log_end}")
                continue
            _add(total, json.loads(printed))
    return total


def _add(total: Findings, found: dict[str, Any]) -> None:
    total.taken += Counter(found["taken"])
    total.refused += Counter(found["refused"])
    total.faults += found["faults"]
    total.slowest_seconds = max(total.slowest_seconds, found["slowest_seconds"])
    total.growth_bytes = max(total.growth_bytes, found["growth_bytes"])


def _limit_address_space(folder: Path) -> None:
    """Let the process have so much memory more than its libraries take, where the platform can tell (Linux)."""
    from tests.campaigns.fuzz_trials import prepare

    prepare(folder)
    status = Path("/proc/self/status")
    if not status.exists():
        return
    import resource

    taken = next(int(line.split()[1]) * 1024 for line in status.read_text().splitlines() if line.startswith("VmSize"))
    limit = taken + ADDRESS_SPACE_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _peak_bytes() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    sys.exit(main())
