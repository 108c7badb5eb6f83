"""Pages in a real browser: nothing is requested, nothing overflows, everything has a text, axe-core finds nothing.

Debian's chromium, without a window. Where none is installed, the tests are skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.reporting.example_pages import ODD_NAMES, evaluation_page, names_of, training_page

pytestmark = pytest.mark.slow
MAX_PAGE_BYTES = 1_500_000
PAGES: dict[str, Callable[[Path], Path]] = {
    "training": partial(training_page, classes=names_of(3)),
    "training of one class": partial(training_page, classes=("cat",)),
    "training of 30 classes": partial(training_page, classes=names_of(30)),
    "training with odd names": partial(training_page, classes=ODD_NAMES, file_names=ODD_NAMES),
    "training without pictures": partial(training_page, classes=names_of(3), with_pictures=False),
    "evaluation": partial(evaluation_page, classes=names_of(3)),
    "evaluation of one class": partial(evaluation_page, classes=("cat",)),
    "evaluation of 30 classes": partial(evaluation_page, classes=names_of(30)),
    "evaluation with odd names": partial(evaluation_page, classes=ODD_NAMES, file_names=ODD_NAMES),
    "evaluation without pictures": partial(evaluation_page, classes=names_of(3), with_pictures=False),
    "comparison": partial(evaluation_page, classes=names_of(3), is_compared=True),
    "comparison with odd names": partial(evaluation_page, classes=ODD_NAMES, file_names=ODD_NAMES, is_compared=True),
}
WITH_ALL_COLORS = ("training", "evaluation", "comparison")  # the others differ in texts and in what is left out
_MILLISECONDS = 60_000
_OPEN_ALL = "document.querySelectorAll('details').forEach(part => part.open = true)"
_OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
_WIDE_TABLES = """[...document.querySelectorAll('div.scroll')]
    .filter(part => part.querySelector('table') && part.scrollWidth > part.clientWidth + 1)
    .map(part => part.querySelector('thead').innerText)"""
_PICTURES = """[...document.images].map(image => [image.alt, image.complete && image.naturalWidth > 0])"""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_on_a_phone_and_a_screen_in_the_dark_and_the_light(
    chromium: Any, tmp_path: Path, name: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    path = PAGES[name](tmp_path / name)
    assert path.stat().st_size < MAX_PAGE_BYTES
    context = chromium.new_context(viewport={"width": 390, "height": 844}, color_scheme="light")
    context.set_default_timeout(_MILLISECONDS)
    page = context.new_page()
    requests: list[str] = []
    messages: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.goto(path.as_uri())
    page.evaluate(_OPEN_ALL)
    for width in (390, 1000):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate(_OVERFLOW) <= 0, f"{width} pixels"
        assert page.evaluate(_WIDE_TABLES) == [], f"{width} pixels"
    pictures = page.evaluate(_PICTURES)
    assert all(alternative and is_drawn for alternative, is_drawn in pictures)
    assert bool(pictures) == ("without" not in name)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(_OVERFLOW) <= 0, "in the dark"
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
    assert messages == []
    context.close()

    # The policy of the page would keep the checks out; it was obeyed when the page was loaded.
    context = chromium.new_context(color_scheme="light", bypass_csp=True)
    context.set_default_timeout(_MILLISECONDS)
    page = context.new_page()
    page.goto(path.as_uri())
    page.evaluate(_OPEN_ALL)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    if name in WITH_ALL_COLORS:
        page.emulate_media(color_scheme="dark")  # which changes colors and nothing else
        found = Axe().run(page, options={"runOnly": ["color-contrast"]})
        assert found.violations_count == 0, found.generate_report()
    context.close()
