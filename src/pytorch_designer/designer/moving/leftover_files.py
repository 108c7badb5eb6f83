"""Files that a program killed while it wrote a document has left beside it.

    FOLDER/.NAME.yaml.partial    written beside NAME.yaml, and renamed to it when complete

Each write removes the one before it; of a document that nobody edits again it would stay.
"""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pytorch_designer.designer.document.component_palette import SKIPPED_FOLDERS
from pytorch_designer.errors import DesignerError
from pytorch_designer.harness.lint.documents import SUFFIXES

if TYPE_CHECKING:
    from pytorch_designer.designer.document.document_store import DocumentStore

_ENDING = ".partial"
_MIN_AGE_SECONDS = 60.0  # writing takes far less, also where a program with other journals does it
_MAX_FILES = 20_000


def remove_leftovers(store: DocumentStore) -> list[Path]:
    """Remove what killed programs have left beside the YAML files of a project; returns what was removed.

    Nothing is removed that is younger than a minute, or while a program holds the document.
    """
    removed = []
    for path in _leftovers(store.project):
        document = path.with_name(path.name[1 : -len(_ENDING)])
        with suppress(OSError, DesignerError), store.opened(document.relative_to(store.project).as_posix()):
            if _is_old(path):
                path.unlink()
                removed.append(path)
    return removed


def _leftovers(project: Path) -> list[Path]:
    found = []
    num_seen = 0
    for folder, folders, files in os.walk(project):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS and not name.startswith(".")]
        num_seen += len(files)
        if num_seen > _MAX_FILES:
            break
        names = [name for name in files if name.startswith(".") and name.endswith(_ENDING)]
        paths = (Path(folder, name) for name in names if name[: -len(_ENDING)].lower().endswith(tuple(SUFFIXES)))
        found += [path for path in paths if _is_old(path)]
    return found


def _is_old(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and time.time() - status.st_mtime > _MIN_AGE_SECONDS
