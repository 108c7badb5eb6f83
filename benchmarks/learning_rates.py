"""Suggestions of the range test, compared with the best learning rate of a short run.

    python benchmarks/learning_rates.py --folder FOLDER --output RUNS.jsonl [--seeds 1 2]
    python benchmarks/learning_rates.py --output RUNS.jsonl --table

FOLDER is that of fine_tuning.py. A task is a set, a number of images per class and of epochs, from scratch or from the
weights of a source. It is trained at each rate of a grid; `find-learning-rate` gives its curve. A rule costs as much
accuracy as the run at the rate of the grid nearest to its suggestion has less than the best of the grid. Accuracy is
that of the best epoch, on 250 images.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import statistics
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "peers"))
from fine_tuning_task import TuningTask, training_rows, weights_file
from measuring import print_conditions
from pytorch_designer.directories.image_directory import open_image_directory
from pytorch_designer.directories.model_directory import open_model_directory
from pytorch_designer.errors import NonFiniteLossError
from pytorch_designer.models.architectures import Architecture
from pytorch_designer.models.saving import save_untrained_model
from pytorch_designer.tracking.tracker import NullTracker
from pytorch_designer.training.datasets import check_datasets
from pytorch_designer.training.rate_search.rate_curve import RateCurve
from pytorch_designer.training.rate_search.rate_report import CURVE_FILE
from pytorch_designer.training.rate_search.rate_search_run import search_learning_rate
from pytorch_designer.training.recipe import Hyperparameters
from pytorch_designer.training.report import trained_output
from pytorch_designer.training.training_run import train_model

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from pytorch_designer.directories.model_directory import ModelDirectory
    from pytorch_designer.training.datasets import LabeledDatasets
    from pytorch_designer.training.history import RunSummary

RATES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)


@dataclass(frozen=True)
class RateTask:
    """A short run whose learning rate is looked for.

    Attributes:
        target: Image set.
        source: Set whose weights it starts from; "" for from scratch.
        images: Per class.
        epochs: Passes over them.
    """

    target: str
    source: str
    images: int
    epochs: int


TASKS = {
    "digits from scratch": RateTask("digits-5-9", "", 60, 3),
    "letters, fine-tuned": RateTask("letters-n-z", "letters-a-m", 40, 3),
    "letters from scratch": RateTask("letters-n-z", "", 60, 3),
    "digits, fine-tuned": RateTask("digits-5-9", "digits-0-4", 40, 3),
    "hues, fine-tuned": RateTask("hues", "letters-a-m", 40, 3),
    "shapes from scratch": RateTask("shapes-2", "", 60, 3),
    "textures from scratch": RateTask("textures", "", 60, 3),
    "shapes, fine-tuned": RateTask("shapes-2", "shapes-1", 40, 3),
    "textures, fine-tuned": RateTask("textures", "letters-a-m", 40, 3),
}


def share_of_lowest(share: float) -> Callable[[RateCurve], float]:
    """The rate with the lowest smoothed loss, times a share."""
    return lambda curve: share * curve.rates[int(curve.smoothed.argmin())]


def steepest(curve: RateCurve) -> float:
    """The rate at which the smoothed loss falls fastest, by the logarithm of the rate."""
    slopes = np.gradient(curve.smoothed, np.log(curve.rates))
    return curve.rates[int(slopes[: int(curve.smoothed.argmin()) + 1].argmin())]


def valley(curve: RateCurve) -> float:
    """Two thirds along the longest falling part of the smoothed loss, as fastai's rule of this name."""
    falling = np.diff(curve.smoothed) < 0
    best, start = (0, 0), 0
    for index, is_falling in enumerate([*falling.tolist(), False]):
        if not is_falling:
            best = max(best, (index - start, start))
            start = index + 1
    length, start = best
    return curve.rates[start + 2 * length // 3]


def most_of_the_fall(share: float) -> Callable[[RateCurve], float]:
    """The lowest rate at which a share of the whole fall is reached."""

    def rate(curve: RateCurve) -> float:
        lowest = int(curve.smoothed.argmin())
        wanted = curve.start - share * (curve.start - float(curve.smoothed[lowest]))
        return curve.rates[int(np.flatnonzero(curve.smoothed[: lowest + 1] <= wanted)[0])]

    return rate


RULES: dict[str, Callable[[RateCurve], float]] = {
    "lowest loss / 10": share_of_lowest(0.1),
    "lowest loss / 5": share_of_lowest(0.2),
    "lowest loss / 3": share_of_lowest(1 / 3),
    "lowest loss": share_of_lowest(1.0),
    "steepest": steepest,
    "steepest / 3": lambda curve: steepest(curve) / 3,
    "valley": valley,
    "half of the fall": most_of_the_fall(0.5),
    "nine tenths of the fall": most_of_the_fall(0.9),
}


def main() -> None:
    """Run what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description="Suggested learning rates compared with the best.")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    if not options.table:
        for seed in options.seeds:
            for name in options.tasks:
                run_missing(name, TASKS[name], seed, options)
    print_tables(read_runs(options.output))


def run_missing(name: str, task: RateTask, seed: int, options: argparse.Namespace) -> None:
    """The curve of a task, and the accuracy at each rate, as far as they are not in the output."""
    known = {(run["task"], run["seed"], run["rate"]) for run in read_runs(options.output)}
    training, validation = (open_image_directory(options.folder / task.target / part) for part in ("training", "test"))
    assert training.labels is not None
    rows = training_rows(training.labels.astype("int64"), TuningTask("", "", task.images, task.epochs, None, seed))
    datasets = check_datasets(training.take(rows), validation.take(np.arange(0, len(validation), 4)))
    with tempfile.TemporaryDirectory() as folder:
        model = open_model(task, options.folder, Path(folder, "untrained"))
        for rate in (None, *RATES):
            if (name, seed, rate) in known:
                continue
            output = Path(folder, f"output {rate}")
            run: dict[str, Any] = {"task": name, "seed": seed, "rate": rate}
            if rate is None:
                run |= sweep(model, datasets, output, seed)
            else:
                run |= train(model, datasets, output, Hyperparameters(task.epochs, 16, rate, seed, task.epochs))
            with options.output.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(run) + "\n")


def open_model(task: RateTask, folder: Path, untrained: Path) -> ModelDirectory:
    """The weights of the source, or an untrained network."""
    if task.source:
        return open_model_directory(weights_file(folder, task.source, "resnet18").with_suffix(""))
    save_untrained_model(untrained, Architecture("resnet18", "torchvision", {}), pretrained=False)
    return open_model_directory(untrained)


def sweep(model: ModelDirectory, datasets: LabeledDatasets, output: Path, seed: int) -> dict[str, Any]:
    """The curve of the range test."""
    search_learning_rate(
        model=model, datasets=datasets, output=output, is_overwriting=False, num_epochs=3, batch_size=16,
        random_seed=seed, num_steps=100,
    )  # fmt: skip
    with (output / CURVE_FILE).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {"rates": [float(row["learning_rate"]) for row in rows], "losses": [float(row["loss"]) for row in rows]}


def train(
    model: ModelDirectory, datasets: LabeledDatasets, output: Path, hyperparameters: Hyperparameters
) -> dict[str, Any]:
    """The validation accuracy of the best epoch; that of guessing where the loss is not finite."""
    summaries: list[RunSummary] = []
    no_report = patch.multiple(
        trained_output,
        gather_images=lambda *_: None,
        write_report=lambda _folder, summary, _images: summaries.append(summary),
    )
    try:
        with no_report:
            train_model(
                model=model, datasets=datasets, trained_model=output, hyperparameters=hyperparameters,
                open_tracker=lambda *_: NullTracker(),
            )  # fmt: skip
    except NonFiniteLossError:
        return {"top1": 1 / len(datasets.training.classes), "loss": None}
    return {"top1": summaries[0].best.validation.top1, "loss": summaries[0].best.validation.loss}


def read_runs(path: Path) -> list[dict[str, Any]]:
    """The runs so far."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def print_tables(runs: list[dict[str, Any]]) -> None:
    """The accuracy at each rate, then what each rule suggests and costs."""
    found: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    curves: dict[str, list[RateCurve]] = defaultdict(list)
    for run in runs:
        if run["rate"] is None:
            curves[run["task"]].append(RateCurve(tuple(run["rates"]), tuple(run["losses"]), has_diverged=False))
        else:
            found[run["task"]][run["rate"]].append(run["top1"])
    print_conditions("ResNet-18, 32 pixels, batch size 16: top-1 of the best epoch by learning rate")
    print(f"| task | {' | '.join(f'{rate:g}' for rate in RATES)} |\n|" + "---|" * (1 + len(RATES)))
    for task, by_rate in found.items():
        row = [statistics.mean(by_rate[rate]) if by_rate[rate] else float("nan") for rate in RATES]
        print(f"| {task} | {' | '.join(f'{mean:.3f}' for mean in row)} |")
    print(f"\n| rule | {' | '.join(found)} | mean loss of top-1 | most |\n|" + "---|" * (3 + len(found)))
    for name, rule in RULES.items():
        costs, cells = [], []
        for task, by_rate in found.items():
            means = {rate: statistics.mean(values) for rate, values in by_rate.items()}
            suggested = np.array([rule(curve) for curve in curves[task]])
            costs += [max(means.values()) - means[nearest(rate, list(means))] for rate in suggested]
            cells.append(", ".join(f"{rate:.1g}" for rate in suggested))
        print(f"| {name} | {' | '.join(cells)} | {statistics.mean(costs):.3f} | {max(costs):.3f} |")


def nearest(rate: float, rates: list[float]) -> float:
    """The rate of a grid that is nearest, by its logarithm."""
    distances: NDArray[np.float64] = np.abs(np.log(np.array(rates) / rate))
    return rates[int(distances.argmin())]


if __name__ == "__main__":
    main()
