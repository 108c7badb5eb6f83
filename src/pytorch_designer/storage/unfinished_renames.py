"""List of the entries that are about to be renamed into an output, `.staging/COMMIT`.

A rerun removes what the list names, as a killed run may have renamed it already. So the list is only believed if it is
a file in a folder, both of them no links, and names nothing but entries of the output.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from pytorch_designer.errors import FailedToWriteOutputsError
from pytorch_designer.storage.paths import path_fault
from pytorch_designer.storage.retrying import open_retrying
from pytorch_designer.system.regular_files import NotARegularFileError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

COMMIT_FILE = "COMMIT"
_MAX_BYTES = 1 << 20


def read_unfinished_renames(staging: Path, never: Collection[str]) -> list[str]:
    """The names of the entries that a killed run was about to rename; none where it did not get that far.

    Args:
        staging: The folder that they were staged in.
        never: Names that no run renames.

    Raises:
        FailedToWriteOutputsError: There is such a list, and no run wrote it.
        OSError: It cannot be read.
    """
    path = staging / COMMIT_FILE
    if staging.is_symlink() or not staging.is_dir() or not os.path.lexists(path):
        return []
    names: list[str] | None = None
    if not path.is_symlink():
        with suppress(NotARegularFileError, UnicodeDecodeError), open_retrying(path) as stream:
            names = stream.read(_MAX_BYTES).decode("utf-8").split("\n")
    if names is None or not all(_is_entry(name) and name not in never for name in names):
        raise FailedToWriteOutputsError(
            "The output folder holds a list of unfinished renames that no run of this program wrote; nothing in the "
            "folder was changed.",
            where=path,
            advice=f"Name a new or empty folder, or remove {staging.name} from this one.",
            reason="not_empty",
        )
    return names


def _is_entry(name: str) -> bool:
    return path_fault(name) is None and not set("/\\") & set(name)
