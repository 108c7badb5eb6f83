"""Reference pages of the environment variables and the errors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.errors import DesignerError
from pytorch_designer.settings import ENVIRONMENT_PREFIX, Settings, accepted_values
from pytorch_designer.spec.reference_page import table

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOTE = "<!-- Generated from {source} by `make generate`. -->"


def settings_page() -> str:
    """Markdown table of all environment variables, with values, default and meaning."""
    rows = (
        (
            f"`{ENVIRONMENT_PREFIX}{name.upper()}`",
            accepted_values(info),
            f"`{_shown(info.default)}`",
            info.description or "",
        )
        for name, info in Settings.model_fields.items()
    )
    intro = (
        "These variables control how a run executes, never what it learns. None has to be set. On Azure ML, set them "
        "as environment variables of the pipeline node. An empty variable counts as not set. A variable that begins "
        "in the same way and is not in the table is named in a warning."
    )
    columns = ("variable", "values", "default", "meaning")
    return _page("src/pytorch_designer/settings.py", "Environment variables", intro, table(columns, rows))


def error_page() -> str:
    """Markdown table of all named errors, with code, meaning and default advice."""
    errors = sorted(_subclasses(DesignerError), key=lambda error: error.code)
    rows = (
        (f"`{error.__name__}`", error.code, (error.__doc__ or "").split("\n")[0], error.default_advice)
        for error in errors
        if error.code != DesignerError.code
    )
    intro = (
        "A user mistake ends the process with exit code 1 and one message that says what is wrong, where, and what to "
        "do. `outputs/error_info.json` contains the same as JSON. A traceback is shown only if "
        "`PYTORCH_DESIGNER_TRACEBACK=1` is set. Four-digit codes are those that Azure ML designer documents."
    )
    columns = ("error", "code", "meaning", "general advice")
    return _page("src/pytorch_designer/errors.py", "Errors", intro, table(columns, rows))


def _page(source: str, title: str, intro: str, content: str) -> str:
    return "\n\n".join((_NOTE.format(source=source), f"# {title}", intro, content, ""))


def _shown(default: object) -> object:
    if isinstance(default, Path):
        return default.as_posix()
    return "automatic" if default is None else default


def _subclasses(root: type[DesignerError]) -> Iterator[type[DesignerError]]:
    for child in root.__subclasses__():
        yield child
        yield from _subclasses(child)
