"""Validation accuracy for the same five parameters, compared with other libraries at their defaults.

    python benchmarks/accuracy.py --output RUNS.jsonl [--peers-python PATH] [--seeds 5] [--jobs 2] [--threads 1]

ResNet-18 from scratch on the two sets of harder_digits.py, by each library and seed. The result of a run is the highest
validation top-1 of its epochs. Each run is a line of the output, and runs that are in it are not repeated, so an
interrupted benchmark continues when it is started again. `--table` prints the table of the runs so far.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harder_digits import write_harder_digits, write_plain_digits
from measuring import print_conditions
from peer_runs import PROGRAMS, Task, add_peers_option, run_way

SETS = ("digits", "harder")


@dataclass(frozen=True)
class Run:
    """One training run."""

    dataset: str
    learning_rate: float
    way: str
    seed: int


def main() -> None:
    """Run what is missing, and print the table."""
    parser = argparse.ArgumentParser(description="Validation accuracy by library.")
    parser.add_argument("--output", type=Path, required=True, help="file of the runs; it is continued")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--learning-rates", type=float, nargs="+", default=[0.001, 0.01])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--training", type=int, default=1000, help="training images of the harder digits")
    parser.add_argument("--validation", type=int, default=2000, help="validation images of the harder digits")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side")
    parser.add_argument("--threads", type=int, default=1, help="threads that compute in each run")
    parser.add_argument("--table", action="store_true", help="print the table of the runs so far, and run nothing")
    add_peers_option(parser)
    options = parser.parse_args()
    # Seed by seed, so that what there is after an interruption can be compared.
    wanted = [
        Run(name, learning_rate, way, seed)
        for seed in range(1, options.seeds + 1)
        for name, learning_rate, way in itertools.product(options.sets, options.learning_rates, PROGRAMS)
    ]
    if not options.table:
        missing = [run for run in wanted if run not in read_results(options.output)]
        run_missing(missing, options)
    results = read_results(options.output)
    for name, learning_rate in itertools.product(options.sets, options.learning_rates):
        print_conditions(f"{name}, {task(learning_rate).describe()}, mean and standard error")
        print_accuracies(name, learning_rate, results, options.seeds)


def task(learning_rate: float) -> Task:
    """The task of each run."""
    return Task(size=32, epochs=5, learning_rate=learning_rate)


def run_missing(runs: list[Run], options: argparse.Namespace) -> None:
    """Run in as many processes as asked for, and append each result as soon as it is known."""
    with tempfile.TemporaryDirectory() as folder:
        data = {name: Path(folder, name) for name in SETS}
        write_plain_digits(data["digits"])
        write_harder_digits(data["harder"], options.training, options.validation)

        def run_one(run: Run) -> dict[str, Any]:
            result = run_way(
                run.way,
                task(run.learning_rate),
                data[run.dataset],
                seed=run.seed,
                threads=options.threads,
                peers_python=options.peers_python,
            )
            return asdict(run) | asdict(result)

        with ThreadPoolExecutor(options.jobs) as jobs:
            pending = [jobs.submit(run_one, run) for run in runs]
            try:
                for number, done in enumerate(as_completed(pending), 1):
                    line = done.result()
                    with options.output.open("a", encoding="utf-8") as stream:
                        stream.write(json.dumps(line) + "\n")
                    best = max(epoch["validation_top1"] for epoch in line["epochs"])
                    what = f"{line['dataset']}, {line['learning_rate']}, {line['way']}, seed {line['seed']}"
                    print(f"{number}/{len(runs)} {what}: {best:.4f}, {line['seconds']:.0f} s", flush=True)
            finally:
                jobs.shutdown(cancel_futures=True)


def read_results(path: Path) -> dict[Run, float]:
    """The highest validation top-1 by run."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    records = [json.loads(line) for line in lines]
    return {
        Run(record["dataset"], record["learning_rate"], record["way"], record["seed"]): max(
            epoch["validation_top1"] for epoch in record["epochs"]
        )
        for record in records
    }


def print_accuracies(dataset: str, learning_rate: float, results: dict[Run, float], num_seeds: int) -> None:
    """Print a row per library; differences are between runs of the same seed."""
    print("| way | validation top-1 | ours less this | n |\n|---|---|---|---|")
    by_seed = {
        way: [results.get(Run(dataset, learning_rate, way, seed)) for seed in range(1, num_seeds + 1)]
        for way in PROGRAMS
    }
    for way, accuracies in by_seed.items():
        pairs = [
            (this, ours)
            for this, ours in zip(accuracies, by_seed["ours"], strict=True)
            if this is not None and ours is not None
        ]
        difference = "" if way == "ours" else mean_and_error([ours - this for this, ours in pairs], sign="+")
        print(f"| {way} | {mean_and_error([this for this, _ in pairs])} | {difference} | {len(pairs)} |")
    print()


def mean_and_error(values: list[float], *, sign: str = "") -> str:
    """Mean and its standard error, or the values themselves if there are fewer than two."""
    if len(values) < 2:
        return ", ".join(f"{value:{sign}.4f}" for value in values)
    error = statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.mean(values):{sign}.4f} +- {error:.4f}"


if __name__ == "__main__":
    main()
