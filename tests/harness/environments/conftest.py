"""A package that is at hand."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A package that can be installed without a network."""
    path = tmp_path / "sample_of_tests-1.0-py3-none-any.whl"
    info = "sample_of_tests-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("sample_of_tests.py", "")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: sample-of-tests\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path
