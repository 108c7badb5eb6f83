"""Training in several processes: efficiency, time of the exchange, start-up; and whether bits and kills hold.

    python benchmarks/scaling.py [--processes 2] [--model resnet18] [--batch-size 16] [--images 192] [--runs 5]
    python benchmarks/scaling.py --check [--processes 2]

A round runs the training command twice, in turn: as several processes that train one network together, each with
`--images` images per epoch, and as as many independent processes side by side, each with a network and with `--images`
images of its own. Efficiency is the ratio of the images per second of the last epoch, which finds its images in memory.
Start-up is the time of the whole command without its epochs, to that of one process alone.

The exchange is the sum of as many gradients as the network has, in buckets as in training, without a network.

Each process has a GPU of its own and NCCL where there are as many, else its share of the cores and gloo.

`--check` trains in all GPUs of the machine (or in `--processes` without any): twice, and once more with a process that
is killed in each of three places, and the command repeated. The weights must be equal, bit for bit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from measuring import describe_ratios, print_conditions
from photos import write_photos
from pytorch_designer.distributed.gradients import BUCKET_BYTES
from pytorch_designer.distributed.participation import joined_world
from pytorch_designer.models.architectures import build_network, find_architecture
from pytorch_designer.system.process_trees import descendants
from pytorch_designer.system.resources import usable_cores

NUM_EPOCHS = 3
NUM_EXCHANGES = 30
NUM_GPUS = torch.cuda.device_count() if torch.cuda.is_available() else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure training in several processes.")
    parser.add_argument("--processes", type=int, default=max(2, NUM_GPUS))
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--images", type=int, default=192, help="per process and epoch")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--exchange-bytes", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.exchange_bytes is not None:
        exchange(options.exchange_bytes)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options)
        return bench.check() if options.check else bench.measure()


class Bench:
    """Commands in one folder, with their images and an untrained model."""

    def __init__(self, top: Path, options: argparse.Namespace) -> None:
        self.top = top
        self.options = options
        self.num = options.processes
        self.has_gpus = self.num <= NUM_GPUS
        write_photos(top / "validation", 2 * options.batch_size, seed=1)
        network = ("--model-name", options.model, "--pretrained", "False", "--untrained-model", "untrained")
        _wait([self.start("image-model", *network)])

    def measure(self) -> int:
        """Print efficiency, start-up and the time of the exchange."""
        write_photos(self.top / "together", self.num * self.options.images, seed=2)
        for number in range(self.num):
            write_photos(self.top / f"alone_{number}", self.options.images, seed=3 + number)
        rates: dict[str, list[float]] = {"together": [], "independent": []}
        start_ups: dict[str, list[float]] = {"together": [], "one": []}
        for number in range(self.options.runs):
            self.round(number, rates, start_ups)
        self.print_conditions(f"weak scaling, {self.options.images} images per process, n = {self.options.runs}")
        print("| way | images per second | efficiency | lowest to highest |\n|---|---|---|---|")
        for name, values in rates.items():
            ratios = [value / base for value, base in zip(values, rates["independent"], strict=True)]
            print(f"| {name} | {statistics.median(values):,.1f} | {describe_ratios(ratios)} |")
        ratios = [value / base for value, base in zip(start_ups["together"], start_ups["one"], strict=True)]
        print(f"\nStart-up of {self.num} processes: {statistics.median(start_ups['together']):.1f} s, ", end="")
        print(f"ratio to one: {describe_ratios(ratios).replace(' | ', ', ')}")
        self.measure_exchange()
        return 0

    def round(self, number: int, rates: dict[str, list[float]], start_ups: dict[str, list[float]]) -> None:
        """Train each way once."""
        begin = time.monotonic()
        _wait([self.train("together", f"out_together_{number}", self.num)])
        seconds = time.monotonic() - begin
        history = self.history(f"out_together_{number}")
        rates["together"].append(history[-1]["images_per_second"])
        start_ups["together"].append(seconds - sum(epoch["seconds"] for epoch in history))
        names = [f"out_alone_{number}_{other}" for other in range(self.num)]
        _wait([self.train(f"alone_{other}", name, 1, place=other) for other, name in enumerate(names)])
        rates["independent"].append(sum(self.history(name)[-1]["images_per_second"] for name in names))
        begin = time.monotonic()
        _wait([self.train("alone_0", f"out_one_{number}", 1)])
        seconds = time.monotonic() - begin - sum(epoch["seconds"] for epoch in self.history(f"out_one_{number}"))
        start_ups["one"].append(seconds)
        for name in ("out_together", "out_alone", "out_one"):
            for path in self.top.glob(f"{name}_{number}*"):
                shutil.rmtree(path)

    def measure_exchange(self) -> None:
        """Print the time of the sum of the network's gradients over all processes."""
        weights = build_network(find_architecture(self.options.model), 1000)
        num_bytes = 4 * sum(parameter.numel() for parameter in weights.parameters())
        port = _free_port()
        processes = []
        for rank in range(self.num):
            place = {"WORLD_SIZE": self.num, "RANK": rank, "LOCAL_RANK": rank, "MASTER_PORT": port}
            variables = {name: str(value) for name, value in place.items()} | {"MASTER_ADDR": "127.0.0.1"}
            command = [sys.executable, __file__, "--exchange-bytes", str(num_bytes)]
            processes.append(
                subprocess.Popen(command, env=self.variables(self.num) | variables, stdout=subprocess.PIPE, text=True)
            )
        first, *_ = _wait(processes)
        print(first.strip())

    def check(self) -> int:
        """Compare the weights of runs that are repeated, and killed and continued."""
        write_photos(self.top / "together", self.num * 8 * self.options.batch_size, seed=2)
        self.print_conditions("equal bits")
        _wait([self.train("together", "first", self.num)])
        _wait([self.train("together", "again", self.num)])
        expected, equal = self.weights("first"), self.weights("again")
        print(f"the same command again: {'equal' if equal == expected else 'UNEQUAL'}")
        is_well = equal == expected
        for victim in range(min(3, self.num)):
            name = f"killed_{victim}"
            process = self.train("together", name, self.num)
            while process.poll() is None and not any((self.top / name / ".checkpoint").glob("*.json")):
                time.sleep(0.02)
            members = [pid for pid in descendants([process.pid]) if pid != process.pid]
            os.kill(members[victim], signal.SIGKILL)
            began = time.monotonic()
            process.communicate()
            seconds = time.monotonic() - began
            _wait([self.train("together", name, self.num)])
            is_equal = self.weights(name) == expected
            is_well = is_well and is_equal and process.returncode != 0
            print(
                f"process {victim} killed: all had ended after {seconds:.1f} s with exit code {process.returncode}; "
                f"continued: {'equal' if is_equal else 'UNEQUAL'}"
            )
        return 0 if is_well else 1

    def train(self, images: str, output: str, num_processes: int, *, place: int = 0) -> subprocess.Popen[str]:
        """Start the training command."""
        ports = ("--untrained-model=untrained", f"--training-dataset={images}", "--validation-dataset=validation")
        options = (f"--epochs={NUM_EPOCHS}", f"--batch-size={self.options.batch_size}", f"--trained-model={output}")
        return self.start("train-pytorch-model", *ports, *options, num_processes=num_processes, place=place)

    def start(self, *arguments: str, num_processes: int = 1, place: int = 0) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "pytorch_designer", *arguments],
            cwd=self.top,
            env=self.variables(num_processes, place),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def variables(self, num_processes: int, place: int = 0) -> dict[str, str]:
        """The environment of a command: each process has a GPU, or its share of the cores."""
        own = {"PYTORCH_DESIGNER_PROCESSES": str(num_processes), "PYTORCH_DESIGNER_TRACKING": "off"}
        own["PYTORCH_DESIGNER_CHECKPOINT_SECONDS"] = "0" if self.options.check else "1000"
        if not self.has_gpus:
            own["PYTORCH_DESIGNER_DEVICE"] = "cpu"
            own["PYTORCH_DESIGNER_NUM_THREADS"] = str(max(1, usable_cores() // self.num))
        elif num_processes == 1:
            own["PYTORCH_DESIGNER_DEVICE"] = f"cuda:{place}"
        return os.environ | own

    def history(self, output: str) -> list[dict[str, Any]]:
        """The epochs of a run."""
        found: list[dict[str, Any]] = json.loads((self.top / output / "report/run.json").read_text())["history"]
        return found

    def weights(self, output: str) -> str:
        """A hash of the weights."""
        return hashlib.sha256((self.top / output / "model.safetensors").read_bytes()).hexdigest()

    def print_conditions(self, title: str) -> None:
        """Print what is measured, and where."""
        devices = f"{self.num} x {torch.cuda.get_device_name()}, nccl" if self.has_gpus else "processor, gloo"
        options = self.options
        print_conditions(f"{self.num} processes ({devices}), {options.model}, batch size {options.batch_size}, {title}")


def exchange(num_bytes: int) -> None:
    """Sum gradients in buckets, as one of the processes of a run; the first one prints how long that takes."""
    with joined_world() as world:
        device = torch.device(world.membership.device or "cpu")
        sizes = [min(BUCKET_BYTES, num_bytes - start) // 4 for start in range(0, num_bytes, BUCKET_BYTES)]
        buckets = [torch.ones(size, device=device) for size in sizes]
        seconds = []
        for _ in range(NUM_EXCHANGES):
            world.barrier()
            begin = time.perf_counter()
            for pending in [world.start_sum(bucket) for bucket in buckets]:
                pending.wait()
            if device.type == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - begin)
            for bucket in buckets:
                bucket.fill_(1)
        if world.is_first:
            median = statistics.median(seconds[NUM_EXCHANGES // 3 :])
            print(
                f"Exchange of {num_bytes / 1e6:.0f} MB in {len(buckets)} buckets: {1000 * median:.1f} ms, "
                f"{num_bytes / median / 1e9:.2f} GB/s"
            )


def _wait(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Wait for the end of processes that must succeed; what they print."""
    printed = [process.communicate()[0] for process in processes]
    for process, text in zip(processes, printed, strict=True):
        if process.returncode != 0:
            raise RuntimeError(f"{process.args} has failed:\n{text}")
    return printed


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
