"""Scaling of bare decoding loops with cores: `python benchmarks/input_path.py --scale`.

Each number comes from a process of its own, or from as many processes as there are threads, in which nothing runs but
loops that decode, resize and crop photos from memory. Rates are of all loops together; a page fault is a page of
memory that the kernel has to give to the process. docs/benchmarks_log.md says what to conclude.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torchvision.transforms.v2 import functional

from measuring import print_conditions
from pytorch_designer.images.decode import decode_image
from pytorch_designer.inference.compute import keep_freed_memory
from pytorch_designer.system.resources import usable_cores

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNTS = (1, 2, 4, 8, 16)
WAYS = ("threads", "threads, memory kept", "processes", "processes, memory kept")


class LoopResult(NamedTuple):
    """Images per second of all loops together, and page faults per image."""

    images_per_second: float
    faults_per_image: float


def measure_scale(root: Path, *, seconds: float, num_rounds: int) -> None:
    """Measure every way with 1 to 16 loops, at most two per core, in turn, and print a table of each.

    Args:
        root: A folder of JPEGs.
        seconds: For which each loop runs.
        num_rounds: How often everything is measured.
    """
    counts = [count for count in COUNTS if count <= 2 * usable_cores()]
    results: dict[tuple[str, int], list[LoopResult]] = {}
    for _ in range(num_rounds):
        for count in counts:
            for way in WAYS:
                results.setdefault((way, count), []).append(_measured(root, way, count, seconds))
    print_conditions(f"photos of 500x375, loops of {seconds:g} s, n = {num_rounds}, {usable_cores()} usable cores")
    for title, index in (("images per second", 0), ("page faults per image", 1)):
        print(f"| {title} | {' | '.join(map(str, counts))} |\n|---|{'---|' * len(counts)}")
        for way in WAYS:
            medians = [statistics.median(result[index] for result in results[way, count]) for count in counts]
            print(f"| {way} | {' | '.join(f'{median:,.0f}' for median in medians)} |")
        print()


def _measured(root: Path, way: str, count: int, seconds: float) -> LoopResult:
    num_processes = count if way.startswith("processes") else 1
    command = [sys.executable, __file__, str(root), "--threads", str(count // num_processes), "--seconds", str(seconds)]
    if way.endswith("kept"):
        command.append("--keep")
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(num_processes)
    ]
    for process in processes:
        _line_of(process)  # it has loaded its libraries
    for process in processes:  # all start together
        if process.stdin is not None:
            process.stdin.write("\n")
            process.stdin.flush()
    found = [LoopResult(*json.loads(_line_of(process))) for process in processes]
    for process in processes:
        process.communicate()
    return LoopResult(
        sum(result.images_per_second for result in found),
        statistics.mean(result.faults_per_image for result in found),
    )


def _line_of(process: subprocess.Popen[str]) -> str:
    if process.stdout is None:
        raise RuntimeError("the process has no output")
    return process.stdout.readline()


def _run_loops(root: Path, num_threads: int, seconds: float) -> LoopResult:
    contents = [bytearray(path.read_bytes()) for path in sorted(root.rglob("*.jpg"))]
    torch.set_num_threads(1)
    _decode_all(iter(contents[:4]))
    print("ready", flush=True)
    sys.stdin.readline()
    counts = [0] * num_threads
    faults, start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.perf_counter()

    def endless(slot: int) -> Iterator[bytearray]:
        while time.perf_counter() - start < seconds:
            counts[slot] += 1
            yield contents[(slot + counts[slot]) % len(contents)]

    def loop(slot: int) -> None:
        torch.set_num_threads(1)
        _decode_all(endless(slot))

    threads = [threading.Thread(target=loop, args=(slot,)) for slot in range(num_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    num_images = sum(counts)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
    return LoopResult(num_images / (time.perf_counter() - start), faults / num_images)


def _decode_all(contents: Iterator[bytearray]) -> None:
    for content in contents:
        image = functional.resize(decode_image(content), [256], antialias=True)
        functional.center_crop(image, [224, 224])


def main() -> None:
    """Run the loops of one process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    if options.keep:
        keep_freed_memory()
    print(json.dumps(_run_loops(options.root, options.threads, options.seconds)), flush=True)


if __name__ == "__main__":
    main()
