"""This program's commands, run as a user would: in a separate process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def start(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """Start a command; MLflow is off unless the environment says otherwise."""
    return subprocess.Popen(
        [sys.executable, "-m", "pytorch_designer", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTORCH_DESIGNER_TRACKING": "off", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever its exit code."""
    with start(*arguments, cwd=cwd, **environment) as process:
        stdout, stderr = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def succeed(*arguments: str | Path, cwd: Path, **environment: str) -> str:
    """Run a command that must succeed; returns its standard output."""
    done = run(*arguments, cwd=cwd, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
