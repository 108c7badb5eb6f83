"""Command `designer`: the local page on which pipelines are edited, run and looked at."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from pytorch_designer.addresses import local_path
from pytorch_designer.cli.command_parser import CommandParser
from pytorch_designer.settings import user_state_folder
from pytorch_designer.shown_text import on_one_line
from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from pytorch_designer.designer.server.services import Services

_SUFFIXES = frozenset({".yaml", ".yml"})
_MAX_PORT = 65535


def designer_command_parser(program: str) -> argparse.ArgumentParser:
    """The options of `designer`."""
    parser = CommandParser(
        prog=f"{program} designer",
        description="Opens a page in the browser on which the pipelines of a folder are edited, run and looked at. It "
        "is served on this machine and for this machine only.",
        epilog="Ctrl-C ends the page; runs go on.",
    )
    parser.add_argument(
        "path", nargs="?", type=local_path, default=Path(), metavar="PATH", help="a folder, or a pipeline's YAML file"
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address and open no browser")
    parser.add_argument("--port", type=int, metavar="N", help="the port; default: a free one")
    return parser


def run_designer(arguments: Sequence[str], program: str) -> int:
    """Serve the page until Ctrl-C or SIGTERM.

    Returns:
        0.

    Raises:
        SystemExit: The command line is wrong (code 2), or asks for help (code 0).
        DesignerError: The port is in use, or the folder for drafts cannot be written.
    """
    from pytorch_designer.designer.server.designer_app import DesignerApp
    from pytorch_designer.designer.server.event_hub import EventHub
    from pytorch_designer.designer.server.local_server import OpenProject, ServerPlace, serve
    from pytorch_designer.system.stop_requests import stop_on_signals

    parser = designer_command_parser(program)
    options = parser.parse_args(arguments)
    project, document = _project(parser, options.path)
    if options.port is not None and not 0 < options.port <= _MAX_PORT:
        parser.error(f"--port {options.port} is not from 1 to {_MAX_PORT}")
    state_folder = user_state_folder() / "designer"
    with stop_on_signals() as stop, OpenProject(project, state_folder, options.port).opened() as opened:
        if isinstance(opened, ServerPlace):
            part = "" if document is None else f"#{quote(document)}"
            _show(f"The designer of {project} runs already, at\n  {opened.address}{part}")
            return 0
        listener, place = opened
        hub = EventHub()
        app = DesignerApp(lambda: _services(project, document, state_folder, hub), hub)
        guard = app.guarded(place.port, place.token)

        def on_start() -> None:
            _show(f"The designer of {project} is at\n  {place.address}\nCtrl-C ends it; runs go on.")
            if not options.no_browser:
                _open_browser(f"{place.origin}/?token={guard.one_time_token()}")
            threading.Thread(target=app.open, daemon=True).start()  # while the browser opens

        try:
            serve(guard, listener, stop, on_start=on_start, on_stop=app.close)
        finally:
            app.close()
    _show("The designer has ended. Runs go on; `pytorch-designer runs list` shows them.")
    return 0


def _project(parser: argparse.ArgumentParser, path: Path) -> tuple[Path, str | None]:
    """The folder of the project, and the document to open."""
    if path.is_dir():
        return resolved(path), None
    if not path.exists():
        parser.error(f"there is no file or folder {on_one_line(str(path))}")
    if path.suffix.lower() not in _SUFFIXES or not path.is_file():
        parser.error(f"{on_one_line(str(path))} is neither a folder nor a YAML file")
    place = path.absolute()
    return resolved(place.parent), place.name


def _services(project: Path, document: str | None, state_folder: Path, hub: object) -> Services:
    from pytorch_designer.cli.designer_templates import templates
    from pytorch_designer.designer.built_in_components import COMPONENTS_FOLDER, BuiltInComponents
    from pytorch_designer.designer.server.event_hub import EventHub
    from pytorch_designer.designer.server.services import DesignerSettings, Services

    def texts() -> Mapping[str, str]:
        from pytorch_designer.components.azure_files import project_texts

        return project_texts()

    def write(folder: Path) -> None:
        from pytorch_designer.components.azure_files import write_project_components

        write_project_components(folder / COMPONENTS_FOLDER)

    assert isinstance(hub, EventHub)
    built_in = BuiltInComponents(texts, write)
    return Services(DesignerSettings(project, document, state_folder, built_in, templates()), hub)


def _open_browser(address: str) -> None:
    """Open the user's browser, where there is one with a window: one for the terminal would take this terminal."""
    has_window = (
        os.name == "nt" or sys.platform == "darwin" or bool({"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} & {*os.environ})
    )

    def open_it() -> None:
        with suppress(webbrowser.Error, OSError):
            webbrowser.open(address)

    if has_window:
        threading.Thread(target=open_it, daemon=True).start()


def _show(text: str) -> None:
    print(text, flush=True)
