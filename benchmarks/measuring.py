"""Timing of alternative implementations, in turn.

Machines are shared and noisy. Each round runs every way once, so that a slow minute affects all of them alike. The
result is the median over the rounds of each way's ratio to the first one.
"""

from __future__ import annotations

import platform
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torchvision

from pytorch_designer.system.resources import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def time_in_turn(
    ways: Mapping[str, Callable[[], object]], num_rounds: int, after_round: Callable[[], object] = lambda: None
) -> dict[str, list[float]]:
    """Run every way once to warm up, then `num_rounds` times in turn; returns seconds by way."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(num_rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if number > 0:
                seconds[name].append(time.perf_counter() - start)
        after_round()
    return seconds


def print_table(title: str, seconds: Mapping[str, list[float]], num_images: int) -> None:
    """Print date, machine, versions and n, then a row per way: images per second, and the ratio to the first way."""
    first = next(iter(seconds))
    print_conditions(f"{title}, n = {len(seconds[first])}")
    print(f"| way | images per second | ratio to {first} | lowest to highest ratio |\n|---|---|---|---|")
    for name, values in seconds.items():
        ratios = [base / value for base, value in zip(seconds[first], values, strict=True)]
        rate = num_images / statistics.median(values)
        print(f"| {name} | {rate:,.0f} | {describe_ratios(ratios)} |")


def print_conditions(title: str) -> None:
    """Print date, machine, versions and a title."""
    print(f"{time.strftime('%Y-%m-%d')}, {processor_name()}, {usable_cores()} cores")
    print(f"Python {platform.python_version()}, torch {torch.__version__}, torchvision {torchvision.__version__}")
    print(f"{title}\n")


def describe_ratios(ratios: Sequence[float]) -> str:
    """Two table cells: the median, and the lowest to the highest ratio."""
    return f"{statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f}"


def processor_name() -> str:
    """The processor's name, as far as the platform reports it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
