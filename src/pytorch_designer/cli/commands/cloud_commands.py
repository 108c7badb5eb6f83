"""Commands `register`, `submit` and `components`: this project's files and the user's for Azure ML."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.addresses import local_path
from pytorch_designer.cli.command_parser import CommandParser
from pytorch_designer.cloud.register import register
from pytorch_designer.cloud.submit import submit
from pytorch_designer.cloud.workspace import Target, choose_target, connect
from pytorch_designer.errors import InvalidSpecError
from pytorch_designer.harness.lint.formats import as_text
from pytorch_designer.harness.lint.linter import lint
from pytorch_designer.harness.node_kinds.disabled_nodes import DISABLED_REASON, find_left_out
from pytorch_designer.harness.schema.yaml_tree import read_yaml
from pytorch_designer.storage.output import writing_errors

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from azure.ai.ml import MLClient

_FOUND = 1


def run_register(arguments: Sequence[str], program: str, *, connected: Callable[[Target], MLClient] = connect) -> int:
    """Register components. `connected` creates the client of a workspace or registry.

    Returns:
        0 if all are registered, 1 if the linter finds an error in a file.

    Raises:
        SystemExit: The command line is wrong (code 2), or asks for help (code 0).
        DesignerError: Any named error.
    """
    parser = _register_parser(program)
    options = parser.parse_args(arguments)
    if options.registry and (options.workspace or options.resource_group or options.subscription):
        parser.error("give either a workspace or a registry")
    if options.files:
        return _register(_existing(parser, options.files), options, connected)
    with tempfile.TemporaryDirectory() as folder:
        return _register(_write_components(Path(folder)), options, connected)


def run_submit(arguments: Sequence[str], program: str, *, connected: Callable[[Target], MLClient] = connect) -> int:
    """Submit a pipeline job or command job. `connected` creates the client of a workspace.

    Returns:
        0 if it is submitted (with --stream: has completed), 1 if the linter finds an error in the file.

    Raises:
        SystemExit: The command line is wrong (code 2), or asks for help (code 0).
        DesignerError: Any named error.
    """
    parser = _submit_parser(program)
    options = parser.parse_args(arguments)
    [path] = _existing(parser, [options.file])
    if not options.skip_lint and not _is_clean([path]):
        return _FOUND
    _check_enabled(path)
    target = choose_target(_target(options))
    submit(connected(target), path, experiment=options.experiment, should_stream=options.stream, target=target)
    return 0


def run_components(arguments: Sequence[str], program: str) -> int:
    """Write all components into a folder: their YAML files, and the environment and code that those name.

    Raises:
        SystemExit: The command line is wrong, or the folder is not empty (code 2), or help is asked for (code 0).
        FailedToWriteOutputsError: A file cannot be written.
    """
    parser = CommandParser(
        prog=f"{program} components",
        description="Writes the YAML files of all components into a folder, with the environment and code that they "
        f"name: for pipelines, the Azure ML SDK (load_component), az ml and {program} run.",
    )
    parser.add_argument("folder", type=local_path, metavar="DIR", help="a new or empty folder")
    folder: Path = parser.parse_args(arguments).folder
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        parser.error(f"{folder} is not an empty folder")
    for path in _write_components(folder):
        sys.stdout.write(f"{path}\n")
    return 0


def _write_components(folder: Path) -> list[Path]:
    from pytorch_designer.components.azure_files import write_azure_files

    with writing_errors(folder):
        return write_azure_files(folder)


def _register(paths: Sequence[Path], options: argparse.Namespace, connected: Callable[[Target], MLClient]) -> int:
    if not options.skip_lint and not _is_clean(paths):
        return _FOUND
    target = choose_target(_target(options, registry=options.registry))
    register(connected(target), paths, version=options.version, target=target)
    return 0


def _register_parser(program: str) -> argparse.ArgumentParser:
    parser = CommandParser(
        prog=f"{program} register",
        description="Registers components in an Azure ML workspace or registry.",
    )
    parser.add_argument(
        "files", nargs="*", type=local_path, metavar="FILE", help="component files; default: all of this project's"
    )
    _add_workspace_options(parser)
    parser.add_argument("--registry", help="register in this registry instead of a workspace")
    parser.add_argument("--version", help="register all files under this version instead of their own")
    return parser


def _submit_parser(program: str) -> argparse.ArgumentParser:
    parser = CommandParser(prog=f"{program} submit", description="Submits a job to an Azure ML workspace.")
    parser.add_argument("file", type=local_path, metavar="FILE", help="the job's YAML file")
    _add_workspace_options(parser)
    parser.add_argument("--experiment", help="the experiment of the job")
    parser.add_argument("--stream", action="store_true", help="print the job's log and wait until it ends")
    return parser


def _add_workspace_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "workspace", "Default: the variables AZUREML_ARM_*, else a config.json in this folder or above."
    )
    group.add_argument("--workspace", metavar="NAME")
    group.add_argument("--resource-group", metavar="NAME")
    group.add_argument("--subscription", metavar="ID")
    parser.add_argument("--skip-lint", action="store_true", help="send the files without linting them")


def _target(options: argparse.Namespace, *, registry: str | None = None) -> Target:
    return Target(options.workspace, options.resource_group, options.subscription, registry)


def _existing(parser: argparse.ArgumentParser, paths: Sequence[Path]) -> list[Path]:
    for path in paths:
        if not path.is_file():
            parser.error(f"there is no file {path}")
    return list(paths)


def _check_enabled(path: Path) -> None:
    """Refuse a pipeline with disabled nodes, which Azure ML would run."""
    left_out = find_left_out(read_yaml(path).root)
    names = [name for name, reason in left_out.nodes.items() if reason == DISABLED_REASON]
    if names:
        raise InvalidSpecError(
            "Azure ML would run the nodes that are disabled here.",
            where=path,
            examples=names,
            advice="Enable them, or submit a copy of the file without them.",
            reason="disabled",
        )


def _is_clean(paths: Sequence[Path]) -> bool:
    result = lint(paths)
    if result.num_errors:
        sys.stdout.write(f"{as_text(result)}\nNothing was sent.\n")
    return not result.num_errors
