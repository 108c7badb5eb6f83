"""`pytorch-designer find-learning-rate IMAGES`: a range test of the learning rate, before a model is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.addresses import local_path
from pytorch_designer.api.rate_search import RateSearchParameters, find_rate
from pytorch_designer.cli.command_parser import CommandParser
from pytorch_designer.cli.commands.component_command import add_parameters
from pytorch_designer.cli.commands.train_command import add_inputs, folder_request
from pytorch_designer.spec.parameters import parameter_specs

if TYPE_CHECKING:
    from collections.abc import Sequence


def run_find_rate(arguments: Sequence[str], program: str) -> None:
    """Run the command.

    Raises:
        SystemExit: The command line has unknown options, or asks for help.
        DesignerError: Any named error.
    """
    with folder_request(_parser(program), arguments, RateSearchParameters, continues=False) as request:
        find_rate(request)


def _parser(program: str) -> CommandParser:
    parser = CommandParser(
        prog=f"{program} find-learning-rate",
        description="Suggests a learning rate for `train` by a range test: one short run with the recipe of training, "
        "in which the learning rate grows with every step. It prints the loss by learning rate and writes a page with "
        "the curve. No model is written.",
        epilog="The images are those that the same command line of `train` would train on.",
    )
    add_inputs(parser)
    parser.add_argument(
        "--output",
        metavar="DIR",
        type=local_path,
        default=Path("learning_rate"),
        help="The page, and the numbers. Default: learning_rate.",
    )
    parser.add_argument("--overwrite", action="store_true", help="Replace the result of an earlier test in --output.")
    add_parameters(parser, parameter_specs(RateSearchParameters))
    return parser
