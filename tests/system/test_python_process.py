"""Processes of Python take no modules from the working directory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytorch_designer.system.python_process import python_command


@pytest.mark.slow
@pytest.mark.parametrize("module", ["queue", "runpy", "json", "pytorch_designer", "sitecustomize"])
def test_a_module_in_the_working_directory_is_not_imported(module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text("raise SystemExit('taken from the working directory')\n", encoding="utf-8")
    command = python_command("pytorch_designer", "--version")
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("pytorch-designer ")


def test_pythonpath_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "queue.py").write_text("raise SystemExit('taken from PYTHONPATH')\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = subprocess.run(python_command("queue"), check=False, capture_output=True, text=True, timeout=300)
    assert done.stderr == "taken from PYTHONPATH\n"


def test_no_module_starts_a_process_of_python_in_another_way() -> None:
    source = Path(__file__).parents[2] / "src"
    found = [
        path.name
        for path in sorted(source.rglob("*.py"))
        if "sys.executable" in (text := path.read_text(encoding="utf-8")) and '"-m"' in text
    ]
    # built_environments makes a virtual environment; job_python asks any interpreter, in that interpreter's folder
    assert found == ["built_environments.py", "job_python.py"]
    assert sys.executable == python_command("queue")[0]
