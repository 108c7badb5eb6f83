"""A model loads and answers where nothing is installed but its requirements and what these require in turn.

The environment is a folder of links to the packages of this one. `python -m tests.campaigns.fresh_environment` installs
them from the package index instead, which takes minutes and gigabytes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.campaigns.fresh_environment import PROGRAM, check_answer


def required(names: set[str]) -> set[str]:
    """These packages and all that they require, by the names of their distributions."""
    found: set[str] = set()
    waiting = {(name, "") for name in names}
    seen: set[tuple[str, str]] = set()
    while waiting:
        name, extra = waiting.pop()
        seen.add((name, extra))
        found.add(name)
        for requirement in map(Requirement, distribution(name).requires or []):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                waiting |= {(requirement.name, part) for part in ("", *requirement.extras)} - seen
    return found


def link_packages(names: set[str], folder: Path) -> None:
    for name in names:
        installed = distribution(name)
        parts = {file.parts[0] for file in installed.files or [] if file.parts[0] not in {"..", "__pycache__"}}
        for part in parts:
            link = folder / part
            if not os.path.lexists(link):
                link.symlink_to(Path(str(installed.locate_file(part))))


@pytest.mark.slow
def test_model_answers_where_only_its_requirements_are_installed(model: Path, tmp_path: Path) -> None:
    names = {line.partition("==")[0] for line in (model / "requirements.txt").read_text(encoding="utf-8").split()}
    packages = tmp_path / "packages"
    packages.mkdir()
    link_packages(required(names), packages)
    assert not (packages / "azure").exists()
    program = f"import sys; sys.path.append({str(packages)!r})\n{PROGRAM}"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(model)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    check_answer(done.stdout, model)
