"""Every error class can be raised, and every raise says what is wrong, where, and what to do."""

from __future__ import annotations

import ast
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import nn

import pytorch_designer.errors as errors_module
from pytorch_designer.api.python_wording import worded_for_python
from pytorch_designer.components.registry import COMPONENTS
from pytorch_designer.components.split_image_directory import COMPONENT as SPLIT
from pytorch_designer.components.train_pytorch_model import COMPONENT as TRAIN
from pytorch_designer.directories.image_directory import open_image_directory, require_labels
from pytorch_designer.directories.model_directory import open_model_directory
from pytorch_designer.directories.transformation_directory import open_transformation_directory
from pytorch_designer.distributed.faults import Fault
from pytorch_designer.distributed.joining import StartVariables
from pytorch_designer.distributed.meeting import meet
from pytorch_designer.errors import DesignerError, FailedToWriteOutputsError
from pytorch_designer.harness.job.job_processes import free_port
from pytorch_designer.harness.job.job_run import JobRequest, run_job
from pytorch_designer.harness.schema.component_file import read_component
from pytorch_designer.images.loader import ImageLoader
from pytorch_designer.inference.compute import choose_compute
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.inference.torch_errors import torch_errors
from pytorch_designer.models.pretrained import verified_file
from pytorch_designer.settings import Settings, settings
from pytorch_designer.spec.parameters import parse_parameters
from pytorch_designer.storage.output import open_output
from pytorch_designer.system.stop_requests import StopRequest
from pytorch_designer.training.checkpoint import CheckpointPolicy, CheckpointStore
from pytorch_designer.training.loop import train
from pytorch_designer.training.recipe import build_optimizer
from pytorch_designer.training.state import TrainingRun, TrainingState
from tests.components.test_evaluate_model import write_scores
from tests.images.digits import write_digits
from tests.training.small_run import (
    COMPUTE,
    EXTENT,
    FROM_SCRATCH,
    HYPERPARAMETERS,
    PREPROCESSING,
    RecordingDisplay,
    small_network,
)

SOURCE = Path(errors_module.__file__).parent
DOCUMENTED = SOURCE.parent.parent / "docs" / "reference" / "errors.md"

# Errors about the machine itself, which are not located in a file or a parameter.
WITHOUT_PLACE = {
    "ModuleOutOfMemoryError",
    "UnsupportedEnvironmentError",
    "UnsupportedLocallyError",
    "MissingExtraError",
    "CloudNotFoundError",
}


def classes() -> Iterator[type[DesignerError]]:
    """All error classes except those that only group others."""
    stack = [DesignerError]
    while stack:
        error = stack.pop()
        stack += error.__subclasses__()
        if error not in {DesignerError, errors_module.ParameterError}:
            yield error


def _component(folder: Path, **keys: object) -> Path:
    path = folder / "component.yaml"
    path.write_text(yaml.safe_dump({"type": "command", "name": "x", "command": "true", **keys}))
    return path


def _unlabeled(folder: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "0.png")
    require_labels(open_image_directory(folder), "training_dataset")


def _unscored(folder: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    scores = write_scores(folder / "scores")
    parquet.write_table(pa.table({"id": [1], "category": ["cat"]}), scores / "_data.parquet")
    (scores / "schema" / "_schema.json").write_text("{}")
    component = COMPONENTS["evaluate_model"]
    parameters = parse_parameters(component.parameters, {})
    component.run({"scored_dataset": scores}, {"evaluation_results": folder / "out"}, parameters)


def _diverge(folder: Path) -> None:
    network = small_network()
    with torch.no_grad():
        next(network.parameters()).fill_(torch.inf)
    with _run(folder, network) as run:
        checkpoints = CheckpointPolicy(CheckpointStore(folder / "output", "run", EXTENT), 1e9)
        train(run, TrainingState(network, build_optimizer(network, 0.1)), checkpoints)


def _interrupt(folder: Path) -> None:
    network = small_network()
    stop = StopRequest()
    stop.request(signal.SIGTERM)
    with _run(folder, network, stop) as run:
        checkpoints = CheckpointPolicy(CheckpointStore(folder / "output", "run", EXTENT), 1e9)
        train(run, TrainingState(network, build_optimizer(network, 0.1)), checkpoints)


def _interrupt_call(folder: Path) -> None:
    with worded_for_python("train", {}):
        _interrupt(folder)


@contextmanager
def _run(folder: Path, network: nn.Module, stop: StopRequest | None = None) -> Iterator[TrainingRun]:
    write_digits(folder / "digits", classes=3, per_class=2)
    dataset = open_image_directory(folder / "digits")
    with ImageLoader(dataset, PREPROCESSING, num_threads=1, tolerance=0.0, port="dataset") as loader:
        yield TrainingRun(
            hyperparameters=replace(HYPERPARAMETERS, num_epochs=1),
            predictor=Predictor(network, PREPROCESSING, COMPUTE),
            training=loader,
            validation=loader,
            num_classes=3,
            plan=FROM_SCRATCH,
            display=RecordingDisplay(),
            on_epoch_end=lambda record: None,
            stop_request=stop or StopRequest(),
        )


def _write_into_input(folder: Path) -> None:
    (folder / "input").mkdir()
    (folder / "code").mkdir()
    inputs = {"data": {"type": "uri_folder"}}
    command = 'echo more > "${{inputs.data}}/more.txt"'
    spec = read_component(_component(folder, inputs=inputs, command=command, code="code", environment="azureml:e:1"))
    run_job(JobRequest(spec=spec, run_folder=folder / "run", inputs={"data": folder / "input"}))


def _take_too_long(folder: Path) -> None:
    spec = read_component(_component(folder, command="sleep 60", environment="azureml:e:1"))
    run_job(JobRequest(spec=replace(spec, timeout_seconds=1), run_folder=folder / "run", grace_seconds=1))


def _miss_an_extra(folder: Path) -> None:
    import sys

    from pytorch_designer.cloud.workspace import Target, connect

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "azure.ai.ml", None)
        connect(Target("ws", "rg", "0" * 8))


def _azure_answers(status: int) -> Callable[[Path], None]:
    def provoke(folder: Path) -> None:
        pytest.importorskip("azure.ai.ml")
        from azure.core.exceptions import HttpResponseError

        from pytorch_designer.cloud.cloud_errors import named_faults

        error = HttpResponseError("No.")
        error.status_code = status
        with named_faults("register a component", where="the workspace ws"):
            raise error

    return provoke


def _follow_another_process(folder: Path) -> None:
    cause = FailedToWriteOutputsError("The disk is full.", where=folder)
    raise Fault.of(cause, 1, "rank 1 of 2, writing the model").as_error("rank 0 of 2, training")


def _wait_in_vain(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTORCH_DESIGNER_JOIN_SECONDS", "0.1")
        settings.cache_clear()
        try:
            meet(StartVariables(size=2, port=free_port()))
        finally:
            settings.cache_clear()


def _download_from(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTORCH_DESIGNER_WEIGHTS_MIRROR", str(folder))
        patch.setenv("TORCH_HOME", str(folder / "cache"))
        settings.cache_clear()
        try:
            verified_file("https://example.org/resnet18-f37072fd.pth")
        finally:
            settings.cache_clear()


def _open(output: Path) -> None:
    with open_output(output, apart_from={}):
        pass


def _ask_for_too_much(folder: Path) -> None:
    with torch_errors(8):
        torch.empty(2**60)


PROVOKE: dict[str, Callable[[Path], object]] = {
    "ParameterParsingError": lambda folder: parse_parameters(TRAIN.parameters, {"epochs": "five"}),
    "NullOrEmptyError": lambda folder: parse_parameters(TRAIN.parameters, {"epochs": ""}),
    "GreaterThanOrEqualToError": lambda folder: parse_parameters(TRAIN.parameters, {"epochs": "0"}),
    "LessThanOrEqualToError": lambda folder: parse_parameters(SPLIT.parameters, {"fraction": "1.5"}),
    "UnknownNameError": lambda folder: run_job(
        JobRequest(
            spec=read_component(_component(folder, environment="azureml:e:1")),
            run_folder=folder / "run",
            inputs={"epochs": 1},
        )
    ),
    "InvalidDatasetError": open_image_directory,
    "NotLabeledDatasetError": _unlabeled,
    "NotScoredDatasetError": _unscored,
    "ModuleOutOfMemoryError": _ask_for_too_much,
    "InvalidTransformationDirectoryError": open_transformation_directory,
    "InvalidModelDirectoryError": open_model_directory,
    "FailedToWriteOutputsError": lambda folder: _open(_component(folder)),
    "FailedToDownloadFilesError": _download_from,
    "NonFiniteLossError": _diverge,
    "UnsupportedEnvironmentError": lambda folder: choose_compute(Settings(device="mps"), height=8, width=8),
    "InterruptedRunError": _interrupt,
    "InterruptedCallError": _interrupt_call,
    "InvalidSpecError": lambda folder: read_component(_component(folder, inputs=[1])),
    "UnsupportedLocallyError": lambda folder: read_component(_component(folder, type="spark")),
    "InputChangedError": _write_into_input,
    "TimeLimitError": _take_too_long,
    "OtherProcessError": _follow_another_process,
    "LostProcessError": _wait_in_vain,
    "MissingExtraError": _miss_an_extra,
    "CloudError": _azure_answers(500),
    "CloudLoginError": _azure_answers(401),
    "CloudAccessError": _azure_answers(403),
    "CloudNotFoundError": _azure_answers(404),
}


def test_every_class_has_a_provocation() -> None:
    assert {error.__name__ for error in classes()} == set(PROVOKE)


@pytest.mark.slow
@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has the device that is asked for")
@pytest.mark.filterwarnings("ignore")  # azure-ai-ml warns of its own dependencies
@pytest.mark.parametrize("name", sorted(PROVOKE))
def test_a_user_can_provoke_it_and_is_told_what_where_and_what_to_do(name: str, tmp_path: Path) -> None:
    with pytest.raises(DesignerError) as caught:
        PROVOKE[name](tmp_path)
    error = caught.value
    assert error.name == name
    assert len(error.what) > 10
    assert error.where is not None or name in WITHOUT_PLACE
    assert error.advice.rstrip().endswith((".", "'")), "a sentence, or a command to copy"
    lines = str(error).splitlines()
    assert lines[0] == f"{name} ({error.code}): {error.what}"
    assert lines[-1] == f"  What to do: {error.advice}"


@pytest.mark.parametrize("error", list(classes()), ids=lambda error: error.__name__)
def test_it_is_documented_with_its_code(error: type[DesignerError]) -> None:
    rows = [line for line in DOCUMENTED.read_text(encoding="utf-8").splitlines() if f"| `{error.__name__}` |" in line]
    assert len(rows) == 1
    assert rows[0].split("|")[2].strip() == error.code
    assert rows[0].split("|")[4].strip(), "the general remedy"


def _raised() -> Iterator[tuple[str, ast.Call, type[DesignerError]]]:
    """Every construction of a named error in the source: location, call, class."""
    by_name = {error.__name__: error for error in classes()}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in by_name:
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", node, by_name[node.func.id]


@pytest.mark.slow
def test_every_place_that_raises_says_where_and_what_to_do() -> None:
    sites = list(_raised())
    assert {error.__name__ for _, _, error in sites} == {error.__name__ for error in classes()}
    silent = []
    for place, call, error in sites:
        given = {keyword.arg for keyword in call.keywords}
        if "where" not in given and error.__name__ not in WITHOUT_PLACE:
            silent.append(f"{place}: {error.__name__} without where")
        if "advice" not in given and not error.default_advice:
            silent.append(f"{place}: {error.__name__} without advice")
    assert silent == []
