"""Training and scoring beside other work, by how long OpenMP's waiting threads spin.

    python benchmarks/shared_machine.py [--runs 3] [--work train-32] [--spin-counts 300000,10000,1000]

Needs scikit-learn, for its images. Whole processes run in turn, round after round: one for each spin count (300,000 is
what OpenMP takes by itself), one whose threads never spin, and a training loop as torchvision's documentation has it.
Each round is done on a quiet machine, beside one and two processes that only count, and with quotas of processor time
(Linux control groups, for which it has to be root).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import print_conditions
from photos import write_photos
from pytorch_designer.models.architectures import Architecture
from pytorch_designer.models.saving import save_untrained_model
from startup import write_digits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CONDITIONS = {"quiet": (0, None), "1 busy": (1, None), "2 busy": (2, None), "quota 1.5": (0, 1.5), "quota 1": (0, 1.0)}
PERIOD_MICROSECONDS = 100_000
BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    for _ in range(1_000_000): pass"
LOOP = Path(__file__).with_name("shared_machine_loop.py")
NUM_SCORED = 1797
WORKS = ("train-32", "train-224", "score-32")


def main() -> None:
    """Write the images and the model, and print a table for each kind of work."""
    parser = argparse.ArgumentParser(description="Speed on a shared machine.")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work", choices=WORKS, action="append")
    parser.add_argument("--condition", choices=CONDITIONS, action="append")
    parser.add_argument("--spin-counts", default="300000,10000,3000,1000")
    options = parser.parse_args()
    ways = {f"spin {int(count):,}": {"GOMP_SPINCOUNT": count} for count in options.spin_counts.split(",")}
    ways["never spin"] = {"OMP_WAIT_POLICY": "PASSIVE"}
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        save_untrained_model(top / "model", Architecture("resnet18"), pretrained=False)
        write_digits(top / "32" / "training", range(320))
        write_digits(top / "32" / "validation", range(320, 352))
        write_digits(top / "32" / "scoring", range(NUM_SCORED))
        write_photos(top / "224" / "training", 32)
        write_photos(top / "224" / "validation", 8, seed=1)
        for work in options.work or WORKS:
            measure(top, work, ways, options.condition or list(CONDITIONS), options.runs)


def measure(top: Path, work: str, ways: dict[str, dict[str, str]], conditions: Sequence[str], num_rounds: int) -> None:
    """Print the table of one kind of work: a row per condition, a column per way; images per second, median."""
    print_conditions(f"{work}, ResNet-18, batches of 16, images per second, n = {num_rounds}")
    names = [*ways, *(["torchvision loop"] if work.startswith("train") else [])]
    print(f"| machine | {' | '.join(names)} |\n|---|{'---|' * len(names)}", flush=True)
    for condition in conditions:
        num_busy, quota = CONDITIONS[condition]
        rates: dict[str, list[float]] = {name: [] for name in names}
        with ExitStack() as stack:
            for _ in range(num_busy):
                stack.enter_context(busy_process())
            join = stack.enter_context(group_with_quota(quota)) if quota else None
            for number in range(num_rounds):
                for name in names if number % 2 == 0 else reversed(names):
                    rates[name].append(images_per_second(top, work, ways.get(name), join))
        cells = [f"{statistics.median(values):.0f} ({min(values):.0f}-{max(values):.0f})" for values in rates.values()]
        print(f"| {condition} | {' | '.join(cells)} |", flush=True)


def images_per_second(
    top: Path, work: str, variables: dict[str, str] | None, join: Callable[[], object] | None
) -> float:
    """Run one process: of training, the rate of its last epochs; of scoring, that of the whole process.

    `variables` None runs the torchvision loop.
    """
    kind, _, size = work.partition("-")
    data = top / size
    environment = {**os.environ, "PYTORCH_DESIGNER_TRACKING": "off", **(variables or {})}
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        if variables is None:
            words = [str(LOOP), str(data / "training"), size]
        elif kind == "score":
            words = command("score-image-model", trained_model=trained_model(top, data), dataset=data / "scoring")
            words += ["--scored-dataset", str(output)]
        else:
            words = train_command(top, data, output, num_epochs=3)
        start = time.perf_counter()
        ended = subprocess.run(
            [sys.executable, *words],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            preexec_fn=join,
        )
        seconds = time.perf_counter() - start
        if variables is None:
            return float(ended.stdout.split()[-1])
        if kind == "score":
            return NUM_SCORED / seconds
        history = json.loads((output / "report" / "run.json").read_text(encoding="utf-8"))["history"]
        return float(statistics.median(epoch["images_per_second"] for epoch in history[1:]))


def command(name: str, **ports: Path) -> list[str]:
    """The words of a component's command after the interpreter."""
    options = [word for port, path in ports.items() for word in (f"--{port.replace('_', '-')}", str(path))]
    return ["-m", "pytorch_designer", name, *options]


def train_command(top: Path, data: Path, output: Path, num_epochs: int) -> list[str]:
    """The words of a training run."""
    ports = {"training_dataset": data / "training", "validation_dataset": data / "validation"}
    words = command("train-pytorch-model", untrained_model=top / "model", trained_model=output, **ports)
    return [*words, "--epochs", str(num_epochs)]


def trained_model(top: Path, data: Path) -> Path:
    """A trained model for the images in `data`, made at the first call."""
    model = top / "trained"
    if not model.exists():
        words: list[str | Path] = ["train-pytorch-model", "--untrained-model", top / "model", "--epochs", "1"]
        words += ["--training-dataset", data / "training", "--validation-dataset", data / "validation"]
        subprocess.run(
            [sys.executable, "-m", "pytorch_designer", *words, "--trained-model", model],
            env={**os.environ, "PYTORCH_DESIGNER_TRACKING": "off"},
            capture_output=True,
            check=True,
        )
    return model


@contextmanager
def busy_process() -> Iterator[None]:
    """A process that keeps one core busy; it ends with this process, also when that is killed."""
    process = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def group_with_quota(cores: float) -> Iterator[Callable[[], object]]:
    """A control group with `cores` of processor time; yields what a new process calls to join it."""
    version_1 = Path("/sys/fs/cgroup/cpu")
    group = (version_1 if version_1.is_dir() else Path("/sys/fs/cgroup")) / f"shared_machine_{os.getpid()}"
    group.mkdir()
    quota = int(cores * PERIOD_MICROSECONDS)
    try:
        if version_1.is_dir():
            (group / "cpu.cfs_quota_us").write_text(str(quota), encoding="ascii")
        else:
            (group / "cpu.max").write_text(f"{quota} {PERIOD_MICROSECONDS}", encoding="ascii")
        yield lambda: (group / "cgroup.procs").write_text("0", encoding="ascii")
    finally:
        group.rmdir()


if __name__ == "__main__":
    main()
