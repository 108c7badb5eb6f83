"""Waiting threads of OpenMP: bounded in every process that computes, unless the user chose."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pytorch_designer.harness.job.job_processes import callers_variables
from pytorch_designer.system.openmp import bound_spinning, describe_waiting

VARIABLES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


@pytest.fixture(autouse=True)
def no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_spinning_is_bounded_where_the_user_chose_nothing() -> None:
    environment: dict[str, str] = {}
    bound_spinning(environment)
    assert 0 < int(environment["GOMP_SPINCOUNT"]) < 300_000  # what OpenMP takes by itself


@pytest.mark.parametrize(("name", "value"), [("GOMP_SPINCOUNT", "7"), ("OMP_WAIT_POLICY", "active")])
def test_the_users_choice_stands(name: str, value: str) -> None:
    environment = {name: value}
    bound_spinning(environment)
    assert environment == {name: value}


def test_jobs_of_the_harness_inherit_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "GOMP_SPINCOUNT" in callers_variables()
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")
    assert "GOMP_SPINCOUNT" not in callers_variables()


def test_the_log_says_how_threads_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not describe_waiting()
    monkeypatch.setenv("GOMP_SPINCOUNT", "500")
    assert describe_waiting() == "GOMP_SPINCOUNT=500"


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "from pytorch_designer.cli.main import main\n"
        "main(['resnet', '--pretrained', 'false', '--untrained-model', 'model'])",
        "import pytorch_designer.serving.mlflow_model",
    ],
)
def test_the_bound_is_set_before_torch_is_loaded(statement: str, tmp_path: Path) -> None:
    program = f"""
import builtins, os, sys

load = builtins.__import__

def watch(name, *rest, **named):
    if name.split(".")[0] == "torch":
        print("bound", os.environ.get("GOMP_SPINCOUNT"), flush=True)
        os._exit(0)
    return load(name, *rest, **named)

builtins.__import__ = watch
exec({statement!r})
"""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert re.search(r"^bound [0-9]+$", ended.stdout, re.MULTILINE), ended.stdout + ended.stderr
