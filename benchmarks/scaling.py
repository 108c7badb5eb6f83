"""Training in several processes: efficiency, time of the exchange, start-up; and whether bits and kills hold.

    python benchmarks/scaling.py [--processes 2] [--model resnet18] [--batch-size 16] [--images 64] [--runs 5]
    python benchmarks/scaling.py --parts start-up exchange
    python benchmarks/scaling.py --check [--processes 2]

`rates`: a round runs the training command twice, in turn: as several processes that train one network together, each
with `--images` images per epoch, and as as many independent processes side by side, each with a network and with
`--images` images of its own. Efficiency is the ratio of the images per second of the last epoch.

`start-up`: the time of the whole command without its epochs, on few images, as several processes and as one.

`exchange`: the sum of as many gradients as the network has, in buckets as in training, without a network.

Each round is printed as it ends.

Each process has a GPU of its own and NCCL where there are as many, else its share of the cores and gloo.

`--check` trains in all GPUs of the machine (or in `--processes` without any): twice, and again with one process killed,
or all at once, and the command repeated. The weights must be equal, bit for bit.
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
from pytorch_designer.system.process_trees import children
from pytorch_designer.system.resources import usable_cores

NUM_EPOCHS = 2
NUM_EXCHANGES = 30
PARTS = ("rates", "start-up", "exchange")
NUM_GPUS = torch.cuda.device_count() if torch.cuda.is_available() else 0


def main() -> int:
    """Measure, or check."""
    parser = argparse.ArgumentParser(description="Measure training in several processes.")
    parser.add_argument("--processes", type=int, default=max(2, NUM_GPUS))
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--images", type=int, default=64, help="per process and epoch")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
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
        """Print the parts that are asked for."""
        measures = {"rates": self.measure_rates, "start-up": self.measure_start_up, "exchange": self.measure_exchange}
        for part in self.options.parts:
            measures[part]()
        return 0

    def measure_rates(self) -> None:
        """Print the images per second of each way, and the efficiency."""
        options = self.options
        write_photos(self.top / "together", self.num * options.images, seed=2)
        for place in range(self.num):
            write_photos(self.top / f"alone_{place}", options.images, seed=3 + place)
        self.print_conditions(f"weak scaling, {options.images} images per process, n = {options.runs}")
        print("| together, images per second | independent | efficiency |\n|---|---|---|", flush=True)
        ratios = []
        for _ in range(options.runs):
            _wait([self.train("together", "out_together", self.num)])
            names = [f"out_{place}" for place in range(self.num)]
            _wait([self.train(f"alone_{place}", name, 1, place=place) for place, name in enumerate(names)])
            together = self.history("out_together")[-1]["images_per_second"]
            independent = sum(self.history(name)[-1]["images_per_second"] for name in names)
            ratios.append(together / independent)
            print(f"| {together:,.2f} | {independent:,.2f} | {ratios[-1]:.3f} |", flush=True)
            self.remove("out_together", *names)
        print(f"| median and range | | {describe_ratios(ratios).replace(' |', ',')} |\n", flush=True)

    def measure_start_up(self) -> None:
        """Print the time of a command without its epochs."""
        write_photos(self.top / "few", self.num * self.options.batch_size, seed=2)
        self.print_conditions(f"start-up and end, n = {self.options.runs}")
        print(f"| {self.num} processes, s | one, s | ratio |\n|---|---|---|", flush=True)
        ratios = []
        for _ in range(self.options.runs):
            several, one = (self.start_up_seconds(number) for number in (self.num, 1))
            ratios.append(several / one)
            print(f"| {several:.2f} | {one:.2f} | {ratios[-1]:.3f} |", flush=True)
        print(f"| median and range | | {describe_ratios(ratios).replace(' |', ',')} |\n", flush=True)

    def start_up_seconds(self, num_processes: int) -> float:
        """The time of the training command, less that of its epochs."""
        begin = time.monotonic()
        _wait([self.train("few", "out_few", num_processes, num_epochs=1)])
        seconds = time.monotonic() - begin
        seconds -= sum(float(epoch["seconds"]) for epoch in self.history("out_few"))
        self.remove("out_few")
        return seconds

    def remove(self, *names: str) -> None:
        """Remove outputs."""
        for name in names:
            shutil.rmtree(self.top / name)

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
        print(first.strip(), flush=True)

    def check(self) -> int:
        """Compare the weights of runs that are repeated, and killed and continued."""
        write_photos(self.top / "together", self.num * 4 * self.options.batch_size, seed=2)
        self.print_conditions("equal bits")
        _wait([self.train("together", "first", self.num)])
        _wait([self.train("together", "again", self.num)])
        expected, equal = self.weights("first"), self.weights("again")
        print(f"the same command again: {'equal' if equal == expected else 'UNEQUAL'}", flush=True)
        is_well = equal == expected
        for victims in [[rank] for rank in range(min(3, self.num))] + [list(range(self.num))]:
            name = f"killed_{len(victims)}_{victims[0]}"
            process = self.train("together", name, self.num)
            while process.poll() is None and not any((self.top / name / ".checkpoint").glob("*.json")):
                time.sleep(0.02)
            members = [pid for server in children(process.pid) for pid in children(server)]
            for victim in victims:
                os.kill(members[victim], signal.SIGKILL)
            began = time.monotonic()
            process.communicate()
            seconds = time.monotonic() - began
            _wait([self.train("together", name, self.num)])
            is_equal = self.weights(name) == expected
            is_well = is_well and is_equal and process.returncode != 0
            print(
                f"{len(victims)} of {self.num} killed, rank {victims[0]} first: all had ended after {seconds:.1f} s, "
                f"exit code {process.returncode}; continued: {'equal' if is_equal else 'UNEQUAL'}",
                flush=True,
            )
        return 0 if is_well else 1

    def train(
        self, images: str, output: str, num_processes: int, *, place: int = 0, num_epochs: int = NUM_EPOCHS
    ) -> subprocess.Popen[str]:
        """Start the training command."""
        ports = ("--untrained-model=untrained", f"--training-dataset={images}", "--validation-dataset=validation")
        options = (f"--epochs={num_epochs}", f"--batch-size={self.options.batch_size}", f"--trained-model={output}")
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
            raise RuntimeError(f"A command has failed:\n{text}")
    return printed


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
