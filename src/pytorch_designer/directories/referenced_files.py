"""Checks on the files that a list names: inside the directory, and there.

Each folder that the list names is listed once; no image is asked for by itself, because a million such questions to a
mounted folder take an hour.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.directories.folder_listing import SCAN_THREADS
from pytorch_designer.directories.meta import path_fault, reading_errors, resolve_inside
from pytorch_designer.directories.retrying import is_file, retrying
from pytorch_designer.errors import InvalidDatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from pytorch_designer.directories.string_column import StringColumn

_NO_FILES = np.zeros(0, dtype=np.int64)


def check_referenced_files(
    root: Path, files: StringColumn, list_path: Path, name_row: Callable[[int], str], advice_if_missing: str
) -> None:
    """Make sure that every one of `files` lies inside `root` and is a file.

    Args:
        root: The directory that the paths are relative to.
        files: The paths, with `/`.
        list_path: The file that names them, for the error.
        name_row: Turns a row number into what a reader finds in `list_path`, such as "line 3".
        advice_if_missing: What to do about missing files.

    Raises:
        InvalidDatasetError: A path leads out of the directory ("path_outside") or is a link in circles ("link_loop"),
            or files are missing ("missing_files").
    """
    folders = {file[: file.rfind("/") + 1] for file in files}  # each with its "/", or ""
    usable = [folder for folder in sorted(folders) if not folder or path_fault(folder) is None]
    for folder in usable:
        if folder:
            resolve_inside(root, folder, InvalidDatasetError)
    with ThreadPoolExecutor(SCAN_THREADS) as pool:
        present = np.concatenate([_NO_FILES, *pool.map(lambda folder: _files_in(root, folder), usable)])
    listed = np.fromiter(map(hash, files), dtype=np.int64, count=len(files))
    # What is not found is a path outside, a link, a name that only differs by the rules of a file system that ignores
    # case, or missing.
    doubtful = [(row, files[row]) for row in _not_in(present, listed)]
    _refuse_paths_outside(doubtful, list_path, name_row)
    missing = [(row, file) for row, file in doubtful if not _is_file_inside(root, file)]
    if missing:
        raise InvalidDatasetError(
            f"{len(missing)} of {len(files)} images are not there.",
            where=list_path,
            examples=(f"{name_row(row)}: {file}" for row, file in missing),
            advice=advice_if_missing,
            reason="missing_files",
        )


def _not_in(present: NDArray[np.int64], listed: NDArray[np.int64]) -> list[int]:
    """The positions of those of `listed` that are not in `present`, in a third of the memory of `np.isin`."""
    if not len(present):
        return list(range(len(listed)))
    present.sort()
    nearest = np.searchsorted(present, listed)
    nearest[nearest == len(present)] = 0
    positions: list[int] = np.flatnonzero(present[nearest] != listed).tolist()
    return positions


def _files_in(root: Path, folder: str) -> NDArray[np.int64]:
    """The hashes of the paths of the regular files in `folder`.

    8 bytes a path in place of 80. Two paths of one hash could at worst hide a missing file until it is opened.
    """
    path = root / folder
    try:
        with reading_errors(path, InvalidDatasetError):
            return retrying(lambda: _hashes_of_files(path, folder))
    except InvalidDatasetError as error:
        if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
            return _NO_FILES
        raise


def _hashes_of_files(path: Path, prefix: str) -> NDArray[np.int64]:
    with os.scandir(path) as entries:
        return np.fromiter(
            (hash(prefix + entry.name) for entry in entries if entry.is_file(follow_symlinks=False)), dtype=np.int64
        )


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
