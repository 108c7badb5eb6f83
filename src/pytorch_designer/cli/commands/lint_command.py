"""Command `lint`: offline checks of component and pipeline files.

Exit codes: 0 no errors, 1 errors, 2 wrong usage of the command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.addresses import local_path
from pytorch_designer.cli.command_parser import CommandParser
from pytorch_designer.harness.lint.formats import FORMATS
from pytorch_designer.harness.lint.linter import lint
from pytorch_designer.harness.lint.rules import RULES
from pytorch_designer.wording import nearest_name

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

_FOUND = 1


def run_lint(arguments: Sequence[str], program: str) -> int:
    """Check the files and folders on the command line and print the findings.

    Returns:
        The exit code.

    Raises:
        SystemExit: The command line is wrong (code 2), or asks for help (code 0).
    """
    parser = _parser(program)
    options = parser.parse_args(arguments)
    for path in options.paths:
        if not path.exists():
            parser.error(f"there is no file or folder {path}")
    for rule_id in options.ignore:
        if rule_id not in RULES:
            nearest = nearest_name(rule_id, RULES)
            parser.error(f"there is no rule {rule_id}" + (f"; did you mean {nearest}?" if nearest else ""))
    result = lint(options.paths, ignored_rules=frozenset(options.ignore))
    text = FORMATS[options.format](result)
    if text:
        print(text)
    return _FOUND if result.num_errors else 0


def _parser(program: str) -> argparse.ArgumentParser:
    parser = CommandParser(
        prog=f"{program} lint",
        description="Checks Azure ML components and jobs for errors that the SDK does not report.",
        epilog="Exit code: 0 no errors, 1 errors, 2 wrong usage. Each finding has the name of its rule.",
    )
    parser.add_argument(
        "paths", nargs="+", type=local_path, metavar="FILE", help="YAML files, or folders to search for them"
    )
    parser.add_argument("--format", choices=sorted(FORMATS), default="text", help="output format; default: text")
    parser.add_argument("--ignore", action="append", default=[], metavar="RULE", help="turn a rule off; repeatable")
    return parser
