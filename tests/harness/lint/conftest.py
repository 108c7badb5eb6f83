"""Files for the linter: a component and a pipeline without any mistake, in a folder with what they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.lint.lint_files import COMPONENT, PIPELINE, PREPARE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with src/, environment/, component.yaml, prepare.yaml and pipeline.yaml."""
    (tmp_path / "src").mkdir()
    (tmp_path / "environment").mkdir()
    (tmp_path / "environment" / "Dockerfile").write_text("FROM scratch\n", encoding="utf-8")
    (tmp_path / "data").mkdir()
    for name, text in (("component.yaml", COMPONENT), ("prepare.yaml", PREPARE), ("pipeline.yaml", PIPELINE)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path
