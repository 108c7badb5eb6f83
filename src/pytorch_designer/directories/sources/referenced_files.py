"""Checks on the files that a list names: inside the directory, and there.

Each folder that the list names is listed once. No image is looked up by itself, because a million such calls to a
mounted folder take an hour.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.folder_listing import listing_threads, names_of_files
from pytorch_designer.storage.paths import path_fault, reading_errors, resolve_inside
from pytorch_designer.storage.retrying import is_file, retrying
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pytorch_designer.storage.string_column import StringColumn


def check_referenced_files(
    root: Path, files: StringColumn, list_path: Path, name_row: Callable[[int], str], advice_if_missing: str
) -> None:
    """Make sure that every one of `files` lies inside the directory `root` and is a file.

    Args:
        root: The directory.
        files: Paths below it, with `/`.
        list_path: The file that names them, for the error.
        name_row: Turns a row number into what a reader finds in `list_path`, such as "line 3".
        advice_if_missing: What to do about missing files.

    Raises:
        InvalidDatasetError: A path leads out of the directory ("path_outside") or is a link in circles ("link_loop"),
            or files are missing ("missing_files").
    """
    not_found = set(files)
    folders = {file[: file.rfind("/") + 1] for file in not_found}
    usable = sorted(folder for folder in folders if not folder or path_fault(folder) is None)
    with listing_threads() as threads:
        for folder, names in zip(usable, threads.map(partial(_files_in, root), usable), strict=True):
            not_found.difference_update(map(folder.__add__, names))
    # What is not found is a path outside, a link, a name that only differs by the rules of a file system that ignores
    # case, or missing.
    doubtful = [(row, file) for row, file in enumerate(files) if file in not_found] if not_found else []
    _refuse_paths_outside(doubtful, list_path, name_row)
    missing = [(row, file) for row, file in doubtful if not _is_file_inside(root, file)]
    if missing:
        raise InvalidDatasetError(
            f"Of {count(len(files), 'image')}, {len(missing):,} cannot be found.",
            where=list_path,
            examples=(f"{name_row(row)}: {file}" for row, file in missing),
            advice=advice_if_missing,
            reason="missing_files",
        )


def _files_in(root: Path, folder: str) -> list[str]:
    """The names of the regular files in the folder `folder` of `root`; none where there is no such folder."""
    path = resolve_inside(root, folder, InvalidDatasetError) if folder else root
    with reading_errors(path, InvalidDatasetError):
        try:
            return retrying(lambda: names_of_files(path))
        except (FileNotFoundError, NotADirectoryError):
            return []


def _is_file_inside(root: Path, file: str) -> bool:
    path = resolve_inside(root, file, InvalidDatasetError)
    with reading_errors(path, InvalidDatasetError):
        return is_file(path)


def _refuse_paths_outside(rows: Iterable[tuple[int, str]], list_path: Path, name_row: Callable[[int], str]) -> None:
    faults = [(row, file, path_fault(file)) for row, file in rows]
    outside = [f"{name_row(row)}: {file!r} {fault}" for row, file, fault in faults if fault is not None]
    if outside:
        raise InvalidDatasetError(
            "Paths of images must be relative and stay inside the directory.",
            where=list_path,
            examples=outside,
            advice="Write paths below the directory, with `/`.",
            reason="path_outside",
        )
