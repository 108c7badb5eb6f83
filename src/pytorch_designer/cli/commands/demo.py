"""Command `demo`: the whole pipeline on real images, through the components' own commands.

The images are scikit-learn's handwritten digits (1,797 scans of 8 x 8 pixels), enlarged to 32 x 32 and written as
class folders, the usual starting point:

    folder -> convert -> split -> transform -> train -> score -> evaluate

A fifth of the images is held out for the evaluation.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.addresses import local_path
from pytorch_designer.cli.command_parser import CommandParser
from pytorch_designer.cli.demo_digits import IMAGE_SIZE, write_digits
from pytorch_designer.spec.component import dashed
from pytorch_designer.storage.output import writing_errors
from pytorch_designer.system.python_process import python_command

if TYPE_CHECKING:
    from collections.abc import Sequence


def run_demo(arguments: Sequence[str], program: str) -> None:
    """Run the demo.

    Raises:
        SystemExit: A step failed; its message is on the terminal.
        FailedToWriteOutputsError: The folder cannot be written.
    """
    parser = CommandParser(
        prog=f"{program} demo", description="From a folder of handwritten digits to an evaluated model, step by step."
    )
    parser.add_argument(
        "--output", type=local_path, default=Path("demo"), metavar="DIR", help="Where everything is written."
    )
    top: Path = parser.parse_args(arguments).output
    started = time.monotonic()
    _clear(top)
    with writing_errors(top):
        num_images = write_digits(top / "images")
    print(f"{num_images:,} handwritten digits, {IMAGE_SIZE} x {IMAGE_SIZE} pixels, are in {top / 'images'}")
    _prepare_data(top)
    _train_and_evaluate(top)
    _summarise(top, time.monotonic() - started)


def _clear(top: Path) -> None:
    for folder in (top / name for name in _FOLDERS):
        shutil.rmtree(folder, ignore_errors=True)


_FOLDERS = (
    "images",
    "all",
    "training",
    "rest",
    "validation",
    "test",
    "transformation",
    "training_transformed",
    "untrained",
    "trained",
    "scored",
    "evaluation",
)


def _prepare_data(top: Path) -> None:
    _run("convert_to_image_directory", input_dataset=top / "images", output_image_directory=top / "all")
    _run(
        "split_image_directory",
        input_image_directory=top / "all",
        fraction=0.6,
        output_image_directory1=top / "training",
        output_image_directory2=top / "rest",
    )
    _run(
        "split_image_directory",
        input_image_directory=top / "rest",
        fraction=0.5,
        output_image_directory1=top / "validation",
        output_image_directory2=top / "test",
    )
    # Digits must not be flipped, but handwriting slants a little to either side.
    _run(
        "init_image_transformation",
        resize=False,
        center_crop=False,
        random_horizontal_flip=False,
        random_rotation=True,
        random_rotation_degrees=10,
        output_image_transformation=top / "transformation",
    )
    _run(
        "apply_image_transformation",
        input_image_transformation=top / "transformation",
        input_image_directory=top / "training",
        mode="For training",
        output_image_directory=top / "training_transformed",
    )


def _train_and_evaluate(top: Path) -> None:
    _run("resnet", model_name="resnet18", pretrained=False, untrained_model=top / "untrained")
    _run(
        "train_pytorch_model",
        untrained_model=top / "untrained",
        training_dataset=top / "training_transformed",
        validation_dataset=top / "validation",
        trained_model=top / "trained",
    )
    _run("score_image_model", trained_model=top / "trained", dataset=top / "test", scored_dataset=top / "scored")
    _run("evaluate_model", scored_dataset=top / "scored", evaluation_results=top / "evaluation")


def _run(component: str, **arguments: object) -> None:
    """Print a component's command and run it in a separate process, as a job does."""
    options = [f"--{dashed(name)}={value}" for name, value in arguments.items()]
    print(f"\n$ {shlex.join(['pytorch-designer', dashed(component), *options])}", flush=True)
    exit_code = subprocess.run(python_command("pytorch_designer", dashed(component), *options), check=False)
    if exit_code.returncode != 0:
        raise SystemExit(exit_code.returncode)


def _summarise(top: Path, seconds: float) -> None:
    validation = _metrics(top / "trained/report")["validation"]
    evaluation = _metrics(top / "evaluation")["scored_dataset"]
    print(
        f"""
Done in {seconds:.0f} seconds.

  Accuracy on the validation images, which chose the epoch    {validation["top1"]:.1%} of {validation["num_images"]}
  Accuracy on the held-out test images                        {evaluation["accuracy"]:.1%} of {evaluation["num_images"]}

  Evaluation       {top / "evaluation/index.html"}
  Training report  {top / "trained/report/index.html"}
  Model            {top / "trained"}

What to try next:
  your own images      pytorch-designer train FOLDER_OF_CLASS_FOLDERS
  the runs in MLflow   mlflow ui --backend-store-uri sqlite:///mlflow.db
  another network      pytorch-designer image-model --help
  on Azure ML          pytorch-designer register --help""",
        flush=True,
    )


def _metrics(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return content
