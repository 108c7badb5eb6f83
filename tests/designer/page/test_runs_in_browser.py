"""Running and looking in the designer, in a real browser: what a person does from the first run to the comparison.

One project is served for the whole module, and its first run is the template on real images.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.designer.page.conftest import ServedProject

pytestmark = pytest.mark.slow

_RUN_MILLISECONDS = 240_000
_OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def project(served: Callable[[Path], ServedProject], tmp_path_factory: pytest.TempPathFactory) -> ServedProject:
    return served(tmp_path_factory.mktemp("project"))


def test_a_run_is_watched_failed_on_demand_found_again_and_compared(project: ServedProject, open_page: Any) -> None:
    page = open_page(project)
    _open_template(page)
    _run_the_whole_template(page)
    _look_at_what_it_made(page)
    _forecast_says_what_changed(page)
    _fail_it_on_demand(page)
    page.close()
    again = open_page(project)
    _failed_run_is_found_again(again)
    _compare_and_look_back(again)
    _no_violation_in_any_scheme(project, open_page)


def _open_template(page: Any) -> None:
    page.get_by_role("button", name=re.compile("Train and evaluate", re.IGNORECASE)).first.click()
    page.get_by_role("button", name="Run", exact=True).wait_for()


def _run_the_whole_template(page: Any) -> None:
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="Cancel").wait_for()
    page.locator(".run-strip[data-state=running]").first.wait_for()
    assert page.title().startswith("▶")
    page.locator(".run-status", has_text="Completed").wait_for(timeout=_RUN_MILLISECONDS)
    assert page.title().startswith("✓")
