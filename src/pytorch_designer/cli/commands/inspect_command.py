"""Command `inspect`: what is in a folder of images, before anything is trained on it.

Exit codes: 0 training would take the folder, 1 it would refuse it, 2 wrong usage of the command line.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack, redirect_stdout
from typing import TYPE_CHECKING

from pytorch_designer.addresses import local_path
from pytorch_designer.cli.command_parser import CommandParser
from pytorch_designer.progress import open_progress_line
from pytorch_designer.settings import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytorch_designer.directories.image_directory import ImageDirectory
    from pytorch_designer.inspection.dataset_inspection import Inspection


def run_inspect(arguments: Sequence[str], program: str) -> int:
    """Print what is in a folder, and raise the error with which training would end.

    Raises:
        SystemExit: The command line is wrong (code 2), or asks for help (code 0).
        DesignerError: The folder cannot be opened, or training would refuse it.
    """
    options = _parser(program).parse_args(arguments)
    from pytorch_designer.directories.image_directory import open_image_source
    from pytorch_designer.inspection.duplicates import find_duplicates
    from pytorch_designer.inspection.inspection_report import FOLDER, OTHER, InspectionReport, as_document, as_text

    output = sys.stdout
    with ExitStack() as stack:
        if options.json:  # log lines go where they are no part of the document
            stack.enter_context(redirect_stdout(sys.stderr))
        inspection = _inspect(stack.enter_context(open_image_source(options.folder)), FOLDER)
        other = None
        if options.against is not None:
            dataset = stack.enter_context(open_image_source(options.against, takes_other_tasks=True))
            other = _inspect(dataset, OTHER)
        report = InspectionReport(inspection, other, find_duplicates(inspection, other))
        text = json.dumps(as_document(report), indent=2) if options.json else as_text(report)
        output.write(f"{text}\n")
        output.flush()
        refusal = report.refusal
    if refusal is not None:
        raise refusal
    return 0


def _inspect(dataset: ImageDirectory, name: str) -> Inspection:
    from pytorch_designer.inspection.dataset_inspection import inspect_dataset

    with open_progress_line(settings()) as line:
        return inspect_dataset(
            dataset,
            name=name,
            show=lambda num_done: line.show("inspecting", num_done, len(dataset), "images"),
        )


def _parser(program: str) -> CommandParser:
    parser = CommandParser(
        prog=f"{program} inspect",
        description="Shows what is in a folder of images: what it is taken for, classes, sizes, formats, files that "
        "cannot be read, and images that are there twice. Files that look whole are not decoded.",
        epilog="Exit code: 0 training takes the folder, 1 it would refuse it, 2 wrong usage.",
    )
    parser.add_argument("folder", metavar="FOLDER", type=local_path, help="a folder of images, or an archive of one")
    parser.add_argument(
        "--against",
        metavar="OTHER",
        type=local_path,
        help="a second one, of validation or test images: images that are in both are listed",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON instead")
    return parser
