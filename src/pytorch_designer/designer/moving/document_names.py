"""Names of new documents: those that every system takes, so that a project can be copied to any machine."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path, PurePosixPath

from pytorch_designer.errors import InvalidSpecError, describe_value

_MAX_BYTES = 240  # of 255: the file that is written beside it has a longer name
_FORBIDDEN = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)


def check_new_name(project: Path, path: str) -> None:
    """Check the name of a new document, and of the folders that would be made for it.

    Args:
        project: The project's folder.
        path: The document's path in it, with slashes.

    Raises:
        InvalidSpecError: A part of it will not do on Windows, macOS or Linux (reason "name").
    """
    parts = PurePosixPath(path).parts
    for number, part in enumerate(parts):
        is_there = number < len(parts) - 1 and project.joinpath(*parts[: number + 1]).is_dir()
        fault = None if is_there else _fault(part)
        if fault is not None:
            raise InvalidSpecError(
                f"{describe_value(part)} will not do as a name: {fault}.",
                where=path[:200],
                advice="Use letters, digits, `-` and `_`, and let it end with .yaml.",
                reason="name",
            )


def find_twin(file: Path) -> Path | None:
    """A file beside `file` whose name differs in case or in how accents are encoded, one file on some systems."""
    try:
        names = [other.name for other in file.parent.iterdir()]
    except OSError:
        return None
    wanted = _folded(file.name)
    return next((file.with_name(name) for name in names if name != file.name and _folded(name) == wanted), None)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _fault(part: str) -> str | None:
    found = _FORBIDDEN.search(part)
    if found is not None:
        return f"Windows allows no {describe_value(found[0])} in names"
    if part != part.strip() or part.endswith("."):
        return "Windows takes no blanks and dots at the ends of names"
    if _RESERVED.fullmatch(part) is not None:
        return "it means a device on Windows"
    if len(part.encode("utf-8", "surrogatepass")) > _MAX_BYTES:
        return f"it is longer than {_MAX_BYTES} bytes"
    return None
