"""Pictures of the designer for README and docs, taken of the page itself.

    make screenshots

Needs Chromium. A template is made in a temporary folder; nothing is run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import ViewportSize, sync_playwright

FOLDER = Path(__file__).parent
SIZE: ViewportSize = {"width": 1440, "height": 720}
COLORS_PER_PICTURE = 256
PAUSE_MILLISECONDS = 900


def main() -> None:
    """Take every picture."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("There is no Chromium on this machine.")
    with tempfile.TemporaryDirectory() as top, sync_playwright() as engine:
        project = Path(top) / "digits"
        project.mkdir()
        command = [sys.executable, "-m", "pytorch_designer", "designer", str(project), "--no-browser"]
        own = {"PYTORCH_DESIGNER_REUSE_CACHE": f"{top}/cache", "XDG_STATE_HOME": f"{top}/state"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **own}) as server:
            browser = engine.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            address = _address(server)
            for scheme in ("dark", "light"):
                page = browser.new_page(viewport=SIZE, color_scheme=scheme)
                page.goto(address)
                _open(page)
                _take(page, f"designer-{scheme}.png")
            _drag_a_link(page)
            _take(page, "designer-link.png")
            page.mouse.up()
            page.get_by_role("button", name="Dismiss").click()
            page.locator('[data-id="train"] .card-name').click()
            page.wait_for_timeout(PAUSE_MILLISECONDS)
            _take(page, "designer-details.png")
            browser.close()
            server.terminate()


def _address(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    for line in server.stdout:
        if found := re.search(r"http://\S+", line):
            return found[0]
    raise SystemExit("The designer printed no address.")


def _open(page: Any) -> None:
    document = page.get_by_role("button", name=re.compile(r"^train-and-evaluate\.yaml"))
    template = page.get_by_role("button", name=re.compile("^Train and evaluate"))
    template.wait_for()
    (document if document.count() else template).first.click()
    page.locator(".card").first.wait_for(timeout=60_000)
    page.wait_for_timeout(PAUSE_MILLISECONDS)


def _drag_a_link(page: Any) -> None:
    start = page.locator('.source[data-nodeid="split"]').first.bounding_box()
    end = page.locator('.target[data-nodeid="score"]').first.bounding_box()
    page.mouse.move(start["x"] + 3, start["y"] + 3)
    page.mouse.down()
    page.mouse.move(end["x"] + 3, end["y"] + 3, steps=8)
    page.wait_for_timeout(PAUSE_MILLISECONDS)


def _take(page: Any, name: str) -> None:
    path = FOLDER / name
    page.screenshot(path=path)
    with Image.open(path) as picture:
        small = picture.convert("RGB").quantize(COLORS_PER_PICTURE, Image.Quantize.MAXCOVERAGE, kmeans=2)
        small.save(path, optimize=True)


if __name__ == "__main__":
    main()
