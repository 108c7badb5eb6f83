"""Memory that has run out is named, whichever library met it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from pytorch_designer.cli.boundary import run_guarded
from pytorch_designer.system.out_of_memory import is_out_of_memory, out_of_memory_error

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FAR_TOO_MUCH = 2**50


def start_without_memory() -> None:
    raise RuntimeError("can't start new thread")


def load_without_memory() -> None:
    raise ImportError("libx.so: failed to map segment from shared object")


def call_without_memory() -> None:
    raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))


def fork_without_room() -> None:
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


ALLOCATIONS: dict[str, Callable[[], object]] = {
    "Python": lambda: bytearray(FAR_TOO_MUCH),
    "numpy": lambda: np.empty(FAR_TOO_MUCH, dtype=np.uint8),
    "torch": lambda: torch.empty(FAR_TOO_MUCH, dtype=torch.uint8),
    "thread": start_without_memory,
    "library": load_without_memory,
    "system call": call_without_memory,
    "process": fork_without_room,
}


@pytest.mark.parametrize("name", ALLOCATIONS)
def test_the_boundary_names_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def act() -> None:
        ALLOCATIONS[name]()

    assert run_guarded(act) == 1
    printed = capsys.readouterr().err
    assert printed.startswith("ModuleOutOfMemoryError (0138): ")
    assert "Traceback" not in printed
    assert ("No other thread or process can be started" in printed) == (name in {"thread", "process"})


OTHERS = [
    RuntimeError("shapes do not match"),
    ImportError("no module"),
    OSError(errno.ENOSPC, "full"),
    OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), "a file of a network mount"),
    BlockingIOError(errno.EAGAIN, "write could not complete without blocking", 3),
    ValueError(),
]


@pytest.mark.parametrize("error", OTHERS, ids=str)
def test_other_errors_are_something_else(error: Exception) -> None:
    assert not is_out_of_memory(error)


@pytest.mark.skipif(sys.platform != "linux", reason="address spaces are limited on Linux")
def test_a_limit_on_the_address_space_counts_and_is_named() -> None:
    program = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
from pytorch_designer.system.out_of_memory import out_of_memory_error
from pytorch_designer.system.resources import available_memory_bytes
print(available_memory_bytes() < 2**31)
print(out_of_memory_error("It is full.").what)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.splitlines() == [
        "True",
        "It is full. This process may not take more than 2.1 GB of address space (ulimit -v).",
    ]
    assert out_of_memory_error("It is full.").advice
