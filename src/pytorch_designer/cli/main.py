"""Command `pytorch-designer`."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from pytorch_designer import __version__
from pytorch_designer.cli.boundary import run_guarded
from pytorch_designer.cli.console import configure_console
from pytorch_designer.cli.standard_streams import keep_streams_usable
from pytorch_designer.system.openmp import bound_spinning
from pytorch_designer.system.places import complete_environment
from pytorch_designer.system.utf8_mode import restart_in_utf8_mode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PROGRAM = "pytorch-designer"
_USAGE_ERROR = 2


# Each command imports its dependencies, including the components, when it is called: fast start-up is a feature.
def _train(arguments: Sequence[str]) -> int | None:
    from pytorch_designer.cli.commands.train_command import run_train

    return run_train(arguments, PROGRAM)


def _find_rate(arguments: Sequence[str]) -> int | None:
    from pytorch_designer.cli.commands.find_rate_command import run_find_rate

    run_find_rate(arguments, PROGRAM)
    return 0


def _inspect(arguments: Sequence[str]) -> int | None:
    from pytorch_designer.cli.commands.inspect_command import run_inspect

    return run_inspect(arguments, PROGRAM)


def _run(arguments: Sequence[str]) -> int | None:
    from pytorch_designer.cli.commands.run_command import run_command

    return run_command(arguments, PROGRAM)


def _runs(arguments: Sequence[str]) -> int | None:
    from pytorch_designer.cli.commands.runs_command import run_runs

    return run_runs(arguments, PROGRAM)


def _cache(arguments: Sequence[str]) -> int | None:
    from pytorch_designer.cli.commands.cache_command import run_cache

    return run_cache(arguments, PROGRAM)


def _lint(arguments: Sequence[str]) -> int | None:
    from pytorch_designer.cli.commands.lint_command import run_lint

    return run_lint(arguments, PROGRAM)


def _register(arguments: Sequence[str]) -> int | None:
    from pytorch_designer.cli.commands.cloud_commands import run_register

    return run_register(arguments, PROGRAM)


def _components(arguments: Sequence[str]) -> int | None:
    from pytorch_designer.cli.commands.cloud_commands import run_components

    return run_components(arguments, PROGRAM)


def _submit(arguments: Sequence[str]) -> int | None:
    from pytorch_designer.cli.commands.cloud_commands import run_submit

    return run_submit(arguments, PROGRAM)


def _designer(arguments: Sequence[str]) -> int | None:
    from pytorch_designer.cli.commands.designer_command import run_designer

    return run_designer(arguments, PROGRAM)


def _demo(arguments: Sequence[str]) -> int | None:
    from pytorch_designer.cli.commands.demo import run_demo

    run_demo(arguments, PROGRAM)
    return 0


_OTHER_COMMANDS: dict[str, tuple[Callable[[Sequence[str]], int | None], str]] = {
    "train": (_train, "Trains a model on a folder of images with one command, without the other components."),
    "find-learning-rate": (_find_rate, "Suggests a learning rate for `train` by a range test of some seconds."),
    "inspect": (_inspect, "Shows what is in a folder of images: classes, sizes, unreadable files, duplicates."),
    "run": (_run, "Runs the YAML file of a component or pipeline on this machine, as Azure ML would."),
    "runs": (_runs, "Lists, shows and compares runs that `run` has made, and ends those that go on."),
    "cache": (_cache, "Lists or clears the results of pipeline nodes that `run` keeps for reuse."),
    "lint": (_lint, "Checks components and pipelines for errors that Azure ML does not report."),
    "designer": (_designer, "Opens the page on which pipelines are edited, run and looked at in a browser."),
    "components": (_components, "Writes the YAML files of all components into a folder, with environment and code."),
    "register": (_register, "Registers components in an Azure ML workspace or registry."),
    "submit": (_submit, "Submits a job to an Azure ML workspace."),
    "demo": (_demo, "Trains a model on handwritten digits with the components above, in a few minutes."),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: The arguments after the program's name; None uses those of the process.

    Returns:
        The exit code; see `pytorch_designer.cli.boundary`.
    """
    if arguments is None:
        _prepare_process()
    name, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name in {"-h", "--help", "help"}:
        print(_help())
        return 0
    if name == "--version":
        print(f"{PROGRAM} {__version__}")
        return 0
    configure_console()
    bound_spinning()
    if name in _OTHER_COMMANDS:
        command, _ = _OTHER_COMMANDS[name]
        return run_guarded(partial(command, rest))
    return run_guarded(partial(_component, name, rest))


def _prepare_process() -> None:
    """Make the process independent of the place that it was started in, as far as one can."""
    restart_in_utf8_mode()
    keep_streams_usable()
    complete_environment()


def _component(name: str, arguments: Sequence[str]) -> int | None:
    from pytorch_designer.cli.commands.component_command import run_component
    from pytorch_designer.components.registry import COMPONENTS
    from pytorch_designer.wording import nearest_name

    components = {component.command: component for component in COMPONENTS.values()}
    if name in components:
        return run_component(components[name], arguments, PROGRAM)
    nearest = nearest_name(name, [*components, *_OTHER_COMMANDS])
    hint = f"; did you mean {nearest}?" if nearest else "."
    print(f"{PROGRAM}: there is no command {name}{hint}\n`{PROGRAM} --help` lists the commands.", file=sys.stderr)
    return _USAGE_ERROR


def _help() -> str:
    from pytorch_designer.components.registry import COMPONENTS

    width = max(len(component.command) for component in COMPONENTS.values()) + 2
    lines = [
        f"  {component.command:<{width}}{_first_sentence(component.description)}" for component in COMPONENTS.values()
    ]
    others = [f"  {name:<{width}}{summary}" for name, (_, summary) in _OTHER_COMMANDS.items()]
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
            *others,
            "",
            f"`{PROGRAM} COMMAND --help` shows a command's ports and parameters.",
        ]
    )


def _first_sentence(text: str) -> str:
    return text.split(". ", maxsplit=1)[0].removesuffix(".") + "."
