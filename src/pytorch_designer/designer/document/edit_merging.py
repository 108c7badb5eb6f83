"""Edits that were made on an older version: merged where they touch other things than what was changed since."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.designer.editing.plain_data import changed_paths, read_plain
from pytorch_designer.errors import DesignerError, InvalidSpecError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytorch_designer.designer.editing.yaml_spans import Path

_MAX_SHOWN = 5


def merged_edit(base: str, current: str, apply: Callable[[str], str]) -> str:
    """The current text with an edit that was made on an older one.

    Args:
        base: The text that the edit was made on.
        current: The text as it is now.
        apply: The edit.

    Raises:
        InvalidSpecError: Both changed the same thing, or the edit is not possible any more; `reason` is "conflict".
    """
    changed = changed_paths(read_plain(base), read_plain(current))
    touched = changed_paths(read_plain(base), read_plain(apply(base)))
    both = sorted(path for path in changed if any(_overlap(path, other) for other in touched))
    if both:
        raise conflict([".".join(path) for path in both])
    try:
        return apply(current)
    except DesignerError as error:
        raise conflict([], f"The edit is not possible any more: {error.what}") from error


def conflict(places: list[str], message: str = "") -> InvalidSpecError:
    """The error of an edit that goes against a change by hand, to be raised."""
    shown = ", ".join(places[:_MAX_SHOWN])
    return InvalidSpecError(
        message or "The file was changed meanwhile, at the same place; the edit was not made.",
        where=shown or "version",
        examples=places,
        advice="Look at the file as it is now, and make the edit again if it is still wanted.",
        reason="conflict",
    )


def _overlap(one: Path, other: Path) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]
