"""Pictures of the designer for README and docs, taken of the page itself.

    make screenshots

Needs Chromium. A template is made in a temporary folder; nothing is run.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from served_designer import browser, served

if TYPE_CHECKING:
    from playwright.sync_api import ViewportSize

FOLDER = Path(__file__).parent
SIZE: ViewportSize = {"width": 1440, "height": 720}
COLORS_PER_PICTURE = 256
PAUSE_MILLISECONDS = 900


def main() -> None:
    """Take every picture."""
    with tempfile.TemporaryDirectory() as top, browser() as chromium:
        project = Path(top) / "digits"
        project.mkdir()
        with served(project) as address:
            for scheme in ("dark", "light"):
                page = chromium.new_page(viewport=SIZE, color_scheme=scheme)
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
