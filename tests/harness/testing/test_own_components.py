"""Components of this project in the harness, through the fixtures that others use, on real handwritten digits."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytorch_designer.errors import FailedToWriteOutputsError
from pytorch_designer.harness.testing.runner import Runner
from tests.harness.fault_injection.availability import needs_namespace, needs_system_call_watch
from tests.images.digits import write_digits

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from pytorch_designer.harness.testing.runs import ComponentRun

REPOSITORY = Path(__file__).parents[3]
TRAIN = REPOSITORY / "component.yaml"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "PYTORCH_DESIGNER_NUM_THREADS": "1"}
_OWN_ENTRIES = {".lock", ".staging", ".checkpoint"}


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(tmp_path_factory.mktemp("own-components"))


@pytest.fixture(scope="module")
def inputs(runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Inputs of Train PyTorch Model: 18 digits to train on, 9 to validate on, and a small network."""
    folder = tmp_path_factory.mktemp("digits")
    write_digits(folder / "training", classes=3, per_class=6)
    write_digits(folder / "validation", classes=3, per_class=3, skip=6)
    made = runner.run_component(
        REPOSITORY / "components" / "image_model.yaml",
        parameters={"model_name": "shufflenet_v2_x0_5", "pretrained": False},
        has_mlflow=False,
    )
    made.assert_succeeded()
    return {
        "untrained_model": made.outputs["untrained_model"],
        "training_dataset": folder / "training",
        "validation_dataset": folder / "validation",
    }


def _train(runner: Runner, inputs: dict[str, Path], *faults: str, has_mlflow: bool = False) -> ComponentRun:
    return runner.run_component(
        TRAIN,
        inputs=inputs,
        parameters={"epochs": 1, "batch_size": 6},
        environment=ONE_THREAD,
        faults=faults,
        has_mlflow=has_mlflow,
    )


def _weights(run: ComponentRun) -> str:
    return hashlib.sha256((run.outputs["trained_model"] / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def trained(runner: Runner, inputs: dict[str, Path]) -> ComponentRun:
    run = _train(runner, inputs, has_mlflow=True)
    run.assert_succeeded()
    return run


def test_trained_model_metrics_and_parameters_are_where_azure_ml_has_them(trained: ComponentRun) -> None:
    assert (trained.outputs["trained_model"] / "_meta.yaml").exists()
    assert "Best epoch: 1" in trained.log
    assert trained.parameters["batch_size"] == "6"
    steps = {name: [step for step, _ in values] for name, values in trained.metrics.items() if "loss" in name}
    assert steps, trained.metrics
    assert trained.error_info is None


def test_failed_training_says_why(runner: Runner, inputs: dict[str, Path]) -> None:
    run = _train(runner, {**inputs, "untrained_model": inputs["training_dataset"]})
    run.assert_failed("InvalidModelDirectoryError")


@needs_namespace
@needs_system_call_watch
def test_small_shared_memory_no_network_and_a_bad_mount_change_nothing(
    runner: Runner, inputs: dict[str, Path], trained: ComponentRun
) -> None:
    run = _train(runner, inputs, "small-shm=64k", "no-network", "slow-open=5", "flaky-open=0.2:3")
    run.assert_succeeded()
    assert "flaky-open: 0 " not in " ".join(run.fault_notes)
    assert _weights(run) == _weights(trained)


@needs_system_call_watch
def test_training_killed_while_it_saves_goes_on_to_the_same_weights(
    runner: Runner, inputs: dict[str, Path], trained: ComponentRun
) -> None:
    killed = _train(runner, inputs, "kill-at-write=40")
    killed.assert_failed(exit_code=137)
    assert not (killed.outputs["trained_model"] / "_meta.yaml").exists()
    again = killed.rerun()
    again.assert_succeeded()
    assert _weights(again) == _weights(trained)


@needs_namespace
@pytest.mark.parametrize("fault", ["full-output=trained_model:1500k", "read-only-output=trained_model"])
def test_output_that_cannot_be_written_is_named_and_holds_no_model(
    runner: Runner, inputs: dict[str, Path], fault: str
) -> None:
    run = _train(runner, inputs, fault)
    run.assert_failed(FailedToWriteOutputsError)
    assert {path.name for path in run.outputs["trained_model"].iterdir()} <= _OWN_ENTRIES
