"""Start-up time of Train PyTorch Model: from the start of its process to its first step.

    python benchmarks/startup.py [--runs 5] [--tracking auto]

Needs scikit-learn, for its sample photos and handwritten digits. Two kinds of processes are started in turn, round
after round, because machines are noisy; each is timed from before it is started until its first batch is read and
decoded, where it ends:

- bare: imports torch and torchvision, builds ResNet-18, reads 16 files (startup_bare.py)
- command: `pytorch-designer train-pytorch-model` with the same network and files, all its checks included, up to the
  call of its first training step (startup_command.py)

Processor seconds are those of the process itself, without MLflow's process.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from measuring import describe_ratios, print_conditions
from photos import write_photos
from pytorch_designer.models.architectures import Architecture
from pytorch_designer.models.saving import save_untrained_model
from startup_report import LATE_LIBRARIES, STARTED_AT

NUM_TRAINING, NUM_VALIDATION = 64, 32


@dataclass(frozen=True)
class Start:
    """Report of a process at its first step."""

    seconds: float
    cpu_seconds: float
    libraries: list[str]


def main() -> None:
    """Write the images and the model, start both kinds in turn, and print a table for each kind of images."""
    parser = argparse.ArgumentParser(description="Seconds to the first training step.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tracking", choices=["auto", "off"], default="auto")
    options = parser.parse_args()
    os.environ["PYTORCH_DESIGNER_TRACKING"] = options.tracking
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        save_untrained_model(top / "model", Architecture("resnet18"), pretrained=False)
        write_photos(top / "photos" / "training", NUM_TRAINING)
        write_photos(top / "photos" / "validation", NUM_VALIDATION, seed=1)
        write_digits(top / "digits" / "training", range(NUM_TRAINING))
        write_digits(top / "digits" / "validation", range(NUM_TRAINING, NUM_TRAINING + NUM_VALIDATION))
        for name, size in (("photos", 224), ("digits", 32)):
            measure(top, name, size, options.runs)


def write_digits(folder: Path, rows: range) -> None:
    """Write digits of 32 pixels as JPEG files into class folders."""
    digits = load_digits()
    for row in rows:
        pixels = (digits.images[row] * 255 / 16).round().astype(np.uint8)
        path = folder / str(digits.target[row]) / f"{row:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).convert("RGB").resize((32, 32)).save(path, quality=90)


def measure(top: Path, name: str, size: int, num_runs: int) -> None:
    """Start both kinds of processes once to warm up and then `num_runs` times in turn, and print the table."""
    bare: list[Start] = []
    command: list[Start] = []
    for number in range(num_runs + 1):
        with tempfile.TemporaryDirectory() as folder:  # the output's and the tracking database's
            least, own = start_bare(top / name, size, Path(folder)), start_command(top, name, Path(folder))
        if number > 0:
            bare.append(least)
            command.append(own)
    print_conditions(f"To the first step of ResNet-18, {name} at {size} pixels, batches of 16, n = {num_runs}")
    print("| process | seconds to the first step | of the processor | ratio to bare | lowest to highest ratio |")
    print("|---|---|---|---|---|")
    for label, starts in (("bare", bare), ("command", command)):
        ratios = [start.seconds / base.seconds for start, base in zip(starts, bare, strict=True)]
        seconds = statistics.median(start.seconds for start in starts)
        cpu_seconds = statistics.median(start.cpu_seconds for start in starts)
        print(f"| {label} | {seconds:.2f} | {cpu_seconds:.2f} | {describe_ratios(ratios)} |")
    libraries = sorted({library for start in command for library in start.libraries})
    print(f"\nOf {', '.join(LATE_LIBRARIES)} the command had imported: {', '.join(libraries) or 'none'}\n")


def start_bare(images: Path, size: int, folder: Path) -> Start:
    """Start the bare program."""
    return run_to_first_step(["startup_bare.py", str(images / "training"), str(size)], folder)


def start_command(top: Path, name: str, folder: Path) -> Start:
    """Start the command."""
    ports = {
        "--untrained-model": top / "model",
        "--training-dataset": top / name / "training",
        "--validation-dataset": top / name / "validation",
        "--trained-model": folder / "trained",
    }
    words = [str(word) for option in ports.items() for word in option]
    return run_to_first_step(["startup_command.py", "train-pytorch-model", *words], folder)


def run_to_first_step(words: list[str], folder: Path) -> Start:
    """Run one of the two programs in `folder`, and end MLflow's process, which waits for its parent."""
    program, *arguments = words
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name(program)), *arguments],
        cwd=folder,
        env={**os.environ, STARTED_AT: str(time.time())},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    output, _ = process.communicate()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    report = json.loads(output.splitlines()[-1])
    return Start(report["seconds"], report["cpu_seconds"], report["libraries"])


if __name__ == "__main__":
    main()
