"""The pytest fixtures `run_component` and `run_pipeline`.

pytest loads this in every project of an environment, so it imports nothing before a fixture is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytorch_designer.harness.testing.runner import RunComponent, Runner, RunPipeline


@pytest.fixture(name="_designer_runner")
def _runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    from pytorch_designer.harness.testing.runner import Runner

    # Not below tmp_path, which a test may give as an input: runs must not be in there.
    return Runner(tmp_path_factory.mktemp("designer-runs"))


@pytest.fixture
def run_component(_designer_runner: Runner) -> RunComponent:
    """Runs an Azure ML command component as a job; see `Runner.run_component`."""
    return _designer_runner.run_component


@pytest.fixture
def run_pipeline(_designer_runner: Runner) -> RunPipeline:
    """Runs an Azure ML pipeline; see `Runner.run_pipeline`."""
    return _designer_runner.run_pipeline
