"""Checks on the files that a list names: inside the directory, and there.

Each folder that the list names is listed once; no image is asked for by itself, because a million such questions to a
mounted folder take an hour.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.directories.folder_listing import SCAN_THREADS, scan
from pytorch_designer.directories.meta import path_fault, reading_errors, resolve_inside
from pytorch_designer.directories.retrying import is_file, retrying
from pytorch_designer.directories.string_column import StringColumn, are_in
from pytorch_designer.errors import InvalidDatasetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray
    from typing_extensions import Self

_NAMES_AT_ONCE = 1 << 16
_NO_FILES = np.zeros(0, dtype=np.uint64)


class ReferencedFiles:
    """Looks for the files that a list names while the list is being read.

    The folders are listed by threads: a listing waits for the disk or a mount.
    """

    def __init__(self, root: Path) -> None:
        """Prepare to look for files below the directory `root`; nothing is listed yet."""
        self._root = root
        self._pool = ThreadPoolExecutor(SCAN_THREADS)
        self._listings: dict[str, Future[NDArray[np.uint64]]] = {}  # by folder, with its "/", or ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def start(self, files: StringColumn) -> None:
        """Begin to list the folders of `files`, a part of the list."""
        for folder in _folders(files):
            if folder not in self._listings and (not folder or path_fault(folder) is None):
                self._listings[folder] = self._pool.submit(_files_in, self._root, folder)

    def check(
        self, files: StringColumn, list_path: Path, name_row: Callable[[int], str], advice_if_missing: str
    ) -> None:
        """Make sure that every one of `files` lies inside the directory and is a file.

        Args:
            files: The paths, with `/`: all that `start` was told of, in any order.
            list_path: The file that names them, for the error.
            name_row: Turns a row number into what a reader finds in `list_path`, such as "line 3".
            advice_if_missing: What to do about missing files.

        Raises:
            InvalidDatasetError: A path leads out of the directory ("path_outside") or is a link in circles
                ("link_loop"), or files are missing ("missing_files").
        """
        present = np.concatenate([_NO_FILES, *(listing.result() for _, listing in sorted(self._listings.items()))])
        # What is not found is a path outside, a link, a name that only differs by the rules of a file system that
        # ignores case, or missing.
        doubtful = [(row, files[row]) for row in _not_in(present, files.hashes())]
        _refuse_paths_outside(doubtful, list_path, name_row)
        missing = [(row, file) for row, file in doubtful if not _is_file_inside(self._root, file)]
        if missing:
            raise InvalidDatasetError(
                f"{len(missing)} of {len(files)} images are not there.",
                where=list_path,
                examples=(f"{name_row(row)}: {file}" for row, file in missing),
                advice=advice_if_missing,
                reason="missing_files",
            )


def check_referenced_files(
    root: Path, files: StringColumn, list_path: Path, name_row: Callable[[int], str], advice_if_missing: str
) -> None:
    """`ReferencedFiles.check` for a list that has been read."""
    with ReferencedFiles(root) as referenced:
        referenced.start(files)
        referenced.check(files, list_path, name_row, advice_if_missing)


def _folders(files: StringColumn) -> list[str]:
    """The folders of `files`, each with its "/", or ""."""
    lengths = files.last_positions("/") + 1
    hashes = files.hashes(lengths)
    # Most lists name the files of a folder one after the other: only the first ones are compared with each other.
    firsts = np.concatenate(
        [np.zeros(min(1, len(files)), dtype=np.int64), np.flatnonzero(hashes[1:] != hashes[:-1]) + 1]
    )
    rows = firsts[np.unique(hashes[firsts], return_index=True)[1]]
    return [file[: file.rfind("/") + 1] for file in files.take(rows)]


def _not_in(present: NDArray[np.uint64], listed: NDArray[np.uint64]) -> list[int]:
    """The positions of those of `listed` that are not in `present`, which may get sorted."""
    if len(present) == len(listed) and present.sum() == listed.sum():
        return []  # as good as sure to be the same hashes: the usual case, and ten times as fast as a search
    if not len(present):
        return list(range(len(listed)))
    present.sort()
    # Usually nothing is missing, and then the positions are not needed. Sorted, one hash is found near the one before.
    if are_in(present, np.sort(listed)).all():
        return []
    positions: list[int] = np.flatnonzero(~are_in(present, listed)).tolist()
    return positions


def _files_in(root: Path, folder: str) -> NDArray[np.uint64]:
    """The hashes of the paths of the regular files in `folder`.

    8 bytes a path in place of 80. Two paths of one hash could at worst hide a missing file until it is opened.
    """
    path = resolve_inside(root, folder, InvalidDatasetError) if folder else root
    try:
        with reading_errors(path, InvalidDatasetError):
            return retrying(lambda: _hashes_of_files(path, folder))
    except InvalidDatasetError as error:
        if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
            return _NO_FILES
        raise


def _hashes_of_files(path: Path, prefix: str) -> NDArray[np.uint64]:
    hashes = [_NO_FILES]
    with scan(path) as entries:
        files = (entry.name for entry in entries if entry.is_file(follow_symlinks=False))
        while names := list(islice(files, _NAMES_AT_ONCE)):
            hashes.append(StringColumn.from_names(names, prefix).hashes())
    return np.concatenate(hashes)


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
