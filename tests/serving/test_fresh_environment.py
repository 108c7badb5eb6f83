"""A model loads and answers in an environment in which nothing but its own requirements was installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

_PROGRAM = """
import importlib.util, json, sys
assert importlib.util.find_spec("pytorch_designer") is None
import mlflow.pyfunc
model = mlflow.pyfunc.load_model(sys.argv[1])
scored = model.predict(model.input_example)
print(json.dumps([scored.to_dict(orient="records"), sys.modules["pytorch_designer"].__file__]))
"""


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=540, cwd=cwd
    )


def test_model_answers_where_only_its_requirements_are_installed(model: Path, tmp_path: Path) -> None:
    python = tmp_path / "environment/bin/python"
    made = run(sys.executable, "-m", "venv", tmp_path / "environment", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    reached = run(python, "-m", "pip", "download", "--no-deps", "-d", tmp_path / "one", "filelock", cwd=tmp_path)
    if reached.returncode != 0:
        pytest.skip(f"the package index cannot be reached: {reached.stderr.strip().splitlines()[-1]}")
    installed = run(python, "-m", "pip", "install", "-q", "-r", model / "requirements.txt", cwd=tmp_path)
    assert installed.returncode == 0, installed.stderr
    answered = run(python, "-c", _PROGRAM, model, cwd=tmp_path)
    assert answered.returncode == 0, answered.stderr
    records, file = json.loads(answered.stdout.splitlines()[-1])
    assert len(records) == 1
    assert Path(file).is_relative_to(model / "code")
