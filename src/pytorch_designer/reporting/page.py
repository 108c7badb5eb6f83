"""Report pages: Jinja2 templates, rendered to self-contained HTML.

The templates are in `templates/`. They escape every value, after it was shortened and made printable: class and file
names may hold any text.
"""

from __future__ import annotations

import functools
import html
import logging
import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import shorten
from pytorch_designer.reporting import numbers
from pytorch_designer.settings import runs_as_job
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Callable

    from jinja2 import Environment
    from markupsafe import Markup

_log = logging.getLogger(__name__)

_MAX_TEXT = 200
_STUDIO_FOLDER = Path("outputs")


def render_page(template: str, **values: Any) -> str:
    """The HTML of a template, such as "training.html", with the values that it names."""
    return page_environment().get_template(template).render(values)


def page_or_reason(build: Callable[[], str]) -> str:
    """The page that `build` makes, or, where that fails, one that says why; the other files do not depend on it."""
    try:
        return build()
    except Exception as error:  # noqa: BLE001 - whatever it is, the numbers beside the page are worth more
        reason = shorten(f"{type(error).__name__}: {error}")
        _log.warning("The page of the report could not be made: %s", reason)
        text = f"This page could not be made. {reason}. The numbers are in the files beside it."
        return f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><p>{html.escape(text)}</p></html>\n'


def copy_page_for_studio(page: Path, name: str) -> None:
    """Copy a page to ./outputs, where Azure ML's studio shows it, as `name`; outside a job nothing is done.

    Whatever fails is a line in the log.
    """
    if not runs_as_job():
        return
    try:
        _STUDIO_FOLDER.mkdir(exist_ok=True)
        shutil.copyfile(page, _STUDIO_FOLDER / name)
    except OSError as error:
        _log.warning("The page could not be copied to ./%s: %s", _STUDIO_FOLDER, error.strerror or error)


@functools.cache
def page_environment() -> Environment:
    """Environment of all templates: escapes text, refuses undefined names, and has the filters of numbers."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "bar_width": lambda share: f"{100 * share if math.isfinite(share) else 0:.1f}%",
        "counted": count,
        "decimal": numbers.decimal,
        "duration": numbers.duration,
        "measured": numbers.measured,
        "percent": numbers.percent,
        "percent_range": lambda interval: f"95%: {numbers.percent(interval[0])} to {numbers.percent(interval[1])}",
        "points": numbers.points,
        "points_range": lambda interval: f"95%: {numbers.points(interval[0], '')} to {numbers.points(interval[1], '')}",
        "probability": numbers.probability,
        "rate": numbers.rate,
        "text": _text,
        "whole_percent": numbers.whole_percent,
    }
    return environment


def _printable(value: Any) -> Any:
    """Text that is written for the value of an expression, before it is escaped."""
    return value if hasattr(value, "__html__") else shorten(str(value), _MAX_TEXT)


def _text(value: str, limit: int) -> Markup:
    """Text on one line of at most `limit` characters, escaped."""
    from markupsafe import escape

    return escape(shorten(value, limit))
