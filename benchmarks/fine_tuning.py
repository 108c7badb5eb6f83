"""Fine-tuning on few images, compared with other libraries at their own fine-tuning defaults.

    python benchmarks/fine_tuning.py --folder FOLDER --output RUNS.jsonl [--before SRC] [--peers-python PATH]
        [--pairs ...] [--networks ...] [--images 10 20 50 100 500] [--epochs 1 3 5 10] [--rates 0.0003 0.001 0.003 0.01]
        [--seeds 1 2 3 4 5] [--ways ...]
    python benchmarks/fine_tuning.py --output RUNS.jsonl --table

fine_tuning_pairs.py draws the images, and peers/fine_tuning_*.py train. A network learns the source of a pair by a
plain loop; every way starts from these weights. fine_tuning_public.py and fine_tuning_pretrained.py add pairs of public
data sets and for weights of ImageNet, which `--pairs` names. Each seed draws other training images, the same for all
ways. The best epoch is chosen with 200 validation images, and judged by 1,000 test images that nothing else is done
with; both are twice as many with the ten classes of `mnist`. Choices of this project's recipe are made on the pairs for
development (fine_tuning_pairs.py); the others are held out.

Each run is a line of the output, and runs that are in it are not repeated. `before` is this project at another
version, whose `src` is SRC. Ways with "own rate" use the library's default learning rate instead of the given one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fine_tuning_pairs import IMAGENET, PAIRS, SETS, write_sets
from measuring import print_conditions
from peer_runs import add_peers_option

sys.path.insert(0, str(Path(__file__).parent / "peers"))
from fine_tuning_task import TuningTask, weights_file

PEERS = Path(__file__).parent / "peers"
PROGRAMS = {
    "ours": "fine_tuning_ours.py",
    "before": "fine_tuning_ours.py",
    "torchvision": "fine_tuning_loops.py",
    "timm": "fine_tuning_loops.py",
    "fastai": "fine_tuning_libraries.py",
    "HF Trainer": "fine_tuning_libraries.py",
    "fastai, own rate": "fine_tuning_libraries.py",
    "HF Trainer, own rate": "fine_tuning_libraries.py",
}
COLUMNS = ("ours", "before", "torchvision", "timm", "fastai", "HF Trainer")
OTHERS = tuple(way for way in PROGRAMS if way not in {"ours", "before"})

_DRAWN = [name for name, pair in PAIRS.items() if pair.source in SETS]

Cell = tuple[str, str, int, int, float]
"""Network, pair, images per class, epochs, learning rate."""


def main() -> None:
    """Run what is missing, and print the tables."""
    options = parse_options()
    if not options.table:
        prepare(options)
        for seed in options.seeds:
            for way in options.ways:
                run_missing(way, seed, options)
    print_tables(read_runs(options.output))


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Fine-tuning compared with other libraries.")
    parser.add_argument("--folder", type=Path, help="folder of images and source networks; made where it is missing")
    parser.add_argument("--output", type=Path, required=True, help="file of the runs; it is continued")
    parser.add_argument("--pairs", nargs="+", choices=list(PAIRS), default=_DRAWN)
    parser.add_argument("--networks", nargs="+", default=["resnet18"], help="resnet18, or names of timm's networks")
    parser.add_argument("--images", type=int, nargs="+", default=[10, 20, 50, 100, 500], help="per class")
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 3, 5, 10])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.0003, 0.001, 0.003, 0.01])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--ways", nargs="+", choices=list(PROGRAMS), default=list(PROGRAMS))
    parser.add_argument("--before", type=Path, metavar="SRC", help="the `src` of the version to compare with")
    parser.add_argument("--table", action="store_true", help="print the tables of the runs so far, and run nothing")
    add_peers_option(parser)
    options = parser.parse_args()
    if not options.table and options.folder is None:
        parser.error("--folder is needed to run anything")
    if options.before is None:
        options.ways = [way for way in options.ways if way != "before"]
    return options


def prepare(options: argparse.Namespace) -> None:
    """Draw the images, and let the networks learn the sources."""
    write_sets(options.folder)
    program = PEERS / PROGRAMS["ours"]
    for pair, network in itertools.product(options.pairs, options.networks):
        source = PAIRS[pair].source
        is_missing = not weights_file(options.folder, source, network).with_suffix("").exists()
        if is_missing and source == IMAGENET:
            raise SystemExit(f"{options.folder} has no {network} of ImageNet: run fine_tuning_pretrained.py first")
        if is_missing:
            command = [sys.executable, str(program), "--folder", str(options.folder), "--learn", source, network]
            subprocess.run(command, check=True)


def run_missing(way: str, seed: int, options: argparse.Namespace) -> None:
    """Make the runs of one way and seed that are not in the output, in one process."""
    runs = {(run["way"], key_of(run), run["seed"]) for run in read_runs(options.output)}
    grid = itertools.product(options.networks, options.pairs, options.images, options.epochs, options.rates)
    requests = []
    for network, pair, images, epochs, rate in grid:
        own_rate = way.endswith("own rate")
        if own_rate and rate != options.rates[0]:
            continue
        task = TuningTask(pair, network, images, epochs, None if own_rate else rate, seed)
        if (way, key_of(asdict(task)), seed) not in runs:
            names = {"source": PAIRS[pair].source, "target": PAIRS[pair].target}
            requests.append(json.dumps({"way": way, "task": asdict(task)} | names))
    if not requests:
        return
    python = options.peers_python if PROGRAMS[way] == "fine_tuning_libraries.py" else sys.executable
    environment = os.environ | ({"PYTHONPATH": str(options.before.resolve())} if way == "before" else {})
    command = [python, str(PEERS / PROGRAMS[way])]
    command += ["--folder", str(options.folder.resolve()), "--output", str(options.output.resolve())]
    done = subprocess.run(command, input="\n".join(requests), env=environment, text=True, check=False)
    if done.returncode != 0:
        print(f"{way}, seed {seed}: ended with code {done.returncode}", file=sys.stderr)


def read_runs(path: Path) -> list[dict[str, Any]]:
    """The runs so far."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def key_of(run: dict[str, Any]) -> tuple[Any, ...]:
    """Key of a run's cell, without the way and the seed."""
    return tuple(run[name] for name in ("network", "pair", "images", "epochs", "learning_rate"))


def print_tables(runs: list[dict[str, Any]]) -> None:
    """A table per network, a row per cell: test accuracy by way, and ours less the best other."""
    cells: dict[str, dict[Cell, dict[str, dict[int, float]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(dict))
    )
    for run in runs:
        if run["learning_rate"] is not None:
            cells[run["network"]][key_of(run)][run["way"]][run["seed"]] = run["test_top1"]
    for network, by_cell in cells.items():
        sides = " or ".join(sorted({str(PAIRS[cell[1]].side) for cell in by_cell}))
        print_conditions(f"{network}, {sides} pixels, batch size 16: test top-1, mean ± standard error over seeds")
        print(f"| pair | images | epochs | rate | {' | '.join(COLUMNS)} | ours less the best other | |")
        print("|" + "---|" * (6 + len(COLUMNS)))
        marks: list[str] = []
        for cell in sorted(by_cell, key=lambda cell: (list(PAIRS).index(cell[1]), *cell[2:])):
            difference, mark = against_best(by_cell[cell])
            marks.append(mark)
            means = " | ".join(mean_and_error(list(by_cell[cell][way].values())) for way in COLUMNS)
            _, pair, images, epochs, rate = cell
            print(f"| {pair} | {images} | {epochs} | {rate:g} | {means} | {difference} | {mark} |")
        print(
            f"\nahead in {marks.count('ahead')}, within noise in {marks.count('=')}, behind in {marks.count('behind')}"
        )
        print_averages(list(by_cell.values()))
    print_own_rates(runs)


def against_best(by_way: dict[str, dict[int, float]]) -> tuple[str, str]:
    """The difference of ours to the best other way, paired by seed, and whether it is beyond two standard errors."""
    ours, others = by_way["ours"], [way for way in OTHERS if by_way.get(way)]
    if not ours or not others:
        return "", ""
    best = max(others, key=lambda way: statistics.mean(by_way[way].values()))
    differences = [ours[seed] - by_way[best][seed] for seed in ours.keys() & by_way[best].keys()]
    if len(differences) < 2:
        return f"{statistics.mean(differences or [0.0]):+.3f} ({best})", ""
    mean, error = statistics.mean(differences), statistics.stdev(differences) / len(differences) ** 0.5
    mark = "=" if abs(mean) <= 2 * error else "ahead" if mean > 0 else "behind"
    return f"{mean:+.3f} ± {error:.3f} ({best}, n = {len(differences)})", mark


def print_averages(cells: list[dict[str, dict[int, float]]]) -> None:
    """The difference of ours to each other way, averaged over the cells that both have."""
    for way in COLUMNS[1:]:
        differences = []
        for by_way in cells:
            seeds = by_way["ours"].keys() & by_way[way].keys()
            if seeds:
                differences.append(statistics.mean(by_way["ours"][seed] - by_way[way][seed] for seed in seeds))
        if differences:
            print(f"ours less {way}: {statistics.mean(differences):+.3f}, mean of {len(differences)} cells")
    print()


def print_own_rates(runs: list[dict[str, Any]]) -> None:
    """Ways at their library's own learning rate, beside ours at 0.001."""
    found: dict[tuple[Any, ...], dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for run in runs:
        if run["learning_rate"] is None or (run["way"] == "ours" and run["learning_rate"] == 0.001):
            found[key_of(run)[:4]][run["way"]][run["seed"]] = run["test_top1"]
    own = [way for way in PROGRAMS if way.endswith("own rate")]
    rows = [(key, by_way) for key, by_way in sorted(found.items()) if any(by_way[way] for way in own)]
    if rows:
        print(f"| network | pair | images | epochs | ours at 0.001 | {' | '.join(own)} |\n|" + "---|" * (5 + len(own)))
        for key, by_way in rows:
            means = " | ".join(mean_and_error(list(by_way[way].values())) for way in ("ours", *own))
            print(f"| {' | '.join(map(str, key))} | {means} |")


def mean_and_error(values: list[float]) -> str:
    """Mean and its standard error."""
    if len(values) < 2:
        return ", ".join(f"{value:.3f}" for value in values)
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values) / len(values) ** 0.5:.3f}"


if __name__ == "__main__":
    main()
