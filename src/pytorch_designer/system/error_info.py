"""`error_info.json`: the error that ended a process, as plain data, for programs that run it."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import DesignerError
from pytorch_designer.settings import Settings, settings
from pytorch_designer.shown_text import redacted

if TYPE_CHECKING:
    from pathlib import Path


def write_error_info(content: dict[str, Any]) -> Path | None:
    """Write an error; says so on standard error, and returns None, where that is not possible.

    Processes of one run may write the same file at the same time: it is replaced as a whole.

    Args:
        content: The error; see `DesignerError.to_dict`. Secrets in its texts are left out.
    """
    path = settings_or_default().error_info
    shown = {name: _without_secrets(value) for name, value in content.items()}
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(json.dumps(shown, indent=2, ensure_ascii=True) + "\n", encoding="utf-8")
            partial.replace(path)
        except OSError:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        print(f"  (error_info.json could not be written: {error})", file=sys.stderr)
        return None
    return path


def remove_stale_error_info() -> None:
    """Remove the error of an earlier process; of several in one folder, the first one does."""
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return
    with suppress(OSError):  # a read-only working directory, which cannot contain a stale file of ours
        settings().error_info.unlink(missing_ok=True)


def settings_or_default() -> Settings:
    """The settings, or their defaults where one of them is at fault."""
    try:
        return settings()
    except DesignerError:
        return Settings.model_construct()


def _without_secrets(value: object) -> object:
    if isinstance(value, list):
        return [_without_secrets(item) for item in value]
    if isinstance(value, dict):
        return {name: _without_secrets(item) for name, item in value.items()}
    return redacted(value) if isinstance(value, str) else value
