"""Training steps of ResNet-18 at 32 px by how long OpenMP's waiting threads spin, in a few minutes.

    python benchmarks/spin_counts.py [--rounds 4] [--busy 0 1 2] [--spin-counts 300000,10000,3000,1000]

Short processes that only compute run in turn, the next round backwards, each beside some processes that only count.
`shared_machine.py` measures whole programs, which takes an hour.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from contextlib import ExitStack

from measuring import print_conditions
from shared_machine import busy_process

SECONDS = 3
STEPS = """
import sys, time, torch, torchvision
network = torchvision.models.resnet18(num_classes=10).to(memory_format=torch.channels_last)
optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)
images, labels = torch.randn(16, 3, 32, 32).contiguous(memory_format=torch.channels_last), torch.randint(10, (16,))
def step():
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(network(images), labels).backward()
    optimizer.step()
for _ in range(5):
    step()
start, steps = time.perf_counter(), 0
while time.perf_counter() < start + float(sys.argv[1]):
    step()
    steps += 1
print(len(images) * steps / (time.perf_counter() - start))
"""


def main() -> None:
    """Print a row per number of busy processes, a column per spin count: images per second."""
    parser = argparse.ArgumentParser(description="Training steps by spin count.")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--busy", type=int, nargs="*", default=(0, 1, 2))
    parser.add_argument("--spin-counts", default="300000,10000,3000,1000")
    options = parser.parse_args()
    counts = options.spin_counts.split(",")
    print_conditions(f"images per second, n = {options.rounds}")
    print(f"| busy processes | {' | '.join(counts)} |\n|---|{'---|' * len(counts)}", flush=True)
    for num_busy in options.busy:
        rates: dict[str, list[float]] = {count: [] for count in counts}
        with ExitStack() as stack:
            for _ in range(num_busy):
                stack.enter_context(busy_process())
            for number in range(options.rounds):
                for count in counts if number % 2 == 0 else reversed(counts):
                    rates[count].append(images_per_second(count))
        cells = [f"{statistics.median(values):.0f} ({min(values):.0f}-{max(values):.0f})" for values in rates.values()]
        print(f"| {num_busy} | {' | '.join(cells)} |", flush=True)


def images_per_second(spin_count: str) -> float:
    """Run one process of training steps."""
    environment = {**os.environ, "GOMP_SPINCOUNT": spin_count}
    command = [sys.executable, "-c", STEPS, str(SECONDS)]
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
