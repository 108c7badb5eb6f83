"""Every component on inputs that are as small as can be, with outputs that two runs of it have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pytorch_designer.components.registry import COMPONENTS
from pytorch_designer.settings import settings
from pytorch_designer.spec.parameters import parse_parameters
from tests.images.digits import write_digits

_SMALL_NETWORK = {"model_name": "shufflenet_v2_x0_5", "pretrained": "False"}


@dataclass(frozen=True)
class Case:
    """A component, the folders on its input ports below the inputs' folder, and its parameters as text."""

    component: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)

    def run(self, inputs: Path, outputs: Path) -> None:
        """Run it with its outputs in `outputs/<port>`."""
        component = COMPONENTS[self.component]
        component.run(
            {port: inputs / name for port, name in self.inputs.items()},
            {port.name: outputs / port.name for port in component.outputs},
            parse_parameters(component.parameters, self.parameters),
        )


CASES = {
    case.component: case
    for case in (
        Case("convert_to_image_directory", {"input_dataset": "training"}),
        Case("split_image_directory", {"input_image_directory": "converted"}, {"fraction": "0.5"}),
        Case("init_image_transformation"),
        Case(
            "apply_image_transformation",
            {"input_image_transformation": "transformation", "input_image_directory": "converted"},
        ),
        Case("densenet", {}, {"model_name": "densenet121", "pretrained": "False"}),
        Case("resnet", {}, {"model_name": "resnet18", "pretrained": "False"}),
        Case("image_model", {}, _SMALL_NETWORK),
        Case(
            "train_pytorch_model",
            {"untrained_model": "untrained", "training_dataset": "training", "validation_dataset": "validation"},
            {"epochs": "2", "batch_size": "3", "learning_rate": "0.01"},
        ),
        Case("score_image_model", {"trained_model": "trained", "dataset": "validation"}),
        Case("evaluate_model", {"scored_dataset": "scored"}),
    )
}

_MADE_BY = {
    "converted": ("convert_to_image_directory", "output_image_directory"),
    "transformation": ("init_image_transformation", "output_image_transformation"),
    "untrained": ("image_model", "untrained_model"),
    "trained": ("train_pytorch_model", "trained_model"),
    "scored": ("score_image_model", "scored_dataset"),
}


def write_case_inputs(inputs: Path, *, per_class: int = 2, side: int = 8) -> None:
    """Write training images of three classes, half as many for validation, and all that components make of them."""
    write_digits(inputs / "training", classes=3, per_class=per_class, side=side)
    write_digits(inputs / "validation", classes=3, per_class=per_class // 2, skip=per_class, side=side)
    for name, (component, port) in _MADE_BY.items():
        made = inputs / f"{name}.made"
        CASES[component].run(inputs, made)
        (made / port).rename(inputs / name)
        made.rmdir()


@contextmanager
def without_tracking() -> Iterator[None]:
    """Components that run in this process record nothing, whatever settings an earlier test has left behind.

    They compute with one thread: two that wait for each other are many times slower on a busy machine.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTORCH_DESIGNER_TRACKING", "off")
        patch.setenv("PYTORCH_DESIGNER_NUM_THREADS", "1")
        settings.cache_clear()
        yield
    settings.cache_clear()


def outcome(outputs: Path) -> dict[str, str]:
    """Names of all files, with the hashes of weights and data: equal in two runs, as times are not."""
    found = {}
    for path in sorted(outputs.rglob("*")):
        is_data = path.suffix in {".safetensors", ".parquet", ".png", ".lst", ".csv"} and path.name != "history.csv"
        found[path.relative_to(outputs).as_posix()] = _hash(path) if is_data else ""
    return found


def hashes(folder: Path) -> dict[str, tuple[str, int]]:
    """The hash and the time of change of every file and folder below `folder`."""
    return {
        path.relative_to(folder).as_posix(): (_hash(path) if path.is_file() else "", path.stat().st_mtime_ns)
        for path in (folder, *sorted(folder.rglob("*")))
    }


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
