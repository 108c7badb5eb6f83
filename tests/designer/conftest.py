"""Project folders of the designer's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.designer.pipelines import write_components


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with two components and data."""
    return write_components(tmp_path / "project")


@pytest.fixture(scope="session")
def shared_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, for tests that write nothing into it."""
    return write_components(tmp_path_factory.mktemp("shared") / "project")
