"""Installs the requirements of a model from the package index into a new environment, and lets the model answer there.

    python -m tests.campaigns.fresh_environment [MODEL]

MODEL is the output of Train PyTorch Model; without it a small one is written. With torch for CUDA it takes minutes and
some gigabytes in the folder for temporary files.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = """
import importlib.util, json, sys
assert importlib.util.find_spec("pytorch_designer") is None
import mlflow.pyfunc
model = mlflow.pyfunc.load_model(sys.argv[1])
scored = model.predict(model.input_example)
print(json.dumps([scored.to_dict(orient="records"), sys.modules["pytorch_designer"].__file__]))
"""
"""Lets a model answer for its own example; prints the answer, and where the code came from."""


def check_answer(printed: str, model: Path) -> None:
    """Check that a model has answered for one image, with the code that it brings."""
    (record,), file = json.loads(printed.splitlines()[-1])
    assert "Scored Labels" in record
    assert Path(file).is_relative_to(model / "code")


def main() -> int:
    """Make the environment, install, ask."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder)
        model = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else _small_model(top / "model")
        python = top / "environment/bin/python"
        _run(sys.executable, "-m", "venv", str(top / "environment"), cwd=top)
        start = time.monotonic()
        _run(str(python), "-m", "pip", "install", "-q", "-r", str(model / "requirements.txt"), cwd=top)
        print(f"installed in {time.monotonic() - start:.0f} s")
        start = time.monotonic()
        printed = _run(str(python), "-c", PROGRAM, str(model), cwd=top)
        check_answer(printed, model)
        print(f"loaded and answered in {time.monotonic() - start:.1f} s: {printed.splitlines()[-1]}")
    return 0


def _small_model(folder: Path) -> Path:
    from tests.directories.typed_directories import write_model

    return write_model(folder)


def _run(*command: str, cwd: Path) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=cwd).stdout


if __name__ == "__main__":
    sys.exit(main())
