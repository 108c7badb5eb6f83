"""`pytorch-designer train IMAGES`: from a folder of images to a trained model in one command."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.addresses import local_path
from pytorch_designer.api.folder_training import F_co, FolderRequest, FolderTrainingParameters, train_folder
from pytorch_designer.cli.command_parser import CommandParser, joined_options
from pytorch_designer.cli.commands.component_command import add_parameters, given_parameters, options_in_advice
from pytorch_designer.components.init_image_transformation import InitImageTransformationParameters, chosen_transforms
from pytorch_designer.distributed.launching import run_in_processes
from pytorch_designer.errors import DesignerError, InterruptedRunError
from pytorch_designer.spec.parameters import FROM_STANDARD_INPUT, parameter_specs, parse_parameters
from pytorch_designer.training.datasets import TRAINING_PORT, VALIDATION_PORT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NETWORK_OPTIONS = ("model_name", "pretrained")
_PORTS = {TRAINING_PORT: "IMAGES", VALIDATION_PORT: "--validation"}


def run_train(arguments: Sequence[str], program: str) -> int:
    """Run the command.

    Returns:
        The exit code, which is that of several processes where it has been run in such.

    Raises:
        SystemExit: The command line has unknown options, or asks for help.
        DesignerError: Any named error.
    """
    parser = train_parser(program)
    with folder_request(parser, arguments, FolderTrainingParameters, continues=True) as request:
        # Standard input has been read: processes that are started get its text.
        name = {f"--model-name={FROM_STANDARD_INPUT}": f"--model-name={request.parameters.model_name}"}
        given = joined_options(arguments, parser.flags)
        exit_code = run_in_processes(["train", *(name.get(argument, argument) for argument in given)])
        if exit_code is not None:
            return exit_code
        train_folder(request, program=program)
    return 0


@contextmanager
def folder_request(
    parser: CommandParser, arguments: Sequence[str], parameters: type[F_co], *, continues: bool
) -> Iterator[FolderRequest[F_co]]:
    """Parse a command line, and name the ports of Train PyTorch Model in errors of the context as its options.

    Args:
        parser: Parser with the options of `add_inputs`, `--output`, `--overwrite` and those of the parameters.
        arguments: The command line.
        parameters: The parameters.
        continues: Whether the same command continues a run that was stopped.

    Raises:
        SystemExit: The command line has unknown options, or asks for help.
        DesignerError: A parameter is wrong, or any named error of the context.
    """
    given = vars(parser.parse_args(joined_options(arguments, parser.flags)))
    specs = parameter_specs(parameters)
    with options_in_advice(specs), _named_as_options(continues=continues):
        texts = given_parameters(specs, given)
        if fault := _unused_network_options(given, texts):
            parser.error(fault)
        yield FolderRequest(
            images=given["images"],
            validation=given["validation"],
            model=given["model"],
            output=given["output"],
            is_augmented=given["augment"],
            is_overwriting=given["overwrite"],
            parameters=parse_parameters(parameters, texts),
        )


def train_parser(program: str) -> CommandParser:
    """The options of `train`."""
    parser = CommandParser(
        prog=f"{program} train",
        description="Trains a model on a folder with one folder of images per class, or on anything else that Train "
        "PyTorch Model takes. A folder with train, valid and test in it is used as it is: the test images are scored "
        "and evaluated at the end.",
        epilog="A run that was stopped continues when the same command is given again (without --overwrite).",
    )
    add_inputs(parser)
    parser.add_argument(
        "--output", metavar="DIR", type=local_path, default=Path("trained"), help="The trained model. Default: trained."
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="Start over: replace the earlier result, or stopped run, in --output."
    )
    add_parameters(parser, parameter_specs(FolderTrainingParameters))
    return parser


def add_inputs(parser: CommandParser) -> None:
    """Add IMAGES, and the options for what else a run reads."""
    parser.add_argument("images", metavar="IMAGES", type=local_path, help="The folder, or an archive of it.")
    parser.add_argument(
        "--validation",
        metavar="DIR",
        type=local_path,
        help="Images to validate with. Default: those in IMAGES/valid, else a part of IMAGES.",
    )
    parser.add_argument(
        "--model",
        metavar="DIR",
        type=local_path,
        help="Model to train: a trained model, which is fine-tuned, or the output of ResNet, DenseNet or Image Model. "
        "Default: the network of --model-name.",
    )
    parser.add_argument(
        "--augment",
        action="store_true",
        help="Train with the transforms that Init Image Transformation lists by default: "
        f"{', '.join(op for op, _ in chosen_transforms(InitImageTransformationParameters()))}.",
    )


def _unused_network_options(given: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    """Message about options of a new network beside a given model; "" if there are none."""
    unused = [f"--{name.replace('_', '-')}" for name in _NETWORK_OPTIONS if name in texts]
    if given["model"] is None or not unused:
        return ""
    return f"--model names the network and its weights, so that {' and '.join(unused)} cannot be given"


@contextmanager
def _named_as_options(*, continues: bool) -> Iterator[None]:
    """Name ports of Train PyTorch Model as this command does.

    `continues` says whether the same command continues a run that was stopped.
    """
    try:
        yield
    except DesignerError as error:
        for port, option in _PORTS.items():
            error.what = error.what.replace(f"on the port `{port}`", f"of {option}")
        if isinstance(error, InterruptedRunError) and continues:
            error.advice = "Run the same command again, without --overwrite: it continues where it stopped."
        if error.reason == "not_empty":
            error.advice += " With --overwrite, the result of an earlier run is replaced."
        raise
