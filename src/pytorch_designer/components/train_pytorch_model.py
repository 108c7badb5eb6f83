"""Train PyTorch Model: an untrained model and two labeled image directories in, a trained model out."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from pydantic import Field

from pytorch_designer.imports import quick_import
from pytorch_designer.spec.component import Component, DirectoryType, Port
from pytorch_designer.spec.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytorch_designer.distributed.world import World
    from pytorch_designer.training.recipe import Hyperparameters

# The smallest positive double, which the old designer documents as the lower bound (double.Epsilon).
SMALLEST_LEARNING_RATE = 5e-324


class TrainPyTorchModelParameters(Parameters):
    """The five parameters of Train PyTorch Model."""

    epochs: int = Field(5, ge=1, description="How many times to pass over the training images.")
    batch_size: int = Field(16, ge=1, description="How many images to train on in one step, in each process.")
    learning_rate: float = Field(
        0.001,
        ge=SMALLEST_LEARNING_RATE,
        description="Initial learning rate of stochastic gradient descent; it decays towards zero over the run. "
        "Several processes multiply it by their number.",
    )
    random_seed: int = Field(
        1, description="The same seed, data and machine give the same model, bit for bit. Any whole number."
    )
    patience: int = Field(
        3,
        ge=1,
        description="Stop after this many epochs in a row without a lower validation loss than the lowest so far.",
    )


def run(inputs: Mapping[str, Path], outputs: Mapping[str, Path], parameters: TrainPyTorchModelParameters) -> None:
    """Train, and write the ModelDirectory; see `pytorch_designer.training.training_run.train_model`."""
    from pytorch_designer.distributed.participation import joined_world

    with joined_world() as world:
        _run_in(world, inputs, outputs, parameters)


def _run_in(
    world: World, inputs: Mapping[str, Path], outputs: Mapping[str, Path], parameters: TrainPyTorchModelParameters
) -> None:
    from pytorch_designer.directories.image_directory import open_image_source
    from pytorch_designer.directories.model_directory import open_model_directory
    from pytorch_designer.directories.summary import log_summary
    from pytorch_designer.storage.output import check_outputs
    from pytorch_designer.system.places import check_temporary_folder
    from pytorch_designer.tracking.tracker_opening import prepared_tracking
    from pytorch_designer.training.datasets import check_datasets
    from pytorch_designer.training.report.earlier_result import refuse_other_result

    def check_output() -> None:
        check_outputs(outputs, inputs, keeps_results=True)
        refuse_other_result(outputs["trained_model"], parameters.model_dump())

    world.note("checking the inputs")
    check_temporary_folder()
    world.verdict_of_first(check_output)  # the others would take its lock for that of another run
    with ExitStack() as stack:
        # Faults of the inputs show here, before torch is imported, which takes seconds.
        model = open_model_directory(inputs["untrained_model"])
        training, validation = (
            stack.enter_context(open_image_source(inputs[port])) for port in ("training_dataset", "validation_dataset")
        )
        log_summary(training, "Training", trains=True)
        log_summary(validation, "Validation")
        datasets = check_datasets(training, validation)
        open_tracker = stack.enter_context(prepared_tracking(records=world.is_first))
        with quick_import("torch"):
            from pytorch_designer.training.training_run import train_model

        train_model(
            model=model,
            datasets=datasets,
            trained_model=outputs["trained_model"],
            hyperparameters=hyperparameters(parameters),
            open_tracker=open_tracker,
            world=world,
        )


def hyperparameters(parameters: TrainPyTorchModelParameters) -> Hyperparameters:
    """The parameters as training takes them; imports torch."""
    from pytorch_designer.training.recipe import Hyperparameters

    return Hyperparameters(
        num_epochs=parameters.epochs,
        batch_size=parameters.batch_size,
        learning_rate=parameters.learning_rate,
        random_seed=parameters.random_seed,
        patience=parameters.patience,
    )


COMPONENT = Component(
    name="train_pytorch_model",
    display_name="Train PyTorch Model",
    category="Model Training",
    description="Trains an image classification model with stochastic gradient descent, validates it after each epoch, "
    "stops when the validation loss no longer falls, and saves the weights of the epoch with the highest validation "
    "accuracy together with their preprocessing, metrics and a report. A trained model on the untrained port is "
    "fine-tuned further. A run that was stopped continues where it was when it is started again on the same output. "
    "All GPUs of a node are used, one process per GPU, and all nodes of the instance count.",
    inputs=(
        Port(
            "untrained_model",
            DirectoryType.UNTRAINED_MODEL,
            "The model to train: the output of DenseNet, ResNet or Image Model, or a trained model to fine-tune.",
        ),
        Port(
            "training_dataset",
            DirectoryType.IMAGES,
            "Labeled images to learn from: an image directory, or a folder with one folder of images per class.",
        ),
        Port(
            "validation_dataset",
            DirectoryType.IMAGES,
            "Labeled images with the same classes, to choose the best epoch and when to stop.",
        ),
    ),
    outputs=(
        Port(
            "trained_model",
            DirectoryType.MODEL,
            "The trained model with its classes and preprocessing; also an MLflow model, with a report in report/.",
        ),
    ),
    parameters=TrainPyTorchModelParameters,
    run=run,
    is_distributed=True,
    keeps_own_result=True,
)
