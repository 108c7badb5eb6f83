"""`pytorch-designer find-learning-rate IMAGES`: a range test of the learning rate, before a model is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.addresses import local_path
from pytorch_designer.api.rate_search import RateSearchParameters, RateSearchRequest, find_rate
from pytorch_designer.cli.command_parser import CommandParser, joined_options
from pytorch_designer.cli.commands.component_command import add_parameters, given_parameters, options_in_advice
from pytorch_designer.cli.commands.train_command import add_inputs, named_as_options, unused_network_options
from pytorch_designer.spec.parameters import parameter_specs, parse_parameters

if TYPE_CHECKING:
    from collections.abc import Sequence


def run_find_rate(arguments: Sequence[str], program: str) -> None:
    """Run the command.

    Raises:
        SystemExit: The command line has unknown options, or asks for help.
        DesignerError: Any named error.
    """
    parser = _parser(program)
    given = vars(parser.parse_args(joined_options(arguments, parser.flags)))
    specs = parameter_specs(RateSearchParameters)
    with options_in_advice(specs):
        texts = given_parameters(specs, given)
        if fault := unused_network_options(given, texts):
            parser.error(fault)
        request = RateSearchRequest(
            images=given["images"],
            validation=given["validation"],
            model=given["model"],
            output=given["output"],
            is_augmented=given["augment"],
            is_overwriting=given["overwrite"],
            parameters=parse_parameters(RateSearchParameters, texts),
        )
        with named_as_options(continues=False):
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
