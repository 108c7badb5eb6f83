"""`pytorch-designer train IMAGES`: from a folder of images to a trained model in one command.

Does the work of Split Image Directory, Image Model and Train PyTorch Model without copying images.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from pytorch_designer.cli.command_parser import CommandParser, joined_options
from pytorch_designer.cli.commands.component_command import add_parameters, given_parameters
from pytorch_designer.components.image_model import ImageModelParameters
from pytorch_designer.components.train_pytorch_model import TrainPyTorchModelParameters
from pytorch_designer.spec.parameters import parameter_specs, parse_parameters

if TYPE_CHECKING:
    from collections.abc import Sequence


class TrainCommandParameters(TrainPyTorchModelParameters, ImageModelParameters):
    """The parameters of the components that the command combines."""

    model_name: str = Field("resnet18", description="The network: any classifier of torchvision by name.")
    fraction: float = Field(
        0.9, ge=0, le=1, description="Share of the images to train on, where no validation images are given."
    )


def run_train(arguments: Sequence[str], program: str) -> None:
    """Run the command.

    Raises:
        SystemExit: The command line has unknown options, or asks for help.
        DesignerError: Any named error.
    """
    parser = CommandParser(
        prog=f"{program} train",
        description="Trains a model on a folder with one folder of images a class, or on anything else that "
        "Train PyTorch Model takes.",
    )
    parser.add_argument("images", metavar="IMAGES", type=Path, help="The folder, or an archive of it.")
    parser.add_argument(
        "--validation", metavar="DIR", type=Path, help="Images to validate with; else a part of IMAGES."
    )
    parser.add_argument("--output", metavar="DIR", type=Path, default=Path("trained"), help="Default: trained.")
    specs = parameter_specs(TrainCommandParameters)
    add_parameters(parser, specs)
    given = parser.parse_args(joined_options(arguments, parser.flags))
    parameters = parse_parameters(TrainCommandParameters, given_parameters(specs, vars(given)))
    _train(given.images, given.validation, given.output, parameters)


def _train(images: Path, validation: Path | None, output: Path, parameters: TrainCommandParameters) -> None:
    from pytorch_designer.components import image_model
    from pytorch_designer.components.train_pytorch_model import hyperparameters
    from pytorch_designer.directories.image_directory import open_image_source, require_labels
    from pytorch_designer.directories.model_directory import open_model_directory
    from pytorch_designer.directories.splitting import split_rows
    from pytorch_designer.tracking.tracker import prepared_tracking
    from pytorch_designer.training.datasets import check_datasets

    with ExitStack() as stack:
        # Faults of the images show here, before torch is imported, which takes seconds.
        dataset = stack.enter_context(open_image_source(images))
        require_labels(dataset, "IMAGES")
        if validation is None:
            parts = split_rows(dataset, fraction=parameters.fraction, seed=parameters.random_seed)
            datasets = check_datasets(dataset.take(parts[0]), dataset.take(parts[1]))
        else:
            datasets = check_datasets(dataset, stack.enter_context(open_image_source(validation)))
        untrained = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "untrained_model"
        model = ImageModelParameters(model_name=parameters.model_name, pretrained=parameters.pretrained)
        open_tracker = stack.enter_context(prepared_tracking())
        image_model.run({}, {"untrained_model": untrained}, model)
        from pytorch_designer.training.training_run import train_model

        train_model(
            model=open_model_directory(untrained),
            datasets=datasets,
            trained_model=output,
            hyperparameters=hyperparameters(parameters),
            open_tracker=open_tracker,
        )
