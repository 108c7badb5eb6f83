"""The designer in a real browser: `pytorch-designer designer` in a folder, and Debian's chromium without a window."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest

from pytorch_designer.system.python_process import python_command

_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\?token=\S+")
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_MILLISECONDS = 15_000


@dataclass(frozen=True)
class ServedProject:
    """Designer that serves a folder.

    Attributes:
        folder: The project.
        address: The page, with its token.
        process: The server.
    """

    folder: Path
    address: str
    process: subprocess.Popen[str]

    def stop(self) -> None:
        """End the server, and wait until it has ended."""
        self.process.terminate()
        self.process.wait(_STOP_SECONDS)
        if self.process.stdout is not None:
            self.process.stdout.close()


def serve(folder: Path) -> ServedProject:
    """Start the designer in a folder, with results and journals of its own beside it."""
    own = {"PYTORCH_DESIGNER_REUSE_CACHE": f"{folder}-cache", "XDG_STATE_HOME": f"{folder}-state"}
    process = subprocess.Popen(
        python_command("pytorch_designer", "designer", str(folder), "--no-browser"),
        cwd=folder,
        env={**os.environ, **own},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: Queue[str] = Queue()
    # The output is read on, so that the server never waits for somebody who reads it.
    threading.Thread(target=_read, args=(process, lines), daemon=True).start()
    found, printed = None, ""
    with suppress(Empty):
        while found is None:
            printed += lines.get(timeout=_START_SECONDS)
            found = _ADDRESS.search(printed)
    if found is None:
        process.kill()
        raise AssertionError(f"The designer printed no address: {printed}")
    return ServedProject(folder, found[0], process)


@pytest.fixture(scope="module")
def served() -> Iterator[Callable[[Path], ServedProject]]:
    """Starts the designer in a folder; it is stopped at the end of the module."""
    all_served: list[ServedProject] = []

    def start(folder: Path) -> ServedProject:
        all_served.append(serve(folder))
        return all_served[-1]

    yield start
    for project in all_served:
        project.stop()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page of a served project; the test fails where the page has reported an error."""
    contexts: list[Any] = []
    messages: list[str] = []

    def open_one(
        project: ServedProject, width: int = 1440, height: int = 900, scheme: str = "light", **more: Any
    ) -> Any:
        # The policy of the page would keep axe-core out; the server's own tests hold it.
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, bypass_csp=True, **more
        )
        contexts.append(context)
        context.set_default_timeout(_MILLISECONDS)
        page = context.new_page()
        page.on("console", lambda message: messages.append(message.text) if _is_of_the_page(message) else None)
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto(project.address)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert messages == []


def _is_of_the_page(message: Any) -> bool:
    """True if the console shows an error, also by a request that was answered with one.

    Left out are requests that no server answers, as in tests that end it, and edits that meet another one (409).
    """
    return bool(message.type == "error") and not re.match(r"Failed to load resource: (net::|.* 409 )", message.text)


def _read(process: subprocess.Popen[str], lines: Queue[str]) -> None:
    assert process.stdout is not None
    with suppress(ValueError):  # closed, because the server was stopped
        for line in process.stdout:
            lines.put(line)
