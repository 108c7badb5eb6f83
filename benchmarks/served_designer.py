"""The designer of a folder and a browser to look at it, for its benchmarks and its pictures."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a designer of this folder, with results and journals of its own beside it."""
    command = [sys.executable, "-m", "pytorch_designer", "designer", str(folder), "--no-browser"]
    states = {"XDG_STATE_HOME": f"{folder}-state", "PYTORCH_DESIGNER_REUSE_CACHE": f"{folder}-cache"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **states}) as server:
        assert server.stdout is not None
        try:
            yield next(match[0] for line in server.stdout if (match := re.search(r"http://\S+", line)))
        finally:
            server.terminate()
    for place in states.values():
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium without a window and without a graphics card."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("There is no Chromium on this machine.")
    with sync_playwright() as engine:
        started = engine.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield started
        started.close()
