"""Memory that a step frees is there for the next step, without asking the kernel for it again."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

USER_SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")

# Twenty times 64 MiB, each freed before the next, after as many that leave room for them between smaller blocks; prints
# what keep_freed_memory says, and the page faults.
PROGRAM = """
import resource
import torch
from pytorch_designer.inference.allocator import keep_freed_memory
is_kept = keep_freed_memory() if {keeps} else False
for _ in range(20):
    torch.ones(2**24)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.ones(2**24)
print(is_kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

only_glibc = pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", {}), reason="not glibc")


def run(*, keeps: bool, **environment: str) -> tuple[bool, int]:
    """Whether it was done, and the page faults, of a fresh process."""
    inherited = {name: value for name, value in os.environ.items() if name not in USER_SETTINGS}
    program = [sys.executable, "-c", PROGRAM.format(keeps=keeps)]
    done = subprocess.run(program, env=inherited | environment, capture_output=True, text=True, check=True)
    is_kept, faults = done.stdout.split()
    return is_kept == "True", int(faults)


@only_glibc
def test_freed_memory_costs_no_more_page_faults() -> None:
    _, faults_by_default = run(keeps=False)
    is_kept, faults = run(keeps=True)

    assert is_kept
    assert faults < faults_by_default / 10


@only_glibc
def test_an_allocator_that_the_user_set_up_is_left_alone() -> None:
    is_kept, _ = run(keeps=True, MALLOC_MMAP_THRESHOLD_="65536")

    assert not is_kept
