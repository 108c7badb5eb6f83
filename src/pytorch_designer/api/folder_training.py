"""Training on a folder: from images to a trained model, for the command `train` and for `pytorch_designer.train`.

Does the work of Split Image Directory, Init and Apply Image Transformation, Image Model and Train PyTorch Model without
copying images, and that of Score Image Model and Evaluate Model where IMAGES has a test split:

    IMAGES/train, valid, test   used as they are
    OUTPUT/                     the trained model, and NEXT_STEPS.md
    OUTPUT/test/                scores and evaluation of the test split
"""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import Field

from pytorch_designer.api.next_steps import write_next_steps
from pytorch_designer.components.image_model import ImageModelParameters
from pytorch_designer.components.init_image_transformation import InitImageTransformationParameters, chosen_transforms
from pytorch_designer.components.train_pytorch_model import TrainPyTorchModelParameters
from pytorch_designer.directories.image_directory import open_image_source, require_labels
from pytorch_designer.directories.model_directory import open_model_directory, open_trained_model_directory
from pytorch_designer.directories.sources.splits import find_splits
from pytorch_designer.directories.splitting import split_rows
from pytorch_designer.directories.summary import log_summary
from pytorch_designer.distributed.participation import joined_world
from pytorch_designer.storage.output import META_FILE, check_outputs, open_output
from pytorch_designer.storage.stopped_folder import temporary_folder
from pytorch_designer.system.places import check_temporary_folder
from pytorch_designer.training.datasets import TRAINING_PORT, check_datasets
from pytorch_designer.training.report.earlier_result import TEST_FOLDER, refuse_other_result, replaceable_entries
from pytorch_designer.transforms.registrations import parse_transforms

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.directories.image_directory import ImageDirectory
    from pytorch_designer.directories.model_directory import ModelDirectory
    from pytorch_designer.directories.sources.splits import Splits
    from pytorch_designer.distributed.world import World
    from pytorch_designer.training.datasets import LabeledDatasets

_log = logging.getLogger(__name__)

SCORES_FOLDER, EVALUATION_FOLDER = "scores", "evaluation"


class FolderParameters(ImageModelParameters):
    """The parameters that opening a folder and making its network need."""

    model_name: str = Field("resnet18", description="The network: any classifier of torchvision by name.")
    random_seed: int = Field(
        1, description="The same seed, data and machine give the same result, bit for bit. Any whole number."
    )
    fraction: float = Field(
        0.9, ge=0, le=1, description="Share of the images to train on, where no validation images are given."
    )


class FolderTrainingParameters(FolderParameters, TrainPyTorchModelParameters):
    """The parameters of training on a folder."""


F_co = TypeVar("F_co", bound=FolderParameters, covariant=True)


@dataclass(frozen=True)
class FolderRequest(Generic[F_co]):
    """Request for a run on a folder: to train, or to search a learning rate.

    Attributes:
        images: Images to train on: anything that Train PyTorch Model takes, or a folder of splits.
        validation: Images to validate with; None for a split of `images`, or a part of them.
        model: Model to train: untrained, or a trained one to fine-tune; None for the one of `parameters.model_name`.
        output: Destination of the result.
        is_augmented: Whether training uses the transforms that Init Image Transformation lists by default.
        is_overwriting: Whether an earlier result in `output` is replaced, and a stopped run there not continued.
        parameters: The parameters.
    """

    images: Path
    validation: Path | None
    model: Path | None
    output: Path
    is_augmented: bool
    is_overwriting: bool
    parameters: F_co

    def check_output(self) -> None:
        """Refuse an output that is inside an input, occupied, or cannot be written.

        Raises:
            FailedToWriteOutputsError: It is.
        """
        optional = {"model": self.model, "validation images": self.validation}
        inputs = {"images": self.images} | {name: path for name, path in optional.items() if path is not None}
        check_outputs({"output": self.output}, inputs, keeps_results=True)


def train_folder(request: FolderRequest[FolderTrainingParameters], *, program: str) -> Path:
    """Train, write the model with its report and `NEXT_STEPS.md`, and score and evaluate a test split.

    A run that was stopped continues where it was; one that is complete is left as it is.

    Args:
        request: What to train on, and how.
        program: Name of the program, for the commands in `NEXT_STEPS.md`.

    Returns:
        Images of the run that can be scored: the test split, the validation images, or all images.

    Raises:
        DesignerError: Any named error of docs/reference/errors.md.
    """
    with joined_world() as world:
        return _train_in(world, request, program)


def _train_in(world: World, request: FolderRequest[FolderTrainingParameters], program: str) -> Path:
    from pytorch_designer.components.train_pytorch_model import hyperparameters
    from pytorch_designer.tracking.tracker_opening import prepared_tracking

    world.note("checking the inputs")
    check_temporary_folder()
    replaced = world.verdict_of_first(lambda: _check_output(request))
    with ExitStack() as stack:
        # Faults of the inputs show here, before torch is imported, which takes seconds.
        data = open_datasets(stack, request)
        model = None if request.model is None else open_model_directory(request.model)
        open_tracker = stack.enter_context(prepared_tracking(records=world.is_first))
        if model is None:
            model = new_model(stack, request.parameters)
        from pytorch_designer.training.training_run import train_model

        train_model(
            model=model,
            datasets=data.datasets,
            trained_model=request.output,
            hyperparameters=hyperparameters(request.parameters),
            open_tracker=open_tracker,
            replaced=replaced,
            world=world,
        )
        if data.test is not None:
            world.note("testing the model")
            world.verdict_of_first(partial(_test, request.output, data.test))
    _log.info("%s", world.verdict_of_first(partial(_next_steps, request, data, program)))
    return data.scorable


def _next_steps(request: FolderRequest[FolderTrainingParameters], data: FolderData, program: str) -> str:
    return write_next_steps(request.output, scorable=data.scorable, trainable=request.images, program=program)


def _check_output(request: FolderRequest[FolderTrainingParameters]) -> frozenset[str] | None:
    """Refuse an output that cannot be used; the entries of the earlier result that is replaced, or None."""
    request.check_output()
    if request.is_overwriting:
        return replaceable_entries(request.output)
    parameters = request.parameters.model_dump(include=set(TrainPyTorchModelParameters.model_fields))
    refuse_other_result(request.output, parameters)
    return None


@dataclass(frozen=True)
class FolderData:
    """The opened images of a run.

    Attributes:
        datasets: Training and validation images, checked.
        test: Test images, if there are any.
        scorable: The folder that commands which score images may name.
    """

    datasets: LabeledDatasets
    test: ImageDirectory | None
    scorable: Path


def open_datasets(stack: ExitStack, request: FolderRequest[FolderParameters]) -> FolderData:
    """Open and check the images of a request, and log what they are taken for.

    Raises:
        InvalidDatasetError: They cannot be used.
        NotLabeledDatasetError: There are images without labels.
    """
    splits = find_splits(request.images) if request.images.is_dir() else None
    training_path, validation_path, test = request.images, request.validation, None
    if splits is not None:
        training_path, validation_path = splits.train, validation_path or splits.validation
        test = None if splits.test is None else stack.enter_context(open_image_source(splits.test))
        _log.info("%s", _describe(splits, validation_path))
        if test is not None:
            log_summary(test, "Test")
    dataset = stack.enter_context(open_image_source(training_path))
    log_summary(dataset, "" if validation_path is None else "Training", trains=True)
    require_labels(dataset, TRAINING_PORT)
    if validation_path is None:
        parts = split_rows(dataset, fraction=request.parameters.fraction, seed=request.parameters.random_seed)
        training, validation = dataset.take(parts[0]), dataset.take(parts[1])
    else:
        training, validation = dataset, stack.enter_context(open_image_source(validation_path))
        log_summary(validation, "Validation")
    datasets = check_datasets(_augmented(training, request), validation)
    scorable = test.source if test is not None else validation_path or training_path
    return FolderData(datasets, test, scorable)


def _describe(splits: Splits, validation: Path | None) -> str:
    parts = [f"training on {splits.train}"]
    parts.append("validating with a part of it" if validation is None else f"validating with {validation}")
    if splits.test is not None:
        parts.append(f"testing with {splits.test} at the end")
    unused = f" Not used: {', '.join(splits.others)}." if splits.others else ""
    return f"Splits: {', '.join(parts)}.{unused}"


def _augmented(dataset: ImageDirectory, request: FolderRequest[FolderParameters]) -> ImageDirectory:
    """The dataset as Apply Image Transformation would record it, with the images as they are."""
    if not request.is_augmented:
        return dataset
    transforms = parse_transforms(chosen_transforms(InitImageTransformationParameters()))
    pairs: tuple[tuple[str, Any], ...] = tuple((op, args) for op, args in (item.to_pair() for item in transforms))
    return replace(dataset, transforms=dataset.transforms + pairs)


def new_model(stack: ExitStack, parameters: FolderParameters) -> ModelDirectory:
    """The untrained model that the parameters name, in a temporary folder.

    Raises:
        FailedToDownloadFilesError: The pretrained weights cannot be had.
    """
    from pytorch_designer.components import image_model

    untrained = stack.enter_context(temporary_folder()) / "untrained_model"
    chosen = ImageModelParameters(model_name=parameters.model_name, pretrained=parameters.pretrained)
    image_model.run({}, {"untrained_model": untrained}, chosen)
    return open_model_directory(untrained)


def _test(trained_model: Path, images: ImageDirectory) -> None:
    """Score and evaluate the test images below the model; what an earlier start has completed is kept."""
    scores, evaluation = (trained_model / TEST_FOLDER / name for name in (SCORES_FOLDER, EVALUATION_FOLDER))
    if not (scores / META_FILE).exists():
        from pytorch_designer.scoring.scoring_run import score_images

        _log.info("Scoring the test images.")
        with open_output(scores, apart_from={"the test images": images.source}) as output:
            score_images(open_trained_model_directory(trained_model), images, output)
    if images.labels is None:
        _log.info("The test images have no labels: they are scored, and not evaluated.")
    elif not (evaluation / META_FILE).exists():
        from pytorch_designer.evaluation.evaluation_run import evaluate_model

        _log.info("Evaluating the scores of the test images.")
        evaluate_model(scored_dataset=scores, evaluation_results=evaluation)
