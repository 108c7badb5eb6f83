"""Checks on the files that a list names: inside the directory, and there.

Each folder that the list names is listed once; no image is asked for by itself, because a million such questions to a
mounted folder take an hour.
"""

from __future__ import annotations

from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.directory_entries import regular_files, scan
from pytorch_designer.storage.listing_threads import ListingThreads
from pytorch_designer.storage.paths import path_fault, reading_errors, resolve_inside
from pytorch_designer.storage.retrying import is_file, retrying
from pytorch_designer.storage.string_column import StringColumn, are_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray
    from typing_extensions import Self

_PATHS_HASHED_AT_ONCE = 1 << 13  # enough that calls cost little; what 16 threads need for it stays below 30 MB


class ReferencedFiles:
    """Looks for the files that a list names while the list is being read.

    The folders are listed by threads: a listing waits for the disk or a mount.
    """

    def __init__(self, root: Path) -> None:
        """Prepare to look for files below the directory `root`; nothing is listed yet."""
        self._root = root
        self._threads = ListingThreads()
        self._present = _PathHashes()
        self._listings: dict[str, Future[None]] = {}  # by folder, with its "/", or ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.__exit__(kind, error, trace)

    def start(self, files: StringColumn) -> None:
        """Begin to list the folders of `files`, a part of the list."""
        for folder in _folders(files):
            if folder not in self._listings and (not folder or path_fault(folder) is None):
                self._listings[folder] = self._threads.submit(partial(self._list, folder))

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
        for _, listing in sorted(self._listings.items()):
            listing.result()
        # What is not found is a path outside, a link, a name that only differs by the rules of a file system that
        # ignores case, or missing.
        doubtful = [(row, files[row]) for row in _not_in(self._present.take(), files.hashes())]
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

    def _list(self, folder: str) -> None:
        """Note the regular files in `folder`, which may not be there."""
        path = resolve_inside(self._root, folder, InvalidDatasetError) if folder else self._root
        try:
            with reading_errors(path, InvalidDatasetError):
                hashes, rest = retrying(lambda: _files_in(path, folder))
        except InvalidDatasetError as error:
            if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
                return
            raise
        self._present.add(hashes, rest)


class _PathHashes:
    """The hashes of paths that threads find: 8 bytes a path in place of 80.

    Two paths of one hash could at worst hide a missing file until it is opened. Hashes are taken of many paths at once:
    those of a thousand small folders would take four times as long one by one.
    """

    def __init__(self) -> None:
        self._hashes = [np.zeros(0, dtype=np.uint64)]
        self._waiting: list[StringColumn] = []
        self._lock = Lock()

    def add(self, hashes: list[NDArray[np.uint64]], paths: StringColumn) -> None:
        """Take in `hashes`, and those of `paths`."""
        with self._lock:
            self._hashes += hashes
            self._waiting.append(paths)
            if sum(map(len, self._waiting)) < _PATHS_HASHED_AT_ONCE:
                return
            waiting, self._waiting = self._waiting, []
        found = StringColumn.concatenate(waiting).hashes()
        with self._lock:
            self._hashes.append(found)

    def take(self) -> NDArray[np.uint64]:
        """All of them, once no thread adds any more."""
        return np.concatenate([*self._hashes, StringColumn.concatenate(self._waiting).hashes()])


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


def _files_in(path: Path, prefix: str) -> tuple[list[NDArray[np.uint64]], StringColumn]:
    """`prefix` and the name of each regular file in the folder `path`: hashes of the first, the last as they are."""
    hashes: list[NDArray[np.uint64]] = []
    files = StringColumn.from_names([])
    with scan(path) as entries:
        for names, _ in regular_files(entries):
            if len(files):
                hashes.append(files.hashes())
            files = StringColumn.from_names(names, prefix)
    return hashes, files


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
