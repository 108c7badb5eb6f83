"""The command `pytorch-designer`."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from pytorch_designer import __version__
from pytorch_designer.cli.boundary import run_guarded
from pytorch_designer.cli.component_command import run_component
from pytorch_designer.cli.console import configure_console
from pytorch_designer.components.registry import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "pytorch-designer"
_USAGE_ERROR = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: What follows the program's name; None takes it from the process.

    Returns:
        The exit code; see `pytorch_designer.cli.boundary`.
    """
    name, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in {"-h", "--help", "help"}:
        print(_help())
        return 0
    if name == "--version":
        print(f"{PROGRAM} {__version__}")
        return 0
    configure_console()
    components = {component.command: component for component in COMPONENTS.values()}
    if name in components:
        return run_guarded(partial(run_component, components[name], rest, PROGRAM))
    if name == "demo":
        from pytorch_designer.cli.demo import run_demo

        return run_guarded(partial(run_demo, rest, PROGRAM))
    print(f"{PROGRAM}: there is no command {name!r}.\n\n{_help()}", file=sys.stderr)
    return _USAGE_ERROR


def _help() -> str:
    width = max(len(component.command) for component in COMPONENTS.values()) + 2
    lines = [
        f"  {component.command:<{width}}{_first_sentence(component.description)}" for component in COMPONENTS.values()
    ]
    return "\n".join(
        [
            f"usage: {PROGRAM} COMMAND [OPTIONS]",
            "",
            "Image classification components for Azure ML designer, SDK v2 pipelines and laptops.",
            "",
            "components:",
            *lines,
            "",
            "other commands:",
            f"  {'demo':<{width}}Trains a model on handwritten digits with the components above, in a few minutes.",
            "",
            f"`{PROGRAM} COMMAND --help` shows a command's ports and parameters.",
        ]
    )


def _first_sentence(text: str) -> str:
    return text.split(". ", maxsplit=1)[0].removesuffix(".") + "."
